# SPDX-License-Identifier: GPL-3.0-or-later
"""A signed apt repository, and beside it one whose key has expired (wiki.debian.org/DebianRepository)."""

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
    """Make an apt repository of root/pool, and root/expired: the same, signed by an expired key.

    Each holds key.asc and key.gpg. The keys are made anew and kept nowhere.
    """
    index = "\n".join(stanza(deb, root) for deb in sorted((root / "pool").glob("*.deb")))
    now = datetime.now(UTC)
    expired = root / "expired"
    expired.mkdir()
    (expired / "pool").symlink_to("../pool")
    for place in (root, expired):
        folder = place / "dists" / SUITE
        (folder / "main/binary-amd64").mkdir(parents=True)
        (folder / "main/binary-amd64/Packages").write_text(index)
        (folder / "Release").write_text(release(folder, now))
        sign(place, folder, now, expired=place == expired)


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


def sign(place: Path, folder: Path, now: datetime, expired: bool) -> None:
    """Sign folder/Release with a new key, and write key.asc and key.gpg into `place`.

    An expired key had expired before it signed: apt of trixie (sqv) rightly accepts what was signed before.
    """
    # In /tmp whatever TMPDIR says: gpg's agent cannot listen on a path of more than 107 bytes.
    with tempfile.TemporaryDirectory(prefix="testlab-gpg-", dir="/tmp") as home:
        environment = {**os.environ, "GNUPGHOME": home}

        def gpg(days_ago: int, *arguments: str) -> str:
            clock = f"--faked-system-time={now - timedelta(days=days_ago):%Y%m%dT%H%M%S}!"
            secret = ("--pinentry-mode=loopback", "--passphrase=")
            command = ["gpg", "--batch", "--quiet", "--yes", *secret, clock, *arguments]
            return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

        try:
            gpg(400, "--quick-generate-key", SIGNER, "rsa3072", "sign", "never")
            gpg(0, "--clear-sign", "--output", str(folder / "InRelease"), str(folder / "Release"))
            gpg(0, "--detach-sign", "--armor", "--output", f"{folder}/Release.gpg", f"{folder}/Release")
            if expired:
                # gpg does not sign with an expired key, so its end is set afterwards, at a time of the past.
                listed = gpg(0, "--list-keys", "--with-colons").splitlines()
                fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr:"))
                gpg(399, "--quick-set-expire", fingerprint, "30d")
            gpg(0, "--export", "--output", str(place / "key.gpg"))
            gpg(0, "--export", "--armor", "--output", str(place / "key.asc"))
        finally:
            # Generating a key started an agent. It ends before its directory goes, not some time after.
            subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)
