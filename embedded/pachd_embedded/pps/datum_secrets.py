# SPDX-License-Identifier: GPL-3.0-or-later
"""What the code of a datum gets of the secrets that its transform names."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .secrets import Secrets


def secret_env(secrets: Secrets, mounts: Iterable[Any]) -> dict[str, str]:
    """Variables of the pps.SecretMounts that name one. Raises PachError when a secret is gone."""
    return {
        mount.env_var: secrets.values(mount.name).get(mount.key, b"").decode(errors="surrogateescape")
        for mount in mounts
        if mount.env_var
    }


def secret_mounts(secrets: Secrets, mounts: Iterable[Any], scratch: Path) -> tuple[tuple[str, Path], ...]:
    """(path in the datum, directory with a file for each key) of those that name a path."""
    found = []
    for number, mount in enumerate(mounts):
        if mount.mount_path:
            directory = scratch / "secrets" / str(number)
            directory.mkdir(parents=True, mode=0o700)
            for key, value in secrets.values(mount.name).items():
                (directory / key).touch(0o600)
                (directory / key).write_bytes(value)
            found.append((posixpath.normpath("/" + mount.mount_path.lstrip("/")), directory))
    return tuple(found)
