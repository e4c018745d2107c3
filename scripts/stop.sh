#!/bin/bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Stop the pachd of the inventory's lab, or of the lab in the directory LAB.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/lab.sh
settings='{"pachyderm_embedded_state": "stopped"'
[ -z "${LAB:-}" ] || settings+=", \"lab_state\": \"$lab\""
exec .venv/bin/ansible-playbook playbooks/pachyderm.yml --extra-vars "$settings}"
