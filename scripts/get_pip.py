# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-test calls to put pip into its environments: Python's pip, which brings the release asked for.

ansible-test fetches a script for that from a host of its own, unchecked. Where it keeps it lies this one.
"""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, since ensurepip changes the environment.
subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--quiet", *wanted]))
