# SPDX-License-Identifier: GPL-3.0-or-later
"""Several writes as one transaction. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ._connection import Pachd
from ._errors import PachdError
from ._sdk import sdk

# Seconds that one request of a transaction may take, beside the connection's timeout.
_REQUEST_SECONDS = 1.0
_WHICH = re.compile(r"error running request (?P<number>\d+) of \d+: ")


class RequestError(PachdError):
    """pachd refused one request, so nothing of the transaction was done; `index` is its place, from 0."""

    def __init__(self, index: int, error: PachdError, text: str) -> None:
        super().__init__(error.code, text)
        self.index = index


def run_batch(pachd: Pachd, requests: Sequence[Any]) -> None:
    """Carries out all `requests` (transaction.TransactionRequest) or none.

    Raises RequestError for one that is refused, PachdError for a transaction that did not come about.
    """
    with pachd.deadline(pachd.options.timeout + _REQUEST_SECONDS * len(requests)):
        try:
            pachd.transaction.batch_transaction(requests=list(requests))
        except PachdError as error:
            found = _WHICH.search(error.text)
            if not found:
                raise
            text = error.text[found.end() :]
            raise RequestError(int(found["number"]) - 1, error, text) from error


def create_repo(project: str, name: str, description: str = "") -> Any:
    """A request for run_batch."""
    pfs = sdk().pfs
    repo = pfs.Repo(name=name, type="user", project=pfs.Project(name=project))
    return sdk().transaction.TransactionRequest(
        create_repo=pfs.CreateRepoRequest(repo=repo, description=description)
    )
