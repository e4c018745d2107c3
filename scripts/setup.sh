#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# setup.sh SET: make .venv in the checkout and install requirements/SET.txt into it; SET is demo, test or gates.
# The gates' tools have a venv of their own in it.
# PYTHON names the interpreter to make it with (python3).
set -eu
cd "$(dirname "$0")/.."
set_name=$1
venv=.venv
constraints=requirements/constraints.txt
python=${PYTHON:-python3}

fail() {
    echo "setup: $1" >&2
    exit 1
}

command -v "$python" >/dev/null || fail "there is no $python; install Python 3.11 or newer, or set PYTHON"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$("$python" --version) is too old; install Python 3.11 or newer, or set PYTHON"

# A venv holds its own path, so one that was moved with the checkout is made again.
if ! grep -qsF "$PWD/.venv" .venv/bin/activate || ! .venv/bin/python -c 'import pip' 2>/dev/null; then
    echo "setup: making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv ||
        fail "$python -m venv does not work; on Debian: apt install python3-venv (or python3-full)"
fi

if [ "$set_name" = gates ]; then
    venv=.venv/gates
    constraints=requirements/gates-constraints.txt
    [ -x "$venv/bin/python" ] || .venv/bin/python -m venv "$venv"
fi

echo "setup: installing what requirements/$set_name.txt names into $venv (once; it takes a minute or two)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
    --requirement "requirements/$set_name.txt" --constraint "$constraints" ||
    fail "pip could not install requirements/$set_name.txt; see above"

# The lab report is tested in a browser; elsewhere than as root on Debian these tests are skipped without one.
if [ "$set_name" = test ] && ! command -v chromium >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "setup: installing chromium on this machine, for the tests of the lab report"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium; } >/dev/null ||
        fail "apt-get could not install chromium; see above"
fi
touch ".venv/$set_name.stamp"
