#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The demo: an empty lab, site.yml, one more data set, site.yml, and site.yml once more.
# LAB: the lab's directory, deleted first (.lab). ADDRESS: where its pachd listens (127.0.0.1:30650).
# KEEP=1 leaves pachd running. Set-up is `make setup`'s.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lab.sh
settings="{\"lab_state\": \"$lab\", \"pachyderm_embedded_address\": \"$address\"}"
started=$SECONDS

say() {
    printf '\n\n=== %s\n' "$1"
}

play() {
    .venv/bin/ansible-playbook --extra-vars "$settings" "$@"
}

# process stop|delete: what the role does for its states stopped and absent.
process() {
    .venv/bin/python roles/pachyderm_embedded/files/pachd_process.py "$1" "$lab/pachd" 60 >/dev/null
}

refuse() {
    echo "demo: $1" >&2
    exit 1
}

finish() {
    code=$?
    trap - EXIT
    [ "${KEEP:-}" = 1 ] && [ $code = 0 ] || process stop || true
    rm -f "$output"
    [ $code = 0 ] || echo "demo: failed; what pachd said is in $lab/pachd/pachd.log" >&2
    exit $code
}

report() {
    .venv/bin/python scripts/report.py --address "$address" "$@"
}

# Only what a demo made is deleted: nobody's own file, nor a directory named by mistake. pachd's own directory
# is looked at by what deletes it.
demo_files() {
    printf '%s\n' data results results/gpu results/leaderboard report.html report.json
    printf 'data/%s.csv\n' breast_cancer diabetes digits iris wine
    printf 'results/%s\n' gpu/output-logs.txt gpu/input-data.txt leaderboard/leaderboard.md leaderboard/leaderboard.png
}
[ ! -e "$lab" ] || [ -d "$lab" ] || refuse "$lab is a file; set LAB to a directory"
if [ -d "$lab" ]; then
    while IFS= read -r -d '' file; do
        demo_files | grep -qxF -- "${file#./}" ||
            refuse "$lab/${file#./} is not the demo's, which would delete it; move it away, or set LAB to another directory"
    done < <(cd "$lab" && find . -mindepth 1 -path ./pachd -prune -o -print0)
fi

say "An empty lab (that of an earlier demo is deleted)"
echo "$lab"
# A pachd of that lab may listen at this address; nobody else may.
process stop
.venv/bin/python - "$address" <<'END' || exit 1
import socket, sys
address = sys.argv[1]
host, _, port = address.rpartition(":")
try:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socket.create_server((host.strip("[]"), int(port)), family=family).close()
except (OSError, ValueError, OverflowError) as error:
    reason = getattr(error, "strerror", None) or "give HOST:PORT"
    sys.exit(f"demo: {address}: cannot listen there: {reason}; set ADDRESS to another one. Nothing was deleted.")
END
process delete
rm -rf "$lab"
output=$(mktemp)
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

say "What the lab holds: train computed the new datum, skipped the others"
report --expect train:processed=1,skipped=4,total=5 leaderboard@master:/leaderboard.md

say "site.yml a third time: nothing to change"
play site.yml | tee "$output"
if grep -qE 'changed=[1-9]' "$output"; then
    echo "demo: the third run of site.yml changed something; it should not" >&2
    exit 1
fi

say "Done in $((SECONDS - started)) s: changed=0, and only the new data set was computed"
echo "The picture:          $lab/results/leaderboard/leaderboard.png"
echo "The lab as a page:    $lab/report.html"
if [ "${KEEP:-}" = 1 ]; then
    echo "pachd listens at      $address; to stop it:"
    echo "                      $stop_command"
    echo "To go on with it:     $site_command"
else
    echo "pachd is stopped now; to go on with this lab:"
    echo "                      $site_command"
fi
echo "What is declared:     inventories/embedded/group_vars/workflow.yml"
