# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images written as files, in the form of `docker save`; nothing is pulled and no builder runs."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """An image made FROM scratch: its layers from the lowest up, and what Docker calls its config."""

    name: str
    layers: tuple[Path, ...]
    entrypoint: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)


def layer(target: Path, files: dict[str, Path | str], links: dict[str, str] | None = None) -> Path:
    """Write a layer: place in the image -> a file or directory of this machine, or a link's target.

    Everything is root's and of one date, so that the same content is the same layer. Text goes as it is.
    """
    # Links of the checkout lead out of what is copied.
    with tarfile.open(target, "w", dereference=True) as tar:
        for directory in ("etc", "proc", "sys", "dev", "tmp"):
            _add_directory(tar, directory, 0o1777 if directory == "tmp" else 0o755)
        for place, source in sorted(files.items()):
            if isinstance(source, str):
                _add_text(tar, place, source)
            else:
                tar.add(source, place.lstrip("/"), filter=_normal)
        for place, link in sorted((links or {}).items()):
            entry = tarfile.TarInfo(place.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            tar.addfile(entry)
    return target


def _add_directory(tar: tarfile.TarFile, name: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    tar.addfile(entry)


def _add_text(tar: tarfile.TarFile, place: str, text: str) -> None:
    entry = tarfile.TarInfo(place.lstrip("/"))
    entry.size, entry.mode = len(text.encode()), 0o755 if text.startswith("#!") else 0o644
    tar.addfile(entry, io.BytesIO(text.encode()))


def _normal(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if "__pycache__" in entry.name:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mtime = 0
    return entry


def write(target: Path, images: list[Image]) -> None:
    """One archive of several images; a layer that several have is in it once."""
    manifest, written = [], set()
    with tarfile.open(target, "w") as tar:
        for image in images:
            digests = {path: _digest(path) for path in image.layers}
            for path, digest in digests.items():
                if digest not in written:
                    tar.add(path, f"{digest}.tar", filter=_normal)
                    written.add(digest)
            config = json.dumps(_config(image, list(digests.values())))
            name = f"{hashlib.sha256(config.encode()).hexdigest()}.json"
            _add_text(tar, name, config)
            layers = [f"{digest}.tar" for digest in digests.values()]
            manifest.append({"Config": name, "RepoTags": [image.name], "Layers": layers})
        _add_text(tar, "manifest.json", json.dumps(manifest))


def _config(image: Image, digests: list[str]) -> dict[str, object]:
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        **image.environment,
    }
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Env": [f"{name}={value}" for name, value in environment.items()],
            "Entrypoint": list(image.entrypoint) or None,
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
