# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines: create, update, start, stop, delete. What a pipeline does with commits is in jobs.py."""

from __future__ import annotations

import time
import uuid

from ..auth.caller import principal
from ..errors import already_exists, invalid_argument, not_found, unimplemented, unknown
from ..pfs.model import META, SPEC, USER, BranchKey, Origin, RepoKey
from ..pfs.service import Pfs
from ..store.db import Database
from .access import PipelineAccess
from .crons import Crons, cron_inputs
from .defaults import Defaults
from .input_triggers import set_triggers
from .inputs import walk_files, with_default_names
from .jobs import Jobs
from .model import Pipeline, PipelineKey, PipelineState
from .records import Records
from .secrets import Secrets
from .spec import EffectiveSpec, effective_of, make_effective, names_project
from .spec_check import check_spec, unsupported

# Who updates or stops a pipeline while auth is off, as pachd's reasons name them.
NO_USER = "unknown_username"


class Pipelines:
    def __init__(
        self,
        db: Database,
        pfs: Pfs,
        records: Records,
        jobs: Jobs,
        defaults: Defaults,
        secrets: Secrets,
        crons: Crons,
    ) -> None:
        self._db = db
        self._pfs = pfs
        self._records = records
        self._jobs = jobs
        self._defaults = defaults
        self._secrets = secrets
        self._crons = crons
        self._access = PipelineAccess(db, records)

    def create(self, user_json: str, *, dry_run: bool, update: bool, reprocess: bool) -> str:
        """CreatePipelineV2. The answer is the effective spec as proto JSON; a dry run changes nothing."""
        project = self._defaults.project_of(user_json)
        spec = make_effective(user_json, self._defaults.cluster(), self._defaults.project(project))
        # Kept apart from what follows: filling in names must not show in the answer.
        answer = spec.response_json(update=update, reprocess=reprocess)
        # As in pachd, a dry run does not look for secrets.
        check_spec(spec.request, None if dry_run else self._secrets.keys())
        if reason := unsupported(spec.request, self._pfs.egress.check):
            raise unimplemented(reason)
        if not dry_run:
            self._write(spec, update, reprocess)
        return answer

    def rerun(self, key: PipelineKey, reprocess: bool) -> None:
        """A new version of the newest spec as it is, whatever defaults have become."""
        pipeline = self._records.get_pipeline(key)
        if not names_project(pipeline.effective_json):
            raise unknown("project picker cannot be nil")  # as pachd 2.12
        self.replace(effective_of(pipeline.user_json, pipeline.effective_json), reprocess)

    def replace(self, spec: EffectiveSpec, reprocess: bool) -> None:
        """A new version of a pipeline that is there already, and was checked when it was created."""
        self._write(spec, True, reprocess)

    def _write(self, spec: EffectiveSpec, update: bool, reprocess: bool) -> None:
        request = with_default_names(spec.request)
        key = PipelineKey(request.pipeline.project.name, request.pipeline.name)
        with self._pfs.branches.commit_set():
            old = self._records.find_pipeline(key)
            if old is not None and not update:
                raise already_exists(f'pipeline "{key}" already exists')
            if self._pfs.lookup.find_project(key.project) is None:
                raise invalid_argument(f'project "{key.project}" not found')
            inputs = _input_branches(request)
            ticks = {RepoKey(cron.project, cron.repo, USER) for cron in cron_inputs(request.input)}
            for branch in inputs:
                if branch.repo not in ticks and self._pfs.lookup.find_repo(branch.repo) is None:
                    raise not_found(f"repo {branch.repo} not found")
            self._access.check_create(request, update=old is not None)
            if old is None:
                self._create_repos(key, request.description)
            else:
                reason = f"all jobs killed because pipeline was updated for user {principal() or NO_USER}"
                self._jobs.kill_all(old, reason)
            self._crons.create_repos(key, request.input)
            self._access.bind(request, old.request if old else None)
            self._commit_version(key, spec, request, old, reprocess, inputs)
            set_triggers(self._pfs.branches, request)

    def _create_repos(self, key: PipelineKey, description: str) -> None:
        if self._pfs.lookup.find_repo(key.repo(USER)) is not None:
            raise unknown(
                f'pipeline "{key.name}" cannot be created because a repo with the same name already exists'
            )
        self._pfs.repos.create(key.repo(USER), description or f"Output repo for pipeline {key}.", False)
        self._pfs.repos.create(key.repo(SPEC), f"Spec repo for pipeline {key}.", False)
        self._pfs.repos.create(key.repo(META), f"Meta repo for pipeline {key}.", False)

    def _commit_version(
        self,
        key: PipelineKey,
        spec: EffectiveSpec,
        request: object,
        old: Pipeline | None,
        reprocess: bool,
        inputs: list[BranchKey],
    ) -> None:
        """A commit to the spec repo, and with it one (and so a job) on the output branch."""
        now = time.time()
        spec_key = BranchKey(key.repo(SPEC), "master")
        branch = self._pfs.lookup.find_branch(spec_key)
        if branch is None:
            branch = self._pfs.branches.insert_for_commit(self._pfs.lookup.get_repo(spec_key.repo), "master")
        spec_commit = self._pfs.branches.add_commit(
            branch, Origin.USER, parent=branch.head or None, finished=True
        )
        if old is None:
            row = self._db.execute(
                "INSERT INTO pipeline (project, name, version, state, created) VALUES (?, ?, 1, ?, ?)",
                *(key.project, key.name, int(PipelineState.STARTING), now),
            )
            version = 1
        else:
            row, version = old.row_id, old.version + 1
            self._db.execute("UPDATE pipeline SET version = ? WHERE id = ?", version, row)
            if not old.stopped:
                self.set_state(row, PipelineState.STARTING, "")
        salt = uuid.uuid4().hex if old is None or reprocess else old.salt
        self._db.execute(
            "INSERT INTO pipeline_version VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(row, version, spec.user_json, spec.effective_json, bytes(request), salt, spec_commit.id, now),  # type: ignore[call-overload]
        )
        pipeline = self._records.get_pipeline(key)
        if not pipeline.stopped:
            self._connect(pipeline, [*inputs, spec_key])
            self._pfs.branches.mark_changed(branch)

    def _connect(self, pipeline: Pipeline, provenance: list[BranchKey]) -> None:
        self._pfs.branches.create(pipeline.output, None, provenance)
        meta = BranchKey(pipeline.key.repo(META), pipeline.output.name)
        self._pfs.branches.create(meta, None, provenance)

    def set_state(self, row_id: int, state: PipelineState, reason: str) -> None:
        self._db.execute("UPDATE pipeline SET state = ?, reason = ? WHERE id = ?", int(state), reason, row_id)

    def stop(self, key: PipelineKey, must_exist: bool) -> None:
        """No more jobs until `start`; a running one is killed."""
        with self._db.transaction():
            pipeline = self._records.find_pipeline(key)
            if pipeline is None and must_exist:
                self._records.get_pipeline(key)
            if pipeline is None:
                return
            self._access.check_change(key)
            if pipeline.stopped:
                return
            reason = f"all jobs killed because pipeline was stopped for user {principal() or NO_USER}"
            self._jobs.kill_all(pipeline, reason)
            self._db.execute("UPDATE pipeline SET stopped = 1 WHERE id = ?", pipeline.row_id)
            self.set_state(pipeline.row_id, PipelineState.PAUSED, "")
            for branch in self._derived_branches(pipeline):
                self._pfs.branches.clear_provenance(branch)

    def start(self, key: PipelineKey) -> None:
        """Run again: always one new job, which does what came meanwhile."""
        with self._pfs.branches.commit_set():
            pipeline = self._records.get_pipeline(key)
            self._access.check_change(key)
            if not pipeline.stopped:
                return
            self._db.execute("UPDATE pipeline SET stopped = 0 WHERE id = ?", pipeline.row_id)
            self.set_state(pipeline.row_id, PipelineState.STARTING, "")
            spec_key = BranchKey(key.repo(SPEC), "master")
            self._connect(pipeline, [*_input_branches(pipeline.request), spec_key])

    def delete(self, key: PipelineKey, *, force: bool, keep_repo: bool, must_exist: bool) -> bool:
        with self._db.transaction():
            pipeline = self._records.find_pipeline(key)
            if pipeline is None:
                if must_exist:
                    self._records.get_pipeline(key)
                return False
            self._access.check_delete(key)
            self._access.unbind(pipeline.request)
            self._jobs.kill_all(pipeline, "job stopped")
            self._db.execute("DELETE FROM pipeline WHERE id = ?", pipeline.row_id)
            for branch in self._derived_branches(pipeline):
                self._pfs.branches.clear_provenance(branch)
            for type_ in (META, SPEC) if keep_repo else (USER, META, SPEC):
                self._pfs.repos.remove(key.repo(type_), force)
            self._crons.delete_repos(pipeline.request.input, force)
            return True

    def delete_all(
        self, projects: list[str], all_projects: bool, force: bool, keep_repo: bool
    ) -> list[PipelineKey]:
        """Delete the pipelines of projects, the last created first (so those downstream go first)."""
        with self._db.transaction():
            keys = [p.key for p in self._records.pipelines() if all_projects or p.key.project in projects]
            for key in keys:
                self.delete(key, force=force, keep_repo=keep_repo, must_exist=False)
            return keys

    def _derived_branches(self, pipeline: Pipeline) -> list[BranchKey]:
        keys = [BranchKey(pipeline.key.repo(type_), pipeline.output.name) for type_ in (USER, META)]
        return [key for key in keys if self._pfs.lookup.find_branch(key) is not None]


def _input_branches(request: object) -> list[BranchKey]:
    found: list[BranchKey] = []
    for node in walk_files(request.input):  # type: ignore[attr-defined]
        key = BranchKey(RepoKey(node.project, node.repo, node.repo_type or USER), node.branch)
        if key not in found:
            found.append(key)
    return found
