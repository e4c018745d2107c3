# SPDX-License-Identifier: GPL-3.0-or-later
"""Cron inputs: an empty file named by the time, in a repo of the pipeline's own, at each tick.

The last file says which tick was the last, so ticks survive restarts: those that came while the server or the
pipeline was stopped are made up for, one commit each.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from pachyderm_sdk.api import pps

from ..cron_spec import parse
from ..errors import PachError, unknown
from ..pfs.edits import Add, Change, Delete
from ..pfs.model import USER, BranchKey, CommitRef, RepoKey
from ..pfs.service import Pfs
from .inputs import walk_inputs
from .model import Pipeline, PipelineKey

log = logging.getLogger(__name__)


class Crons:
    def __init__(self, pfs: Pfs) -> None:
        self._pfs = pfs
        # When each cron input ticks next (None: never), from the first look at a version of its pipeline on.
        self._next: dict[tuple[int, int, str], datetime | None] = {}

    def create_repos(self, pipeline: PipelineKey, node: Any) -> None:
        """For the cron inputs of a pps.Input; those that are there already (of an earlier version) stay."""
        for cron in cron_inputs(node):
            key = RepoKey(cron.project, cron.repo, USER)
            if self._pfs.lookup.find_repo(key) is None:
                self._pfs.repos.create(key, f"Cron tick repo for pipeline {pipeline}.", False)

    def delete_repos(self, node: Any, force: bool) -> None:
        for cron in cron_inputs(node):
            key = RepoKey(cron.project, cron.repo, USER)
            if self._pfs.lookup.find_repo(key) is not None:
                self._pfs.repos.remove(key, force)

    def run(self, pipeline: Pipeline) -> None:
        """RunCron: one tick now for each cron input."""
        crons = list(cron_inputs(pipeline.request.input))
        if not crons:
            raise unknown("pipeline doesn't have a cron input")
        now = datetime.now(UTC)
        for cron in crons:
            self._tick(cron, now)

    def due(self, pipelines: Iterable[Pipeline]) -> float:
        """Make the ticks that are due, one for each input; the answer is the seconds until the next one."""
        now = datetime.now(UTC)
        known, self._next = self._next, {}
        wait = math.inf
        for pipeline in pipelines:
            for cron in () if pipeline.stopped else cron_inputs(pipeline.request.input):
                key = (pipeline.row_id, pipeline.version, cron.name)
                at = known[key] if key in known else self._after_last(cron)
                if at is not None and at <= now:
                    at = self._tick_at(pipeline, cron, at)
                self._next[key] = at
                if at is not None:
                    wait = min(wait, max(0.0, at.timestamp() - time.time()))
        return wait

    def _tick_at(self, pipeline: Pipeline, cron: Any, at: datetime) -> datetime | None:
        """When the tick after this one is. A repo that takes none (it was deleted) ends the cron."""
        try:
            self._tick(cron, at)
        except PachError as error:
            log.warning("cron %s of pipeline %s ends: %s", cron.name, pipeline.key, error.text)
            return None
        return parse(cron.spec).next(at)

    def _after_last(self, cron: Any) -> datetime | None:
        """The tick after the newest file, or after the start where that is later."""
        last = cron.start.astimezone(UTC)
        branch = self._pfs.lookup.find_branch(_branch(cron))
        if branch is not None and branch.head:
            tree = self._pfs.lookup.commit_by_seq(branch.head).tree
            for info in self._pfs.files.tree(tree).children("/"):
                try:
                    last = max(last, datetime.fromisoformat(info.path.rpartition("/")[2]).astimezone(UTC))
                except (ValueError, OverflowError):
                    continue  # a file that somebody else put there
        return parse(cron.spec).next(last)

    def _tick(self, cron: Any, at: datetime) -> None:
        changes: list[Change] = [Delete("/", "")] if cron.overwrite else []
        changes.append(Add(f"/{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "", b""))
        key = _branch(cron)
        self._pfs.files.modify(CommitRef(key.repo, branch=key.name), changes)


def cron_inputs(node: Any) -> Iterator[Any]:
    return (each for each in walk_inputs(node) if isinstance(each, pps.CronInput))


def _branch(cron: Any) -> BranchKey:
    return BranchKey(RepoKey(cron.project, cron.repo, USER), "master")
