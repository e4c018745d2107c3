# SPDX-License-Identifier: GPL-3.0-or-later
"""Several writes as one transaction. PRIVATE to the collection: it may change at any time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ._connection import Pachd
from ._errors import PachdError
from ._messages import repo_message
from ._sdk import sdk

# Seconds that one request of a transaction may take, beside the connection's timeout.
_REQUEST_SECONDS = 1.0
_WHICH = re.compile(r"error running request (?P<number>\d+) of \d+: ")


class RequestError(PachdError):
    """pachd refused one request, so nothing of the transaction was done; `index` is its place, from 0."""

    def __init__(self, index: int, error: PachdError) -> None:
        super().__init__(error.code, _WHICH.sub("", error.text), _WHICH.sub("", str(error)))
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
            raise RequestError(int(found["number"]) - 1, error) from error


def create_repo(project: str, name: str, description: str = "", update: bool = False) -> Any:
    """A request for run_batch."""
    repo = repo_message(project, name)
    request = sdk().pfs.CreateRepoRequest(repo=repo, description=description, update=update)
    return sdk().transaction.TransactionRequest(create_repo=request)
