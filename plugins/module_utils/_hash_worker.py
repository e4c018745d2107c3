# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes files, also as a process of its own. PRIVATE to the collection: it may change at any time.

Hashing is bound by the processor and holds Python's lock, so threads do not make it faster.
"""

from __future__ import annotations

import json
import os
import sys

from ._file_hash import hash_stream
from ._hash_cache import Answer, stamp_of


def hash_one(path: str) -> Answer:
    """The stamp is that after reading: if it is the one from before, the hash is that of the file."""
    try:
        with open(path, "rb", buffering=0) as stream:
            digest = hash_stream(stream, os.fstat(stream.fileno()).st_size)
            return digest, stamp_of(os.fstat(stream.fileno()))
    except OSError as error:
        return error.strerror or str(error)


def serve() -> None:
    """Answers lines of JSON, a list of paths each, until there are no more."""
    for line in sys.stdin:
        answers = [hash_one(path) for path in json.loads(line)]
        coded = [a if isinstance(a, str) else [part.hex() for part in a] for a in answers]
        sys.stdout.write(json.dumps(coded) + "\n")
        sys.stdout.flush()
