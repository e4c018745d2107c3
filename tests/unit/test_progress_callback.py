# SPDX-License-Identifier: GPL-3.0-or-later
"""What the callback progress says, and when."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.callback.progress import (
    CallbackModule,
    Lines,
    Watch,
    is_wanted,
)

HOSTS = [f"gpu{number}" for number in range(1, 6)]


def said(what: str, time: float = 105.0, pid: int = 1, **fields: Any) -> str:
    return json.dumps({"time": time, "pid": pid, "what": what, **fields})


def watch(*hosts: str, since: float = 100.0) -> Watch:
    """All of them are at one task, with lines every 5 seconds."""
    made = Watch(5.0)
    made.begin(len(hosts))
    for host in hosts:
        made.start(host, "id", "Install the driver", since)
    return made


@pytest.mark.parametrize(
    ("show", "environment", "terminal", "wanted"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"CI": "true"}, True, False),
        ("auto", {"CI": "1"}, True, False),
        ("auto", {"CI": "false"}, True, True),
        ("auto", {"CI": ""}, True, True),
        ("always", {"CI": "true"}, False, True),
        ("never", {}, True, False),
    ],
)
def test_who_is_told(show: str, environment: dict[str, str], terminal: bool, wanted: bool) -> None:
    assert is_wanted(show, environment, terminal) is wanted


def test_a_short_task_is_quiet() -> None:
    made = watch("localhost")
    assert made.line(104.9) is None
    made.end("localhost", "id")
    assert made.line(200.0) is None


def test_what_has_not_changed_is_said_again_after_a_while() -> None:
    made = watch("localhost")
    lines = {now: made.line(now) for now in range(100, 171, 5)}
    assert {now: line for now, line in lines.items() if line} == {
        105: "waiting 5 s: Install the driver: on localhost",
        135: "waiting 35 s: Install the driver: on localhost",
        165: "waiting 1 min 5 s: Install the driver: on localhost",
    }


def test_the_hosts_that_are_waited_for() -> None:
    made = watch(*HOSTS)
    told = "waiting 5 s: Install the driver: on gpu1, gpu2, gpu3 and 2 more; done on 0 of the play's 5 hosts"
    assert made.line(105.0) == told
    for host in ("gpu1", "gpu4", "gpu5"):
        made.end(host, "id")
    told = "waiting 10 s: Install the driver: on gpu2, gpu3; done on 3 of the play's 5 hosts"
    assert made.line(110.0) == told


def test_hosts_that_are_further_do_not_count() -> None:
    """As with strategy free: the task that was begun first is told."""
    made = watch("gpu1", "gpu2")
    made.end("gpu2", "id")
    made.start("gpu2", "next", "Reboot", 101.0)
    assert made.line(110.0) == ("waiting 10 s: Install the driver: on gpu1; done on 1 of the play's 2 hosts")


def test_another_play_begins_anew() -> None:
    made = watch(*HOSTS)
    made.begin(1)
    assert made.line(200.0) is None
    made.start("localhost", "id", "Wait", 200.0)
    assert made.line(205.0) == "waiting 5 s: Wait: on localhost"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"done": 3, "total": 4, "unit": "datums", "note": "job a1b2 running"},
            "3 of 4 datums, job a1b2 running",
        ),
        ({"done": 0, "total": 0, "unit": "datums", "note": "job a1b2 starting"}, "job a1b2 starting"),
        ({"done": 1_200_000, "total": 2_000_000_000, "unit": "bytes"}, "1.2 of 2000.0 MB"),
        ({"note": "no job yet"}, "no job yet"),
    ],
)
def test_what_a_module_says(fields: dict[str, Any], words: str) -> None:
    made = watch("localhost")
    made.hear(said("train", **fields))
    assert made.line(106.0) == f"waiting 6 s: Install the driver: train: {words}"


def test_the_newest_word_of_each_process_counts() -> None:
    made = watch("localhost")
    made.hear(said("a", note="old"))
    made.hear(said("b", pid=2, note="two"))
    made.hear(said("a", note="new"))
    assert made.line(106.0) == "waiting 6 s: Install the driver: a: new; b: two"


def test_what_was_said_before_the_task_or_long_ago_does_not_count() -> None:
    made = watch("localhost")
    made.hear(said("before", time=99.0, note="x"))
    assert made.line(105.0) == "waiting 5 s: Install the driver: on localhost"
    made.hear(said("of it", time=105.0, note="x"))
    assert made.line(110.0) == "waiting 10 s: Install the driver: of it: x"
    assert made.line(125.0) == "waiting 25 s: Install the driver: on localhost"


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "{}", '{"pid": [], "time": 1, "what": ""}', '{"pid": 1, "time": "x", "what": ""}']
)
def test_what_is_no_line_is_passed_over(line: str) -> None:
    made = watch("localhost")
    made.hear(line)
    assert made.line(105.0) == "waiting 5 s: Install the driver: on localhost"


def test_several_playbooks_of_one_run_have_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible tells the start of each, and the end once."""
    monkeypatch.setenv("GPULAB_PROGRESS", "somebody's")
    callback = CallbackModule()
    monkeypatch.setattr(callback, "get_option", {"show": "always", "interval": 3600.0}.__getitem__)
    before = set(threading.enumerate())
    callback.v2_playbook_on_start(None)
    callback.v2_playbook_on_start(None)
    started = set(threading.enumerate()) - before
    callback.v2_playbook_on_stats(None)
    assert len(started) == 1
    assert set(threading.enumerate()) <= before


def test_a_line_is_read_once_and_as_a_whole(tmp_path: Path) -> None:
    lines = Lines(tmp_path / "told")
    assert list(lines.new()) == []
    with (tmp_path / "told").open("w", buffering=1) as file:
        seen = []
        for part in ("a\nb", "c\n\u00fc", "", "\n"):
            file.write(part)
            file.flush()
            seen.append(list(lines.new()))
    assert seen == [["a\n"], ["bc\n"], [], ["\u00fc\n"]]


def test_a_line_stays_one_line_of_a_terminal() -> None:
    made = watch("localhost")
    made.hear(said("pod", note="\x1b[2J gone\r\nbell\a" + " and more" * 50))
    line = made.line(105.0)
    assert line is not None
    assert line.isprintable()
    assert len(line) <= 160
    assert "pod: [2J gone bell and more" in line
    assert line.endswith(" ...")
