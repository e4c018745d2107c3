# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-test calls to put pip into its environments: the pip that Python carries, and then its own release of it.

ansible-test fetches a script for that from a host of its own, unchecked; in the place where it keeps that script lies
this one.
"""

from __future__ import annotations

import subprocess
import sys

# In a process of its own, since ensurepip changes the environment.
subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--quiet", *wanted]))
