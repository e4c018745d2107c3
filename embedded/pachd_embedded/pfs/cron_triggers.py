# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the triggers that are a matter of time: at each tick the branch's head becomes the source's."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime

from ..cron_spec import Schedule, parse
from ..store.db import Database
from .branches import Branches
from .lookup import Lookup
from .model import Branch, BranchKey
from .triggers import Trigger, Triggers

log = logging.getLogger(__name__)

# Looked again after so many seconds at the latest; after a change of the database, at once.
IDLE_SECONDS = 60.0
# Changes come in bursts, of which one look at the end tells as much.
PAUSE_SECONDS = 0.05


class CronTriggers:
    """At work between `start` and `stop`.

    The first tick is counted from the start of the branch's head, so that it does not wait anew when the
    server starts again. Ticks that were missed come as one.
    """

    def __init__(self, db: Database, lookup: Lookup, branches: Branches, triggers: Triggers) -> None:
        self._db = db
        self._lookup = lookup
        self._branches = branches
        self._triggers = triggers
        self._stopping = threading.Event()
        self._loop = threading.Thread(target=self._run, name="cron-triggers")
        # By branch: the expression, and the tick or start that the next one is counted from.
        self._since: dict[int, tuple[str, datetime]] = {}

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._stopping.set()
        self._db.wake()
        if self._loop.is_alive():
            self._loop.join()

    def _run(self) -> None:
        seen, seconds = -1, 0.0
        while not self._stopping.is_set():
            seen = self._db.wait_for_change(seen, seconds)
            try:
                seconds = self._tick(datetime.now(UTC))
            except Exception:
                # One tick that fails, on a full disk for instance, must not end the others.
                log.exception("a cron trigger failed")
                seconds = IDLE_SECONDS
            self._stopping.wait(PAUSE_SECONDS)

    def _tick(self, now: datetime) -> float:
        """Fire what is due; the answer is how many seconds there are until something is again."""
        next_due = IDLE_SECONDS
        with self._db.hold():
            found = self._triggers.with_cron()
            self._since = {branch.row_id: self._counted_from(branch, trigger) for branch, trigger in found}
            for branch, trigger in found:
                schedule = parse(trigger.cron_spec)
                due = schedule.next(self._since[branch.row_id][1])
                if due is not None and due <= now:
                    self._fire(branch, trigger)
                    self._since[branch.row_id] = trigger.cron_spec, _last_tick(schedule, due, now)
                    due = schedule.next(self._since[branch.row_id][1])
                if due is not None:
                    next_due = min(next_due, (due - now).total_seconds())
        return next_due

    def _counted_from(self, branch: Branch, trigger: Trigger) -> tuple[str, datetime]:
        spec, since = self._since.get(branch.row_id, ("", None))
        if since is None or spec != trigger.cron_spec:
            started = self._lookup.commit_by_seq(branch.head).started
            since = datetime.fromtimestamp(started, UTC)
        return trigger.cron_spec, since

    def _fire(self, branch: Branch, trigger: Trigger) -> None:
        source = self._lookup.get_branch(BranchKey(branch.key.repo, trigger.branch))
        with self._branches.commit_set():
            self._branches.set_head(branch.row_id, source.head)
            self._branches.mark_changed(branch)


def _last_tick(schedule: Schedule, due: datetime, now: datetime) -> datetime:
    """The tick to count on from: `due`, or now where more than that one was missed."""
    following = schedule.next(due)
    return due if following is None or following > now else now
