# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in for a root directory of its own where the kernel allows none: a rewrite of texts.

In the cmd, the stdin, the working directory and the variables of a datum, every path that begins with
/pfs, with a mount of the datum, or with what only the image has, is replaced by where that is on this
machine. Paths that the code makes up itself (in a script of the image, or from pieces) are not seen and
stay as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

# What may stand in a path before or after a part of it: next to these, "/pfs" is not the beginning of
# a path ("/data/pfs", "$HOME/pfs", "${X}/pfs", "$(pwd)/pfs") or not the whole of a name ("/pfs-old").
_BEFORE = r"(?<![\w.\-/})])"
_AFTER = r"(?![\w.\-])"
_SAFE = re.compile(r"[\w./+@%,:=-]+")


def rewriter(pfs: Path, image: Path | None, mounts: Sequence[tuple[str, Path]] = ()) -> Callable[[str], str]:
    """A function that puts this machine's paths into a text.

    Raises ValueError for a directory whose name a shell would not read as one word.
    """
    homes = {"/pfs": str(pfs), **{path.rstrip("/"): os.path.realpath(source) for path, source in mounts}}
    if image is not None:
        homes |= dict(_only_in_image(image, Path("/")))
    for path in homes.values():
        if not _SAFE.fullmatch(path):
            raise ValueError(
                f"{path}: private PFS paths are written into commands, so this name may hold only "
                "letters, digits and ./+@%,:=-_; choose another directory"
            )
    alternatives = "|".join(re.escape(path) for path in sorted(homes, key=len, reverse=True))
    pattern = re.compile(f"{_BEFORE}(?:{alternatives}){_AFTER}")
    return lambda text: pattern.sub(lambda match: homes[match[0]], text)


def _only_in_image(image: Path, root: Path) -> Iterator[tuple[str, str]]:
    """(path in the root, path on the machine) of the topmost entries that laying the image would add."""
    for entry in sorted(image.iterdir()):
        place = root / entry.name
        if entry.is_dir() and place.is_dir():
            yield from _only_in_image(entry, place)
        else:
            yield str(place), str(entry)
