# SPDX-License-Identifier: GPL-3.0-or-later
"""The PPS API's datums and logs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from betterproto.lib.google.protobuf import Empty
from pachyderm_sdk.api import pps

from ..errors import PachError, unimplemented, unknown
from ..pps.inputs import fill_input, is_set, walk_inputs
from ..pps.job_inputs import preview
from ..pps.model import DatumInput, DatumResult, Job, Pipeline
from ..pps.running import names_of
from .messages import Context, project_name
from .pps_base import PpsMethods
from .pps_messages import datum_file, datum_info, log_message, pipeline_key

# How many datums CreateDatum sends where a request names no number.
DATUM_BATCH = 100


class DatumMethods(PpsMethods):
    def list_datum(self, request: Any, _context: Context) -> Iterator[Any]:
        """Those of a job, or with an input instead those that it would make now; by datum id."""
        if request.job and is_set(request.input):
            raise unknown("cannot specify both job and input")
        if request.reverse and not request.number:
            raise unknown("number must be > 0 when reverse is set")
        if request.job:
            infos = self._datums_of(self._job(request.job))
        elif is_set(request.input):
            infos = self._datums_of_input(request.input, "list")
        else:
            raise unknown("must specify a job")
        ordered = reversed(list(infos)) if request.reverse else infos
        marker, states = request.pagination_marker, request.filter.state
        sent = 0
        for info in ordered:
            if _is_past(info.datum.id, marker, request.reverse) and (not states or info.state in states):
                yield info
                sent += 1
                if sent == request.number:
                    return

    def create_datum(self, requests: Iterator[Any], _context: Context) -> Iterator[Any]:
        """The datums that an input would make now, a batch for each request."""
        first = next(requests, None)
        if first is None or not is_set(first.start):
            raise unknown("first message must be a StartCreateDatumRequest message")
        if not is_set(first.start.input):
            raise unknown("first message must specify an input")
        infos: Iterator[Any] = self._datums_of_input(first.start.input, "create")
        number = first.start.number
        while True:
            yield from islice(infos, number if number > 0 else DATUM_BATCH)
            ahead = next(infos, None)
            if ahead is None:
                return
            infos = chain([ahead], infos)
            following = next(requests, None)
            if following is None:
                return
            if not is_set(following.continue_):
                raise unknown("subsequent messages must be a ContinueCreateDatumRequest message")
            number = following.continue_.number

    def _datums_of(self, job: Job) -> Iterator[Any]:
        """Of a job that runs, those that are done."""
        key = self._records.pipeline_of(job).key
        found: Iterable[tuple[str, Any]] = self._pps.datum_trees.scan(job.datums)
        if job.finished is None:
            found = [(datum, entry["result"]) for datum, entry in self._records.datums_done(job).items()]
        for datum_id, value in found:
            yield datum_info(key, job, datum_id, DatumResult.of(value))

    def _datums_of_input(self, node: Any, verb: str) -> Iterator[Any]:
        if any(isinstance(each, pps.CronInput) for each in walk_inputs(node)):
            reason = "there will be no datums until the pipeline is created"
            raise unknown(f"can't {verb} datums with a cron input, {reason}")
        fill_input(node, "", project_name(None))
        request = pps.CreatePipelineRequest(input=node)
        try:
            for datum in preview(self._pps.pfs, request):
                yield pps.DatumInfo(
                    datum=pps.Datum(id=datum.id),
                    data=[
                        datum_file(DatumInput(f.project, f.repo, f.commit, f.path, f.hash.hex(), f.size))
                        for f in datum.files
                    ],
                )
        except PachError as error:
            raise unknown(error.text) from None  # as pachd: also for what is not found

    def inspect_datum(self, request: Any, _context: Context) -> Any:
        if not request.datum or not request.datum.id:
            raise unknown("must specify a datum")
        job = self._job(request.datum.job)
        if job.finished is None:
            value = self._records.datums_done(job).get(request.datum.id, {}).get("result")
        else:
            value = self._pps.datum_trees.get(job.datums, request.datum.id)
        if value is None:
            raise unknown(f"datum {request.datum.id} not found in job {job.id}")
        key = self._records.pipeline_of(job).key
        return datum_info(key, job, request.datum.id, DatumResult.of(value))

    def restart_datum(self, request: Any, _context: Context) -> Any:
        """End the code of the running datums that have all files of the filter; each uses up one try."""
        job = self._job(request.job)
        if not self._pps.running.cancel(job.seq, request.data_filters):
            shown = " ".join(request.data_filters)
            raise unknown(f"datum matching filter [{shown}] could not be found for job ID {job.id}")
        return Empty()

    # Logs

    def get_logs(self, request: Any, context: Context) -> Iterator[Any]:
        """What user code wrote and what the worker says of it, oldest first."""
        jobs = self._logged(request)
        datum = request.datum.id if request.datum else ""
        since = time.time() - request.since.total_seconds() if request.since else 0.0
        by_seq = {job.seq: (job, self._records.pipeline_of(job)) for job in jobs}
        if request.follow:
            lines = self._pps.logs.follow(jobs, datum, since, request.tail, lambda: not context.is_active())
        else:
            lines = self._pps.logs.read(jobs, datum, since, request.tail)
        for line in lines:
            message = self._log_message(*by_seq[line["job_seq"]], line, request.data_filters)
            if message is not None:
                yield message

    def _logged(self, request: Any) -> list[Job]:
        """The jobs whose logs are asked for."""
        if request.job:
            if not request.job.pipeline or not request.job.pipeline.name:
                raise unknown("pipeline must be specified for the given job")
            if request.pipeline and pipeline_key(request.pipeline) != pipeline_key(request.job.pipeline):
                raise unknown("job is from the wrong pipeline")
            job = self._job(request.job)
            self._access.check_logs(self._records.pipeline_of(job))
            return [job]
        if request.pipeline and request.pipeline.name:
            pipeline = self._records.get_pipeline(pipeline_key(request.pipeline))
            self._access.check_logs(pipeline)
            return self._records.jobs("pipeline_id = ? ORDER BY seq", pipeline.row_id)
        if request.datum or request.data_filters:
            raise unknown("must specify the Job or Pipeline that the datum is from to get logs for it")
        raise unimplemented("the embedded pachd writes its own log to stderr; name a pipeline or a job")

    def _log_message(self, job: Job, pipeline: Pipeline, row: Any, filters: list[str]) -> Any | None:
        """The line as a message; None where its datum does not have the files of `filters`."""
        value = self._pps.datum_trees.get(job.datums, row["datum"]) if row["datum"] else None
        inputs = DatumResult.of(value).inputs if value else []
        known = {name for file in inputs for name in names_of(file.path, bytes.fromhex(file.hash))}
        if not known.issuperset(filters):
            return None
        data = [pps.InputFile(path=file.path, hash=bytes.fromhex(file.hash)) for file in inputs]
        return log_message(pipeline, job, row, data)

    def query_loki(self, _request: Any, _context: Context) -> Iterator[Any]:
        raise unimplemented("the embedded pachd has no Loki; ask for the logs of a pipeline or a job")

    def get_kube_events(self, _request: Any, _context: Context) -> Iterator[Any]:
        raise unimplemented("the embedded pachd runs on no Kubernetes, which would have events")


def _is_past(datum_id: str, marker: str, reverse: bool) -> bool:
    if not marker:
        return True
    return datum_id < marker if reverse else datum_id > marker
