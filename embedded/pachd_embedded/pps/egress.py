# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step of a job with an egress: its output is copied out before its commit is finished."""

from __future__ import annotations

from ..errors import PachError
from ..pfs.service import Pfs
from .datum_runs import JobRun
from .logs import Logs
from .spec_check import egress_url

# Seconds between two tries: from the first on twice as long each time, up to the second.
FIRST_PAUSE, LAST_PAUSE = 0.5, 15.0


class Egress:
    def __init__(self, pfs: Pfs, logs: Logs) -> None:
        self._pfs = pfs
        self._logs = logs

    def run(self, job_run: JobRun) -> bool:
        """Try until it is done, as pachd does without end; False when the job was cancelled before."""
        url = egress_url(job_run.pipeline.request) or ""
        pause = FIRST_PAUSE
        while not job_run.cancelled.is_set():
            try:
                self._pfs.egress.write(self._pfs.lookup.commit_by_seq(job_run.job.output), url)
            except PachError as error:
                text = f"error processing egress: {error.text}, retrying in {pause:g}s"
                self._logs.write(job_run.job, "", text, user=False)
                job_run.cancelled.wait(pause)
                pause = min(LAST_PAUSE, 2 * pause)
            else:
                return True
        return False
