#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# All tests, stage by stage; goes on after a failure and sums up at the end.
# Usage: test.sh [--all] [STAGE ...]   stages: lint unit embedded playbooks nodes cluster demo (default: these), style, versions
# --all: with the tests that are marked slow.
# CI=true: a test that is skipped counts as failed, since nobody would see that it no longer runs; so does a stage
# that this machine cannot run, but for those that OPTIONAL_STAGES names.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
# Some tests call what Debian keeps in sbin, which an ordinary user's PATH may lack.
export PATH="$PWD/.venv/bin:$PATH:/usr/sbin:/sbin" LC_ALL=C.UTF-8 ANSIBLE_CONFIG="$PWD/ansible.cfg"
# A copy of the collection that ansible-lint made of an older state would win over the checkout.
rm -rf .ansible
if [ "${1:-}" = --all ]; then
    shift
else
    # By the environment, since Molecule starts pytest as well.
    export PYTEST_ADDOPTS="${PYTEST_ADDOPTS:-} -m 'not slow'"
fi
log=$(mktemp)
gate_results=$(mktemp -d)
trap finish EXIT
trap 'exit 130' INT TERM
# The screen, also for what check keeps in the log.
exec 3>&1
passed=0
failed=0
failures=()

finish() {
    rm -rf "$log" "$gate_results"
    [ -z "${nodes_used:-}" ] || python -m testlab down --lab 'molecule-*' --lab 'test-*'
}

# check NAME COMMAND...: one check that passes or fails as a whole.
check() {
    local name=$1 started=$SECONDS
    shift
    printf -- '--- %s\n' "$name"
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        printf '    passed (%d s)\n' $((SECONDS - started))
    else
        failed=$((failed + 1))
        failures+=("$name")
        cat "$log"
        printf '    FAILED (%d s)\n' $((SECONDS - started))
    fi
}

# gate NAME COMMAND...: a check beside others, as many at a time as there are processors; `gates` waits for them.
gate() {
    while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
    run_gate "$@" &
}

run_gate() {
    local name=$1 started=$SECONDS own
    shift
    own=$(mktemp "$gate_results/log.XXXXXX")
    if "$@" >"$own" 2>&1; then
        printf -- '--- %s: passed (%d s)\n' "$name" $((SECONDS - started))
        echo "$name" >>"$gate_results/passed"
    else
        # In one piece, since others write as well.
        printf -- '--- %s\n%s\n--- %s: FAILED (%d s)\n' "$name" "$(cat "$own")" "$name" $((SECONDS - started))
        echo "$name" >>"$gate_results/failed"
    fi
}

gates() {
    wait
    local name
    while read -r name; do
        failed=$((failed + 1))
        failures+=("$name")
    done < <(cat "$gate_results/failed" 2>/dev/null)
    passed=$((passed + $(cat "$gate_results/passed" 2>/dev/null | wc -l)))
    rm -rf "${gate_results:?}"/*
}

# count WORD: the number before WORD in pytest's closing line.
count() {
    tail -n 1 "$log" | grep -oE "[0-9]+ $1" | grep -oE '^[0-9]+' || echo 0
}

# tests NAME PATH...: pytest on them.
tests() {
    local name=$1
    shift
    counted "$name" pytest -q -n auto "$@"
}

# counted NAME COMMAND...: what ends with pytest, its tests counted one by one.
counted() {
    local name=$1 bad
    shift
    printf -- '--- %s\n' "$name"
    "$@" 2>&1 | tee "$log"
    local code=${PIPESTATUS[0]}
    bad=$(($(count failed) + $(count error)))
    [ "${CI:-}" = true ] && bad=$((bad + $(count skipped)))
    # An end without a count: nothing was collected, or pytest itself broke.
    [ "$code" != 0 ] && [ "$bad" = 0 ] && bad=1
    passed=$((passed + $(count passed)))
    failed=$((failed + bad))
    [ "$bad" = 0 ] || failures+=("$name: $bad")
}

# skip STAGE REASON: a stage that cannot run here.
skip() {
    printf -- '--- skipped: %s\n' "$2"
    case "${CI:-}, ${OPTIONAL_STAGES:-} " in
        true,*" $1 "*) ;;
        true,*)
            failed=$((failed + 1))
            failures+=("$1: skipped")
            ;;
    esac
}

render_docs() {
    local modules=(plugins/modules/*.py) roles=(roles/*)
    modules=("${modules[@]##*/}")
    modules=("${modules[@]%.py}")
    ansible-doc --type module --json "${modules[@]/#/gpulab.pachyderm.}" >/dev/null &&
        ansible-doc --type role --json "${roles[@]/#roles\//gpulab.pachyderm.}" >/dev/null
}

