# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets as rows: content that belongs to no commit, for as long as its time to live lasts."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass

from ..errors import not_found, unknown
from ..store.db import Database
from ..store.tree import Root
from .model import Commit, CommitRef, Origin, RepoKey

# The repo under whose name file sets can be read: a commit's id there is the id of a file set.
FILE_SETS = "__filesets__"

_TOKEN_LENGTH = 32


@dataclass(frozen=True, slots=True)
class FileSet:
    """What it adds is a tree as a commit's. `deletive` has the keys of what it deletes before that."""

    additive: Root
    deletive: Root


class FileSetStore:
    """An id is the token of the row, a dot, and a digest of the content that nobody looks at."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, file_set: FileSet, seconds: float) -> str:
        token = uuid.uuid4().hex
        with self._db.transaction():
            self._drop_expired()
            self._db.execute(
                "INSERT INTO file_set VALUES (?, ?, ?, ?)",
                *(token, file_set.additive, file_set.deletive, time.time() + seconds),
            )
        content = hashlib.blake2b(digest_size=32)
        for root in (file_set.additive, file_set.deletive):
            content.update(root or bytes(1))
        return f"{token}.{content.hexdigest()}"

    def get(self, file_set_id: str) -> FileSet:
        sql = "SELECT additive, deletive FROM file_set WHERE token = ? AND expires > ?"
        row = self._db.row(sql, _token(file_set_id), time.time())
        if row is None:
            raise unknown("path does not exist")
        return FileSet(row["additive"], row["deletive"])

    def keep(self, file_set_id: str, seconds: float) -> None:
        """From now on so many seconds, whatever it had left."""
        token = _token(file_set_id)
        with self._db.transaction():
            self._drop_expired()
            if self._db.row("SELECT 1 FROM file_set WHERE token = ?", token) is None:
                raise not_found(f"tracker fileset/{token} not found")
            self._db.execute("UPDATE file_set SET expires = ? WHERE token = ?", time.time() + seconds, token)

    def commit(self, ref: CommitRef) -> Commit:
        """The commit that stands for a file set where one reads."""
        return Commit(
            seq=0,
            id=ref.id,
            repo=ref.repo,
            repo_id=0,
            branch="",
            parent=None,
            origin=Origin.USER,
            description="",
            started=0.0,
            finishing=None,
            finished=None,
            error="",
            invalid="",
            based=True,
            tree=self.get(ref.id).additive,
        )

    def _drop_expired(self) -> None:
        self._db.execute("DELETE FROM file_set WHERE expires <= ?", time.time())


def is_file_set(repo: RepoKey) -> bool:
    return repo.name == FILE_SETS


def _token(file_set_id: str) -> str:
    token = file_set_id.partition(".")[0].replace("-", "")
    if len(token) != _TOKEN_LENGTH:
        kind = "short" if len(token) < _TOKEN_LENGTH else "long"
        raise unknown(f"parsing fileset.Token: too {kind} to be Token len={len(token)}")
    for character in token:
        if character not in "0123456789abcdefABCDEF":
            raise unknown(f"encoding/hex: invalid byte: U+{ord(character):04X} '{character}'")
    return token.lower()
