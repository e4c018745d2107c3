# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata database: SQLite with one connection, one writer at a time, and a way to wait for changes.

Everything that must survive together (a commit and its files, a job and its output) is written in one
SQLite transaction, so `kill -9` leaves either all of it or nothing.
"""

from __future__ import annotations

import fcntl
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ..errors import unavailable
from .guard import Guard
from .schema import SCHEMA, SCHEMA_VERSION

T = TypeVar("T")


class DataDirError(Exception):
    """The data directory cannot be used; the text names it and says why."""


class Database:
    """Opens (and creates) `directory`/pachd.sqlite. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Two servers over one directory would each believe to be the only writer of jobs.
            self._guard = (directory / "lock").open("a+")
        except OSError as error:
            raise DataDirError(f"{directory} cannot be a data directory: {error.strerror}") from None
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._guard.close()
            raise DataDirError(f"{directory} is in use by another embedded pachd") from None
        self._connection = sqlite3.connect(
            directory / "pachd.sqlite", check_same_thread=False, isolation_level=None
        )
        self._connection.row_factory = sqlite3.Row
        self._changed = threading.Condition(threading.RLock())
        self._depth = 0
        self._after_commit: list[Callable[[], None]] = []
        self._version = 0
        self.guard = Guard()
        self.closed = False
        try:
            self._prepare(directory)
        except (DataDirError, sqlite3.Error) as error:
            self._connection.close()
            self._guard.close()
            if isinstance(error, DataDirError):
                raise
            raise DataDirError(f"{directory}/pachd.sqlite cannot be used: {error}") from None

    def _prepare(self, directory: Path) -> None:
        execute = self._connection.execute
        # Given back to the disk by the garbage collection; has to be said before the first table is made.
        execute("PRAGMA auto_vacuum = INCREMENTAL")
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = NORMAL")
        execute("PRAGMA foreign_keys = ON")
        (found,) = execute("PRAGMA user_version").fetchone()
        if found == 0:
            self._connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif found != SCHEMA_VERSION:
            raise DataDirError(
                f"{directory} was written by another release"
                f" (its schema is {found}, this one reads {SCHEMA_VERSION})"
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; may be nested, then the outermost one decides. Waiters wake at its end."""
        with self._changed:
            if self._depth == 0:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._roll_back()
                raise
            self._depth -= 1
            if self._depth == 0:
                try:
                    self._connection.execute("COMMIT")
                except sqlite3.Error:
                    self._roll_back()
                    raise
                self._version += 1
                self._changed.notify_all()
                done, self._after_commit = self._after_commit, []
                for call in done:
                    call()

    @contextmanager
    def dry_run(self) -> Iterator[None]:
        """As `transaction`, but at its end everything is as it was before. Not within another one."""
        with self._changed:
            assert self._depth == 0, "only the outermost transaction can be undone"
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
            finally:
                self._depth = 0
                self._roll_back()

    def on_commit(self, call: Callable[[], None]) -> None:
        """`call` once the transaction is done; it is not called where nothing of the transaction stays."""
        with self.transaction():
            self._after_commit.append(call)

    def _roll_back(self) -> None:
        """SQLite has ended the transaction by itself where the disk is full."""
        self._after_commit = []
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Nobody else writes meanwhile, so that several reads, and writes after them, agree."""
        with self._changed:
            yield

    def execute(self, sql: str, *values: Any) -> int:
        """Run a write; the answer is the rowid of an INSERT."""
        with self._changed:
            return self._connection.execute(sql, values).lastrowid or 0

    def executemany(self, sql: str, rows: list[tuple[Any, ...]]) -> None:
        with self._changed:
            self._connection.executemany(sql, rows)

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        with self._changed:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        with self._changed:
            found: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def wait_until(self, look: Callable[[], T | None], give_up: Callable[[], bool]) -> T | None:
        """The first answer of `look` that is not None, asked again after each transaction.

        None when `give_up` says so (a client that went away). Raises PachError (UNAVAILABLE) when the
        server stops, so that no client takes the end of the wait for what it waits for.
        """
        with self._changed:
            while True:
                found = look()
                if found is not None or give_up():
                    return found
                if self.closed:
                    raise unavailable("the embedded pachd is stopping")
                # The bound is for give_up: a client that goes away does not notify.
                self._changed.wait(timeout=0.5)

    def wait_for_change(self, seen: int, timeout: float) -> int:
        """Block until the database is newer than `seen`, or `timeout` seconds; the version now."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._version == seen and not self.closed and time.monotonic() < deadline:
                self._changed.wait(timeout=max(0.0, deadline - time.monotonic()))
            return self._version

    def wake(self) -> None:
        """Let every waiter look again (something outside of the database changed)."""
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def close_waiters(self) -> None:
        """Let every waiter give up: the server stops."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self.close_waiters()
            self._connection.close()
            self._guard.close()