# build VERB: its steps are shown, as they take minutes.
build() {
    local words
    read -ra words <<<"$1"
    python -m testlab "${words[@]}" >&3
}

demo() {
    local port
    port=$(python -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    LAB=build/demo ADDRESS="127.0.0.1:$port" KEEP='' scripts/demo.sh && rm -rf build/demo
}

# One cache, so one after the other.
types() {
    mypy -p pachd_embedded -p ansible_collections.gpulab.pachyderm.plugins -p testlab &&
        mypy scripts roles/*/files/*.py examples/datasets benchmarks tests molecule
}

# What looks at the sources, in a minute or so.
style() {
    gate "mypy" types
    gate "ruff check" ruff check
    gate "ruff format" ruff format --check
    gate "yamllint" yamllint --strict .
    gate "shellcheck" scripts/gates.sh shell
    gate "reuse: every file says its licence" scripts/gates.sh licences
    gate "antsibull-changelog: fragments" scripts/gates.sh changelog
}

stage_style() {
    style
    gates
}

# All gates of a published collection: its sources, and what users get of it.
stage_lint() {
    check "build and install the artifact" scripts/gates.sh artifact
    # The longest first.
    gate "ansible-test sanity on the artifact" scripts/gates.sh sanity
    gate "galaxy-importer" scripts/gates.sh importer
    gate "ansible-lint" ansible-lint -q --strict
    gate "antsibull-docs: documentation of modules and roles" scripts/gates.sh documentation
    gate "the artifact in an empty environment" scripts/gates.sh fresh
    gate "execution environment: requirements resolve" scripts/gates.sh environment
    gate "the documents as a site" scripts/gates.sh site
    gate "ansible-doc renders modules and roles" render_docs
    style
    gates
}

# Debian's newest Python with the newest ansible-core; the venv of all other stages has the oldest that is taken.
stage_versions() {
    usable versions || return
    counted "unit and contract tests on the newest versions" python -m testlab run trixie sh -c \
        'apt-get update -qq && apt-get install -qq --no-install-recommends python3-venv >/dev/null && scripts/versions.sh'
}

stage_unit() { tests "unit tests" tests/unit tests/meta tests/testlab tests/report; }
# Their tests wait for other processes for a third of their time, and some take half a minute: who has nothing left helps others.
stage_embedded() { tests "tests of the embedded pachd" tests/embedded tests/contract -n 3 --dist worksteal; }
stage_playbooks() { tests "tests of modules, roles and playbooks" tests/playbooks -n 3 --dist worksteal; }

# usable STAGE: whether this machine can run nodes; else the stage is skipped.
usable() {
    local reason
    if reason=$(python -m testlab usable 2>&1); then
        nodes_used=1
    else
        skip "$1" "$reason"
        return 1
    fi
}

# on_testlab STAGE VERB NAME ARGUMENT...: pytest on nodes, made of what `python -m testlab VERB` builds first.
on_testlab() {
    local before=$failed stage=$1 verb=$2
    shift 2
    usable "$stage" || return
    check "testlab $verb: what is missing of images, packages and commands" build "$verb"
    [ "$failed" = "$before" ] || return
    # A line for each test, since some take minutes; at the end which those were.
    tests "$@" -vv --durations=25
}

# Each lab is one worker's; three of them keep two cores busy.
stage_nodes() { on_testlab nodes build "tests on nodes" tests/nodes -n 3 --dist loadscope --no-loadscope-reorder; }

# Two lanes: the cluster of real nodes is one worker's, those of simulated nodes are the other's.
stage_cluster() { on_testlab cluster "cluster build" "tests on clusters" tests/cluster -n 2; }
stage_demo() { check "make demo" demo; }

stages=("$@")
[ $# -gt 0 ] || stages=(lint unit embedded playbooks nodes cluster demo)
took=()
for number in "${!stages[@]}"; do
    printf '\n=== %d/%d %s\n' $((number + 1)) ${#stages[@]} "${stages[$number]}"
    stage_started=$SECONDS
    "stage_${stages[$number]}"
    took+=("${stages[$number]} $((SECONDS - stage_started)) s")
done

printf '\n=== %d s:' "$SECONDS"
printf ' %s;' "${took[@]}"
printf '\n'
for failure in "${failures[@]+"${failures[@]}"}"; do
    printf 'failed: %s\n' "$failure"
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
