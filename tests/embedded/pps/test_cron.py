# SPDX-License-Identifier: GPL-3.0-or-later
"""Ticks while the server or the pipeline is away, and files that are no ticks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=150)


def cron(spec: str, **fields: Any) -> dict[str, Any]:
    return {"cron": {"name": "tick", "spec": spec, "start": f"{START:%Y-%m-%dT%H:%M:%SZ}", **fields}}


def names(*hours: int) -> list[str]:
    return [f"{START + timedelta(hours=hour):/%Y-%m-%dT%H:%M:%SZ}" for hour in hours]


def ticks(lab: Any, pipeline: str) -> list[str]:
    return list(lab.files(f"{pipeline}_tick"))


def test_a_restart_repeats_no_tick_and_makes_up_for_those_missed(
    serve: Any, lab_at: Any, eventually: Any
) -> None:
    process = serve()
    lab = lab_at(process.address)
    pipeline = lab.pipeline(cron("@every 1h"), "true")
    eventually(lambda: ticks(lab, pipeline) == names(1, 2))
    # As if it had been away from the first tick on.
    lab.put(f"{pipeline}_tick", delete=names(2)[0])
    commits = lab.data(f"{pipeline}_tick").history()
    process.kill()
    lab = lab_at(serve().address)
    eventually(lambda: ticks(lab, pipeline) == names(1, 2))
    assert len(lab.data(f"{pipeline}_tick").history()) == len(commits) + 1
    eventually(lambda: lab.counts(pipeline) == "SUCCESS p1 s1 t2")


def test_one_that_is_stopped_makes_up_for_its_ticks_when_it_starts(lab: Any, eventually: Any) -> None:
    pipeline = lab.pipeline(cron("@every 1h"), "true")
    eventually(lambda: ticks(lab, pipeline) == names(1, 2))
    lab.pps.stop_pipeline(pipeline=lab.key(pipeline))
    lab.put(f"{pipeline}_tick", delete=names(2)[0])
    lab.job(lab.pipeline(lab.repo(a="1"), "true"))  # by then the scheduler has looked again
    assert ticks(lab, pipeline) == names(1)
    lab.pps.start_pipeline(pipeline=lab.key(pipeline))
    eventually(lambda: ticks(lab, pipeline) == names(1, 2))


def test_a_file_that_is_no_tick_is_passed_over(lab: Any, eventually: Any) -> None:
    pipeline = lab.pipeline(cron("@never"), "true")
    lab.put(f"{pipeline}_tick", {"readme": "mine"})
    lab.pipeline(cron("@every 1h"), "true", name=pipeline, update=True)
    eventually(lambda: ticks(lab, pipeline) == [*names(1, 2), "/readme"])


def test_a_repo_that_is_gone_ends_its_ticks_and_nothing_else(lab: Any, eventually: Any) -> None:
    pipeline = lab.pipeline(cron("@every 1s"), "true")
    eventually(lambda: ticks(lab, pipeline))
    lab.pfs.delete_repo(repo=lab.data(f"{pipeline}_tick").repo, force=True)
    assert lab.counts(lab.pipeline(lab.repo(a="1"), "true")) == "SUCCESS p1 t1"


def test_one_that_is_later_than_there_are_dates_stops_no_other(lab: Any, eventually: Any) -> None:
    last = {"start": "9999-12-31T23:59:59Z"}
    lab.pipeline(cron("@every 1s", **last), "true")
    pipeline = lab.pipeline(cron("@every 1h"), "true")
    lab.pipeline(cron("* * * * *", **last), "true")
    eventually(lambda: ticks(lab, pipeline) == names(1, 2))


def test_a_file_named_by_a_time_that_is_none_in_utc_is_no_tick(lab: Any, eventually: Any) -> None:
    pipeline = lab.pipeline(cron("@every 1h"), "true")
    eventually(lambda: ticks(lab, pipeline) == names(1, 2))
    lab.put(f"{pipeline}_tick", {"0001-01-01T00:00:00-00:00": "", "9999-12-31T23:59:59-14:00": ""})
    lab.put(f"{pipeline}_tick", delete=names(2)[0])
    lab.pipeline(cron("@every 1h"), "true", name=pipeline, update=True)
    eventually(lambda: names(2)[0] in ticks(lab, pipeline))
