#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# versions.sh [TEST ...]: unit and contract tests, or those that are named, on this machine's Python (PYTHON: another) with
# the newest ansible-core, in a venv of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=build/versions/venv
"${PYTHON:-python3}" -m venv --clear "$venv"
export PATH="$PWD/$venv/bin:$PATH" LC_ALL=C.UTF-8 ANSIBLE_CONFIG="$PWD/ansible.cfg"
# What else is pinned belongs to an older ansible-core.
grep -v '^ansible' requirements/constraints.txt >build/versions/constraints.txt
pip install --quiet --requirement requirements/newest.txt --constraint build/versions/constraints.txt
python --version
ansible --version | head -n 1
[ $# -gt 0 ] || set -- tests/unit tests/contract
pytest -q -n auto "$@"
