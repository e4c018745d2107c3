# SPDX-License-Identifier: GPL-3.0-or-later
"""A command in a bare Debian, with a copy of the checkout and the network of this machine."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from testlab import host, image
from testlab.engine import Engine

ROOT = Path(__file__).resolve().parent.parent
# The command's working directory.
CHECKOUT = "/srv/checkout"


def run(engine: Engine, release: str, command: list[str]) -> int:
    """Run it to its end. Its exit status."""
    host.install_packages()
    engine.start()
    base = image.base(engine, release)
    with tempfile.TemporaryDirectory(prefix="unfinished-run-", dir=engine.directory) as copy:
        copy_checkout(ROOT, Path(copy))
        whole = engine.command("run", "--rm", *settings(copy), base, *command)
        return subprocess.run(whole, check=False).returncode


def settings(checkout: str) -> list[str]:
    """Options of podman: as any process here it reaches the package index, and may make namespaces."""
    volumes = {checkout: CHECKOUT} | {str(path): f"{path}:ro" for path in host.pip_settings()}
    names = (*host.PIP, "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
    return [
        *("--privileged", "--network=host", f"--workdir={CHECKOUT}"),
        *(f"--volume={here}:{there}" for here, there in volumes.items()),
        *(f"--env={name}" for name in names),
    ]


def copy_checkout(root: Path, directory: Path) -> None:
    """The files that git knows or would take, as they are now."""
    listing = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    done = subprocess.run(listing, cwd=root, capture_output=True, text=True, check=True)
    for name in filter(None, done.stdout.split("\0")):
        source, target = root / name, directory / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
