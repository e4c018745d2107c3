# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens: only their hashes are kept, so whoever reads the database cannot use them."""

from __future__ import annotations

import hashlib
import time
import uuid
from dataclasses import dataclass

from ..errors import unknown
from ..store.db import Database
from .model import PIPELINE_PREFIX, ROBOT_PREFIX, bad_token, expired_token


@dataclass(frozen=True)
class Token:
    """`expires`: seconds since the epoch, None for never."""

    hash: str
    subject: str
    expires: float | None


def hash_of(token: str) -> str:
    """As pachd hashes, so that extracted tokens can be restored in a real one."""
    return hashlib.sha256(token.encode()).hexdigest()


class Tokens:
    def __init__(self, db: Database) -> None:
        self._db = db

    def issue(self, subject: str, seconds: int = 0, token: str = "") -> str:
        """A new token, or this one, for so many seconds; 0 or less: for ever."""
        token = token or uuid.uuid4().hex
        expires = time.time() + seconds if seconds > 0 else None
        self.insert(Token(hash_of(token), subject, expires))
        return token

    def insert(self, token: Token) -> None:
        """Raises PachError where there is one with the same hash."""
        with self._db.transaction():
            if self._db.row("SELECT 1 FROM auth_token WHERE hash = ?", token.hash):
                raise unknown("cannot overwrite existing token with same hash")
            self._db.execute(
                "INSERT INTO auth_token VALUES (?, ?, ?)", token.hash, token.subject, token.expires
            )

    def find(self, token: str) -> Token:
        """Raises UNAUTHENTICATED for one that is not known, INTERNAL for one that has expired, as pachd."""
        row = self._db.row("SELECT * FROM auth_token WHERE hash = ?", hash_of(token))
        if row is None:
            raise bad_token()
        if row["expires"] is not None and row["expires"] < time.time():
            raise expired_token()
        return Token(**row)

    def of_robots(self) -> list[Token]:
        rows = self._db.rows("SELECT * FROM auth_token WHERE substr(subject, 1, 6) = ?", ROBOT_PREFIX)
        return [Token(**row) for row in rows]

    def revoke(self, token: str) -> int:
        """How many there were (0 or 1)."""
        return self._delete("hash = ?", hash_of(token))

    def revoke_subject(self, subject: str) -> int:
        return self._delete("subject = ?", subject)

    def revoke_pipelines(self) -> None:
        """Those of jobs; a job that goes on after a restart gets another."""
        self._delete("substr(subject, 1, 9) = ?", PIPELINE_PREFIX)

    def delete_expired(self) -> None:
        self._delete("expires < ?", time.time())

    def delete_all(self) -> None:
        self._delete("1")

    def _delete(self, where: str, *values: object) -> int:
        with self._db.transaction():
            found = self._db.rows(f"SELECT hash FROM auth_token WHERE {where}", *values)
            self._db.execute(f"DELETE FROM auth_token WHERE {where}", *values)
        return len(found)
