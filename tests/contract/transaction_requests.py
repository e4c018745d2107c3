# SPDX-License-Identifier: GPL-3.0-or-later
"""What requests in a transaction are made of."""

from __future__ import annotations

from typing import TypeAlias

from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, transaction

from tests.contract.lab import Data

Request: TypeAlias = transaction.TransactionRequest


def create_repo(data: Data) -> Request:
    return Request(create_repo=pfs.CreateRepoRequest(repo=data.repo))


def delete_repo(data: Data) -> Request:
    return Request(delete_repo=pfs.DeleteRepoRequest(repo=data.repo))


def start(data: Data, branch: str = "master") -> Request:
    return Request(start_commit=pfs.StartCommitRequest(branch=data.branch(branch)))


def finish(data: Data, at: str = "master") -> Request:
    return Request(finish_commit=pfs.FinishCommitRequest(commit=data.commit(at)))


def create_branch(data: Data, name: str = "master", head: str = "", upstream: Data | None = None) -> Request:
    request = pfs.CreateBranchRequest(branch=data.branch(name))
    if head:
        request.head = data.commit(head)
    if upstream:
        request.provenance = [upstream.branch()]
    return Request(create_branch=request)


def delete_branch(data: Data, name: str = "master") -> Request:
    return Request(delete_branch=pfs.DeleteBranchRequest(branch=data.branch(name)))


def opened(client: Client) -> transaction.Transaction:
    return transaction.Transaction(id=client.transaction_id)


def within(client: Client, data: Data) -> Data:
    """The same repo, used through the client's transaction."""
    return Data(client, data.name)
