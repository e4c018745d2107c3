# SPDX-License-Identifier: GPL-3.0-or-later
"""A Go that is new enough: the machine's own, or the one that the module proxy serves."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

from testlab.cache import TestlabError

NEEDED = (1, 26)
VERSION = "1.26.8"
SHA256 = "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7"
PROXY = "https://proxy.golang.org"


def command(cache: Path) -> str:
    """A go command that can build the toolkit; fetched into `cache` where the machine has none."""
    own = shutil.which("go")
    if own and release(own) >= NEEDED:
        return own
    home = cache / f"go-{VERSION}"
    if not home.exists():
        fetch(home)
    return str(home / "bin/go")


def environment(**more: str) -> dict[str, str]:
    """What go runs in: nothing is built from other sources than a go.mod and its go.sum pin."""
    fixed = {"GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    return {**os.environ, **fixed, **more}


def release(go: str) -> tuple[int, int]:
    """Major and minor version of a go command; (0, 0) if it does not say."""
    # GOTOOLCHAIN: the version of this very command, not of one that it would fetch itself.
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    text = subprocess.run([go, "version"], env=environment, capture_output=True, text=True).stdout
    found = re.search(r"go(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def fetch(home: Path) -> None:
    """Unpack the toolchain of the module proxy that GOPROXY names (https://go.dev/ref/mod#goproxy-protocol)."""
    proxy = next((word for word in re.split("[,|]", os.environ.get("GOPROXY", "")) if "://" in word), PROXY)
    name = f"golang.org/toolchain@v0.0.1-go{VERSION}.linux-amd64"
    home.parent.mkdir(parents=True, exist_ok=True)
    archive = home.with_name(f"{home.name}.zip")
    try:
        with (
            urllib.request.urlopen(f"{proxy.rstrip('/')}/{name.replace('@', '/@v/')}.zip") as answer,
            archive.open("wb") as file,
        ):
            shutil.copyfileobj(answer, file)
    except urllib.error.URLError as error:
        raise TestlabError(
            f"cannot fetch Go {VERSION} from GOPROXY: {error}; install Go {NEEDED[0]}.{NEEDED[1]}"
        ) from error
    if (found := hashlib.sha256(archive.read_bytes()).hexdigest()) != SHA256:
        raise TestlabError(f"Go {VERSION} from GOPROXY has the checksum {found}, expected {SHA256}")
    part = home.with_name(f"{home.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(part)
    # A module's archive keeps no modes.
    for program in [*(part / name / "bin").iterdir(), *(part / name / "pkg/tool").rglob("*")]:
        program.chmod(0o755)
    (part / name).rename(home)
    shutil.rmtree(part)
    archive.unlink()
