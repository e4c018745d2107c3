# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes install in the tests: NVIDIA's container toolkit, and stand-ins of its driver."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from testlab import cache as keys
from testlab.packages import deb, driver, kernel, repository, toolkit

HERE = Path(__file__).resolve().parent


def build(cache: Path) -> Path:
    """The directory of a signed apt repository of all packages, made where it is missing or out of date.

    Suite `testlab`, component `main`, key.asc and key.gpg. Its subdirectory `expired` is the same repository,
    signed by a key that has expired.
    """
    with keys.lock(cache / "locks/packages"):
        # The stand-ins of the kernel's packages carry the name of the kernel that the nodes share.
        target = cache / f"apt-{keys.key(HERE, HERE.parent / 'gpu/src', os.uname().release)}"
        if not target.exists():
            part = cache / "unfinished-apt"
            shutil.rmtree(part, ignore_errors=True)
            (part / "pool").mkdir(parents=True)
            found = toolkit.packages(cache)
            print("testlab: packages: stand-ins of NVIDIA's driver", flush=True)
            with driver.compiled() as files:
                for package in [*found, *kernel.packages(), *driver.packages(files)]:
                    deb.write(package, part / "pool")
            print("testlab: packages: signing the repository", flush=True)
            repository.publish(part)
            part.rename(target)
    return target
