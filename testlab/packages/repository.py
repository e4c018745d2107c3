# SPDX-License-Identifier: GPL-3.0-or-later
"""A signed apt repository, and beside it one whose key has expired. See wiki.debian.org/DebianRepository/Format."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

SUITE = "testlab"
SIGNER = "testlab of gpulab.pachyderm (throw-away key)"


def publish(root: Path) -> None:
    """Make an apt repository of the packages in root/pool, and root/expired: the same, signed by an expired key.

    Each holds key.asc and key.gpg. The keys are made anew and kept nowhere.
    """
    index = "\n".join(stanza(deb, root) for deb in sorted((root / "pool").glob("*.deb")))
    now = datetime.now(UTC)
    expired = root / "expired"
    expired.mkdir()
    (expired / "pool").symlink_to("../pool")
    for place, made in ((root, now), (expired, now - timedelta(days=400))):
        folder = place / "dists" / SUITE
        (folder / "main/binary-amd64").mkdir(parents=True)
        (folder / "main/binary-amd64/Packages").write_text(index)
        (folder / "Release").write_text(release(folder, made))
        sign(place, folder, made, days=365)


def stanza(deb: Path, root: Path) -> str:
    """What Packages says of one package."""
    control = subprocess.run(["dpkg-deb", "-f", str(deb)], check=True, capture_output=True, text=True).stdout
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    return f"{control}Filename: {deb.relative_to(root)}\nSize: {deb.stat().st_size}\nSHA256: {digest}\n"


def release(folder: Path, made: datetime) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = [
        f" {hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_size} {path.relative_to(folder)}"
        for path in files
    ]
    lines = (
        *("Origin: gpulab-testlab", "Label: stand-ins and rebuilt packages for tests"),
        *(f"Suite: {SUITE}", f"Codename: {SUITE}", "Components: main", "Architectures: amd64"),
        *(f"Date: {made:%a, %d %b %Y %H:%M:%S} UTC", "SHA256:", *sums),
    )
    return "\n".join(lines) + "\n"


def sign(place: Path, folder: Path, made: datetime, days: int) -> None:
    """Sign folder/Release with a new key that was made at `made` and lives so many days; key.asc and key.gpg."""
    # In /tmp whatever TMPDIR says: gpg's agent cannot listen on a path of more than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="testlab-gpg-", dir="/tmp") as home:
        environment = {**os.environ, "GNUPGHOME": home}
        clock = f"--faked-system-time={made:%Y%m%dT%H%M%S}!"

        def gpg(*arguments: str) -> None:
            command = [
                "gpg",
                "--batch",
                "--quiet",
                "--yes",
                "--pinentry-mode=loopback",
                "--passphrase=",
                clock,
                *arguments,
            ]
            subprocess.run(command, env=environment, check=True, capture_output=True)

        try:
            gpg("--quick-generate-key", SIGNER, "rsa3072", "sign", f"{days}d")
            gpg("--clear-sign", "--output", str(folder / "InRelease"), str(folder / "Release"))
            gpg("--detach-sign", "--armor", "--output", str(folder / "Release.gpg"), str(folder / "Release"))
            gpg("--export", "--output", str(place / "key.gpg"))
            gpg("--export", "--armor", "--output", str(place / "key.asc"))
        finally:
            # Generating a key started an agent, which would stay.
            subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)
