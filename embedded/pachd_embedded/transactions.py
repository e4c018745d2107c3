# SPDX-License-Identifier: GPL-3.0-or-later
"""Transactions: requests that are carried out together, or not at all.

A batch comes as one call. An open transaction collects its requests over many: each is tried together with
those before it when it is added, which shows nothing to anybody, and all run when it is finished. All commits
of a transaction have its id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pachyderm_sdk.api import transaction

from .errors import PachError, not_found
from .pfs.branches import Branches, new_id
from .store.db import Database

# Carries out one TransactionRequest; the answer is its TransactionResponse.
Run = Callable[[Any], Any]


class Transactions:
    """Infos are transaction_v2.TransactionInfo messages, which is also how open transactions are kept."""

    def __init__(self, db: Database, branches: Branches) -> None:
        self._db = db
        self._branches = branches

    def batch(self, requests: Sequence[Any], run: Run) -> Any:
        info = _new_info()
        info.requests = list(requests)
        return self._carry_out(info, run)

    def start(self) -> str:
        info = _new_info()
        with self._db.transaction():
            sql = "INSERT INTO open_transaction (id, info) VALUES (?, ?)"
            self._db.execute(sql, info.transaction.id, bytes(info))
        return str(info.transaction.id)

    def inspect(self, transaction_id: str) -> Any:
        row = self._db.row("SELECT info FROM open_transaction WHERE id = ?", transaction_id)
        if row is None:
            raise not_found(f"transactions {transaction_id} not found")
        return transaction.TransactionInfo.FromString(row["info"])

    def open(self) -> list[Any]:
        """The last started first."""
        rows = self._db.rows("SELECT info FROM open_transaction ORDER BY seq DESC")
        return [transaction.TransactionInfo.FromString(row["info"]) for row in rows]

    def append(self, transaction_id: str, request: Any, run: Run) -> Any:
        """The answer is the request's response, as it will be. What fails is not added."""
        with self._db.hold():
            info = self.inspect(transaction_id)
            info.requests.append(request)
            with self._db.dry_run():
                info = self._carry_out(info, run)
            info.version += 1
            with self._db.transaction():
                sql = "UPDATE open_transaction SET info = ? WHERE id = ?"
                self._db.execute(sql, bytes(info), transaction_id)
        return info.responses[-1]

    def finish(self, transaction_id: str, run: Run) -> Any:
        """Carry all of it out. Where that fails the transaction stays open as it is."""
        with self._db.transaction():
            info = self._carry_out(self.inspect(transaction_id), run)
            self.delete(transaction_id)
        return info

    def delete(self, transaction_id: str) -> None:
        with self._db.transaction():
            self.inspect(transaction_id)
            self._db.execute("DELETE FROM open_transaction WHERE id = ?", transaction_id)

    def delete_all(self) -> None:
        with self._db.transaction():
            self._db.execute("DELETE FROM open_transaction")

    def _carry_out(self, info: Any, run: Run) -> Any:
        responses = []
        with self._branches.commit_set(info.transaction.id):
            for number, request in enumerate(info.requests, 1):
                try:
                    responses.append(run(request))
                except PachError as error:
                    which = f"error running request {number} of {len(info.requests)}"
                    raise PachError(error.code, f"{which}: {error.text}") from None
        info.responses = responses
        return info


def _new_info() -> Any:
    return transaction.TransactionInfo(
        transaction=transaction.Transaction(id=new_id()), started=datetime.now(UTC)
    )
