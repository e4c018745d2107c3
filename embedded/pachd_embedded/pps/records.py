# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads of pipelines and jobs, and the errors when they are not there."""

from __future__ import annotations

import json
from typing import Any

from ..errors import not_found
from ..pfs.model import CommitRef
from ..store.db import Database
from .model import Job, JobState, Pipeline, PipelineKey

_PIPELINE = (
    "SELECT pipeline.*, v.version AS of_version, v.user_json, v.effective_json, v.request, v.salt,"
    " v.spec_commit, v.updated FROM pipeline JOIN pipeline_version AS v ON v.pipeline_id = pipeline.id"
)
_NEWEST = " AND v.version = pipeline.version"


class Records:
    """`find_*` answer None, `get_*` raise as pachd does."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find_pipeline(self, key: PipelineKey) -> Pipeline | None:
        where = " WHERE pipeline.project = ? AND pipeline.name = ?" + _NEWEST
        row = self._db.row(_PIPELINE + where, key.project, key.name)
        return Pipeline.of(row) if row else None

    def get_pipeline(self, key: PipelineKey) -> Pipeline:
        found = self.find_pipeline(key)
        if found is None:
            raise not_found(f'pipeline "{key}" not found')
        return found

    def find_pipeline_of(self, job: Job) -> Pipeline | None:
        """The version of the pipeline that the job runs; None once the pipeline is deleted."""
        where = " WHERE pipeline.id = ? AND v.version = ?"
        row = self._db.row(_PIPELINE + where, job.pipeline_id, job.version)
        return Pipeline.of(row) if row else None

    def pipeline_of(self, job: Job) -> Pipeline:
        found = self.find_pipeline_of(job)
        if found is None:
            raise not_found(f"the pipeline of job {job.id} was deleted")
        return found

    def pipelines(self) -> list[Pipeline]:
        """The newest version of each, the last created first."""
        rows = self._db.rows(_PIPELINE + " WHERE 1" + _NEWEST + " ORDER BY pipeline.id DESC")
        return [Pipeline.of(row) for row in rows]

    def versions(self, key: PipelineKey) -> list[Pipeline]:
        """All versions, the newest first."""
        where = " WHERE pipeline.project = ? AND pipeline.name = ? ORDER BY v.version DESC"
        return [Pipeline.of(row) for row in self._db.rows(_PIPELINE + where, key.project, key.name)]

    def jobs(self, where: str, *values: object) -> list[Job]:
        """Jobs by a condition, given with its ORDER BY."""
        return [Job.of(row) for row in self._db.rows(f"SELECT * FROM job WHERE {where}", *values)]

    def find_job(self, pipeline_id: int, job_id: str) -> Job | None:
        row = self._db.row("SELECT * FROM job WHERE pipeline_id = ? AND id = ?", pipeline_id, job_id)
        return Job.of(row) if row else None

    def get_job(self, key: PipelineKey, job_id: str) -> Job:
        pipeline = self.find_pipeline(key)
        found = self.find_job(pipeline.row_id, job_id) if pipeline else None
        if found is None:
            raise not_found(f"jobs {key}@{job_id} not found")
        return found

    def job_by_seq(self, seq: int) -> Job | None:
        row = self._db.row("SELECT * FROM job WHERE seq = ?", seq)
        return Job.of(row) if row else None

    def last_job(self, pipeline: Pipeline) -> Job | None:
        found = self.jobs("pipeline_id = ? ORDER BY seq DESC LIMIT 1", pipeline.row_id)
        return found[0] if found else None

    def sets_that_read(self, ref: CommitRef) -> set[str]:
        """The ids of the job sets in which some commit was made from this one."""
        rows = self._db.rows(
            "SELECT DISTINCT c.id FROM commit_provenance AS p JOIN pfs_commit AS c ON c.seq = p.seq"
            " JOIN pfs_commit AS u ON u.seq = p.upstream JOIN repo ON repo.id = u.repo_id"
            " JOIN project ON project.id = repo.project_id"
            " WHERE u.id = ? AND project.name = ? AND repo.name = ? AND repo.type = ?",
            *(ref.id, ref.repo.project, ref.repo.name, ref.repo.type),
        )
        return {row["id"] for row in rows}

    def last_success(self, job: Job) -> Job | None:
        """The job before this one whose datums and output it builds on; its commit was not dropped."""
        found = self.jobs(
            "pipeline_id = ? AND seq < ? AND state = ?"
            " AND EXISTS (SELECT 1 FROM pfs_commit WHERE pfs_commit.seq = job.output)"
            " ORDER BY seq DESC LIMIT 1",
            *(job.pipeline_id, job.seq, int(JobState.SUCCESS)),
        )
        return found[0] if found else None

    def datums_done(self, job: Job) -> dict[str, Any]:
        """What a job that runs has come to so far: by datum its `result` and the `files` of its output."""
        rows = self._db.rows("SELECT datum, result FROM datum_done WHERE job_seq = ? ORDER BY datum", job.seq)
        return {row["datum"]: json.loads(row["result"]) for row in rows}
