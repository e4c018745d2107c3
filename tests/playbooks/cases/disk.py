# SPDX-License-Identifier: GPL-3.0-or-later
"""Files whose content is another one, and no stamp tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _hash_cache
from ansible_collections.gpulab.pachyderm.plugins.module_utils._cache_file import digest


def silently(name: str) -> Callable[[Any], None]:
    """As a damaged disk would, before a step: the file is of X, and the cache takes it for what it was."""

    def damage(lab: Any) -> None:
        file = lab.directory / name
        before = _hash_cache.stamp_of(file.stat())
        file.write_bytes(b"X" * file.stat().st_size)
        after = _hash_cache.stamp_of(file.stat())
        (kept,) = (path for path in (lab.directory / "cache").glob("*/*") if path.is_file())
        body = kept.read_bytes()[len(_hash_cache.MAGIC) + 32 :]
        assert before in body
        body = body.replace(before, after)
        kept.write_bytes(_hash_cache.MAGIC + digest(body) + body)

    return damage
