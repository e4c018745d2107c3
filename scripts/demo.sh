#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The demo: an empty lab, site.yml, one more data set, site.yml, and site.yml once more.
# LAB: the lab's directory, deleted first (.lab). ADDRESS: where its pachd listens (127.0.0.1:30650).
# KEEP=1 leaves pachd running. Set-up is `make setup`'s.
set -euo pipefail
cd "$(dirname "$0")/.."
lab=$(realpath -m "${LAB:-.lab}")
address=${ADDRESS:-127.0.0.1:30650}
# Ansible wants UTF-8, and refuses an ansible.cfg that it finds in a directory that everybody may write to.
export LC_ALL=C.UTF-8 ANSIBLE_CONFIG="$PWD/ansible.cfg"
settings="{\"lab_state\": \"$lab\", \"pachyderm_embedded_address\": \"$address\"}"
started=$SECONDS
output=$(mktemp)

say() {
    printf '\n\n=== %s\n' "$1"
}

play() {
    .venv/bin/ansible-playbook --extra-vars "$settings" "$@"
}

stop() {
    play playbooks/pachyderm.yml --extra-vars pachyderm_embedded_state=stopped >"$output" || cat "$output" >&2
}

finish() {
    code=$?
    trap - EXIT
    [ "${KEEP:-}" = 1 ] && [ $code = 0 ] || stop
    rm -f "$output"
    [ $code = 0 ] || echo "demo: failed; what pachd said is in $lab/pachd/pachd.log" >&2
    exit $code
}

report() {
    .venv/bin/python scripts/report.py --address "$address" "$@"
}

# Only what a demo, or site.yml after it, made is deleted: nobody's own data, nor a directory named by mistake.
for file in "$lab"/* "$lab"/data/*; do
    case "${file#"$lab"/}" in
    "*" | "data/*" | data | pachd | results) ;;
    data/breast_cancer.csv | data/diabetes.csv | data/digits.csv | data/iris.csv | data/wine.csv) ;;
    *)
        echo "demo: $file is not the demo's, and the demo would delete it; move it away, or set LAB to another directory" >&2
        exit 1
        ;;
    esac
done

say "An empty lab in $lab (the lab of an earlier demo is deleted)"
stop
rm -rf "$lab"
trap finish EXIT
trap 'exit 130' INT TERM

say "Four real data sets"
.venv/bin/python examples/datasets/export.py "$lab/data" breast_cancer digits iris wine

say "site.yml: start pachd, make the repo, commit the data, run the pipelines"
play site.yml

say "What the lab holds"
report --expect gpu:processed=1,failed=0 --expect train:processed=4,failed=0 \
    gpu@master:/output-logs.txt gpu@master:/input-data.txt leaderboard@master:/leaderboard.md

say "One more data set, and site.yml again"
.venv/bin/python examples/datasets/export.py "$lab/data" diabetes
play site.yml

say "What the lab holds: train processed the new datum and skipped the four others"
report --expect train:processed=1,skipped=4,total=5 leaderboard@master:/leaderboard.md

say "site.yml a third time: nothing to change"
play site.yml | tee "$output"
if grep -qE 'changed=[1-9]' "$output"; then
    echo "demo: the third run of site.yml changed something; it should not" >&2
    exit 1
fi

say "Done in $((SECONDS - started)) s: changed=0, and only the new data set was computed"
echo "The picture:          $lab/results/leaderboard/leaderboard.png"
if [ "${KEEP:-}" = 1 ]; then
    echo "pachd listens at      $address; stop it with: make stop"
else
    echo "pachd is stopped now; to go on with this lab:"
    echo "                      .venv/bin/ansible-playbook site.yml"
fi
echo "What is declared:     inventories/embedded/group_vars/workflow.yml"
