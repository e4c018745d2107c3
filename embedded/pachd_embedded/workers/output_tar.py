# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes the output of a datum out of its container, as a tar archive that the engine writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import IO

from pachd_embedded.workers.engine import Engine, EngineError, said
from pachd_embedded.workers.worker import BadTaskError

_BLOCK_BYTES = 1 << 20


def fetch(engine: Engine, source: str, out: Path) -> None:
    """Fills the empty directory `out` with `source` (CONTAINER:PATH). Raises EngineError, BadTaskError."""
    command = engine.command("cp", source, "-")
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as copy:
        assert copy.stdout is not None
        assert copy.stderr is not None
        try:
            unpack(copy.stdout, out)
        except tarfile.TarError as error:
            raise EngineError(said(copy.stderr.read().decode(errors="replace")) or str(error)) from error
        except OSError as error:
            raise BadTaskError(f"/pfs/out cannot be stored: {error.strerror}") from error
        finally:
            copy.stdout.close()
        errors = copy.stderr.read()
    if copy.returncode != 0:
        raise EngineError(said(errors.decode(errors="replace")))


def unpack(stream: IO[bytes], out: Path) -> None:
    """The first entry of the archive is the directory itself; modes and owners are not kept.

    Raises tarfile.TarError for what is no archive, OSError, and BadTaskError for an entry that is neither a
    file, a directory nor a link.
    """
    top = None
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = member.name.strip("/") or "."
            if top is None:
                top = name
                if not member.isdir():
                    raise BadTaskError("/pfs/out is no longer the directory that the code was given")
            else:
                _place(archive, member, os.path.relpath(name, top), top, out)
    if top is None:
        raise tarfile.ReadError("an empty archive")


def _place(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str, top: str, out: Path) -> None:
    target = _below(out, path)
    if member.isdir():
        target.mkdir(exist_ok=True)
    elif member.issym():
        target.symlink_to(member.linkname)
    elif member.islnk():
        os.link(_below(out, os.path.relpath(member.linkname.strip("/"), top)), target, follow_symlinks=False)
    elif content := archive.extractfile(member):
        with target.open("xb") as file:
            shutil.copyfileobj(content, file, _BLOCK_BYTES)
    else:
        raise BadTaskError(f"/pfs/out/{path} is neither a file nor a directory")


def _below(out: Path, path: str) -> Path:
    """An archive of a directory names what is in it, and never what a link in it leads to."""
    target = out / path
    if not Path(os.path.realpath(target.parent)).is_relative_to(os.path.realpath(out)):
        raise BadTaskError(f"/pfs/out/{path} leads out of /pfs/out")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
