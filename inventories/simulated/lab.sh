#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The hosts of the cluster that `make cluster` starts (SIMULATED_LAB: of another one). Before that, every play ends with this advice.
cd "$(dirname "$0")/../.." || exit 1
exec .venv/bin/python -m testlab cluster inventory --lab "${SIMULATED_LAB:-simulated}"
