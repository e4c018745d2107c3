# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction API, and calls of other services that belong to an open transaction."""

from __future__ import annotations

from typing import Any

from betterproto.lib.google.protobuf import Empty
from pachyderm_sdk.api import pfs, pps, transaction

from ..errors import unimplemented, unknown
from ..pps.inputs import is_set
from ..pps.protojson import parse
from ..pps.spec import spec_of_request
from ..transactions import Run, Transactions
from .messages import Context

# The metadata key under which clients send the id of the transaction that a call belongs to.
KEY = "pach-transaction"

# Methods of PFS that a TransactionRequest has a field of the same name for.
_PFS_METHODS = (
    *("create_repo", "delete_repo", "start_commit", "finish_commit", "squash_commit_set"),
    *("create_branch", "delete_branch"),
)


class RequestRunner:
    """Carries out one request of a transaction by the method that it would be without one.

    `files` and `pipelines` are what serves PFS and PPS.
    """

    def __init__(self, files: Any, pipelines: Any) -> None:
        self._files = files
        self._pipelines = pipelines

    def within(self, context: Context) -> Run:
        return lambda request: self._run(request, context)

    def _run(self, request: Any, context: Context) -> Any:
        response = transaction.TransactionResponse()
        names = request._betterproto.sorted_field_names
        field = next((name for name in names if is_set(getattr(request, name))), "")
        if field in _PFS_METHODS:
            answer = getattr(self._files, field)(getattr(request, field), context)
            if field == "start_commit":
                response.commit = answer
        elif field == "stop_job":
            self._pipelines.stop_job(request.stop_job, context)
        elif field == "create_pipeline_v2":
            self._create_pipeline(request.create_pipeline_v2, context)
        elif field:
            raise unimplemented(f"the embedded pachd does not run {field} in a transaction")
        else:
            raise unknown("unrecognized transaction request type")
        return response

    def _create_pipeline(self, wanted: Any, context: Context) -> None:
        spec = wanted.create_pipeline_request
        if not is_set(spec):
            raise unknown("nil CreatePipelineRequest in CreatePipelineTransaction")
        if wanted.user_json:
            request = pps.CreatePipelineV2Request(
                create_pipeline_request_json=wanted.user_json, update=spec.update, reprocess=spec.reprocess
            )
            self._pipelines.create_pipeline_v2(request, context)
        else:
            self._pipelines.create_pipeline(type(spec).FromString(bytes(spec)), context)


class TransactionServicer:
    def __init__(self, transactions: Transactions, runner: RequestRunner) -> None:
        self._transactions = transactions
        self._runner = runner

    def batch_transaction(self, request: Any, context: Context) -> Any:
        return self._transactions.batch(request.requests, self._runner.within(context))

    def start_transaction(self, _request: Any, _context: Context) -> Any:
        return transaction.Transaction(id=self._transactions.start())

    def inspect_transaction(self, request: Any, _context: Context) -> Any:
        return self._transactions.inspect(request.transaction.id)

    def list_transaction(self, _request: Any, _context: Context) -> Any:
        return transaction.TransactionInfos(transaction_info=self._transactions.open())

    def delete_transaction(self, request: Any, _context: Context) -> Any:
        self._transactions.delete(request.transaction.id)
        return Empty()

    def finish_transaction(self, request: Any, context: Context) -> Any:
        return self._transactions.finish(request.transaction.id, self._runner.within(context))

    def delete_all(self, _request: Any, _context: Context) -> Any:
        self._transactions.delete_all()
        return Empty()


class InTransaction:
    """A servicer of PFS or PPS whose calls are added to the transaction that they name, if they do.

    Methods that no transaction takes up run at once, as in pachd.
    """

    def __init__(self, servicer: Any, transactions: Transactions, runner: RequestRunner) -> None:
        self._servicer = servicer
        self._transactions = transactions
        self._runner = runner

    def __getattr__(self, method: str) -> Any:
        serve = getattr(self._servicer, method)
        adding = getattr(type(self), f"_add_{method}", None)
        if method in _PFS_METHODS:
            adding = type(self)._add_request
        if adding is None:
            return serve

        def call(request: Any, context: Context) -> Any:
            transaction_id = _transaction_of(context)
            if not transaction_id:
                return serve(request, context)
            return adding(self, method, request, context)

        return call

    def _append(self, context: Context, request: Any) -> Any:
        return self._transactions.append(_transaction_of(context), request, self._runner.within(context))

    def _add_request(self, method: str, request: Any, context: Context) -> Any:
        response = self._append(context, transaction.TransactionRequest(**{method: request}))
        if method == "start_commit":
            return response.commit
        return pfs.DeleteRepoResponse(deleted=True) if method == "delete_repo" else Empty()

    def _add_stop_job(self, _method: str, request: Any, context: Context) -> Any:
        self._append(context, transaction.TransactionRequest(stop_job=request))
        return Empty()

    def _add_create_pipeline(self, _method: str, request: Any, context: Context) -> Any:
        update, reprocess, dry_run = request.update, request.reprocess, request.dry_run
        request.update = request.reprocess = request.dry_run = False
        spec = pps.CreatePipelineV2Request(
            create_pipeline_request_json=spec_of_request(request),
            update=update,
            reprocess=reprocess,
            dry_run=dry_run,
        )
        self._add_create_pipeline_v2("", spec, context)
        return Empty()

    def _add_create_pipeline_v2(self, _method: str, request: Any, context: Context) -> Any:
        dry_run = pps.CreatePipelineV2Request.FromString(bytes(request))
        dry_run.dry_run = True
        answer = self._servicer.create_pipeline_v2(dry_run, context)
        if not request.dry_run:
            wanted = pps.CreatePipelineTransaction(
                create_pipeline_request=parse(
                    pps.CreatePipelineRequest, answer.effective_create_pipeline_request_json
                ),
                user_json=request.create_pipeline_request_json,
            )
            self._append(context, transaction.TransactionRequest(create_pipeline_v2=wanted))
        return answer


def _transaction_of(context: Context) -> str:
    """The id that came with a call, "" for none. The SDK sends an empty one after FinishTransaction."""
    found = [str(value) for key, value in context.invocation_metadata() if key == KEY]
    if len(found) > 1:
        raise unknown("multiple active transactions found in context")
    return found[0] if found else ""
