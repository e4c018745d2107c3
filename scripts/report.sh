#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Print what a running lab holds: the one that listens at ADDRESS, else the one in the directory LAB, else that
# of PACHD_ADDRESS or of the inventory. The same and more as a page: playbooks/report.yml.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lab.sh
if [ -n "${LAB:-}" ] && [ -z "${ADDRESS:-}" ]; then
    address=$(sed -n 's/^pachd-embedded ready address=\([^ ]*\) .*/\1/p' "$lab/pachd/pachd.ready" 2>/dev/null || true)
    if [ -z "$address" ]; then
        echo "report: no pachd was started in $lab; LAB names another directory, or ADDRESS says where it listens" >&2
        exit 1
    fi
fi
exec .venv/bin/python scripts/report.py ${LAB:+--address "$address"} ${ADDRESS:+--address "$address"}
