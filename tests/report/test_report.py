# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab report tells, where it draws it, and when it is written."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._plan import Outcome
from ansible_collections.gpulab.pachyderm.plugins.module_utils._report import write_report
from ansible_collections.gpulab.pachyderm.plugins.module_utils._report_data import report_data
from ansible_collections.gpulab.pachyderm.plugins.module_utils._report_graph import draw, time_line
from tests.report import labs


def write(directory: Path, found: dict[str, Any], changes: str = "", check: bool = False) -> Outcome:
    options = {"dest": str(directory / "report.html"), "title": "Lab report", "changes_from": changes}
    return write_report(options | found, check)


def changed(outcome: Outcome) -> bool:
    assert outcome.plan is not None
    return outcome.plan.changed


def test_the_second_time_writes_nothing(tmp_path: Path) -> None:
    found = labs.whole(pipelines=5, jobs=9)
    assert changed(write(tmp_path, found, check=True))
    assert list(tmp_path.iterdir()) == []
    assert changed(write(tmp_path, found))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert not changed(write(tmp_path, found))
    found["pachyderm"]["repos"][0]["size_bytes"] += 1000
    assert changed(write(tmp_path, found))


def test_a_run_without_changes_leaves_what_an_earlier_one_did(tmp_path: Path) -> None:
    recorded = tmp_path / "changes"
    change = {"host": "gpu1", "task": "Install", "actions": ["create repo data"]}
    recorded.write_text(json.dumps(change) + "\n")
    found = labs.whole(pipelines=1, jobs=1)
    write(tmp_path, found, str(recorded))
    assert "create repo data" in (tmp_path / "report.html").read_text()
    assert not changed(write(tmp_path, found, str(tmp_path / "of a run that changed nothing")))
    assert json.loads((tmp_path / "report.json").read_text())["changes"] == [change]
    recorded.write_text(json.dumps(change | {"task": "Upgrade"}) + "\n")
    assert changed(write(tmp_path, found, str(recorded)))
    assert [one["task"] for one in json.loads((tmp_path / "report.json").read_text())["changes"]] == [
        "Upgrade"
    ]


def test_the_data_have_no_secret_of_a_spec(tmp_path: Path) -> None:
    write(tmp_path, labs.whole(pipelines=2, jobs=1))
    for path in tmp_path.iterdir():
        assert "hush" not in path.read_text()


def test_the_log_of_a_failure_is_above_the_list_of_jobs(tmp_path: Path) -> None:
    write(tmp_path, labs.whole(pipelines=5, jobs=9))
    text = (tmp_path / "report.html").read_text()
    assert 0 < text.index("Last lines of step-04") < text.index('aria-label="Newest jobs"')


def test_what_needs_attention_comes_first_and_is_red_where_it_is_drawn(tmp_path: Path) -> None:
    found = labs.whole(pipelines=6, jobs=9)
    found["cluster"]["capacity"]["nodes"][0]["plugin"]["ready"] = False
    found["pachyderm"]["pipelines"][0]["last_job_state"] = "JOB_UNRUNNABLE"
    write(tmp_path, found)
    assert json.loads((tmp_path / "report.json").read_text())["problems"] == [
        "node gpu3: Driver/library version mismatch",
        "node gpu4: no route to host",
        "cluster node gpu1: no device plugin is ready",
        "cluster node gpu2: not ready",
        "pod default/train waits for a GPU: 0/2 nodes",
        "pipeline default/step-00: the newest job's state is unrunnable",
        "pipeline default/step-04: failure: no such image",
    ]
    page = (tmp_path / "report.html").read_text()
    assert page.index("pod default/train waits") < page.index("What the newest run with changes did")
    assert re.findall(r'<g class="bad"[^>]*>\s*<title>([^<]*)', page) == [
        "default/step-00",
        "default/step-04",
    ]
    assert "job unrunnable" in page


def test_a_lab_that_is_well_says_so(tmp_path: Path) -> None:
    found = labs.whole(pipelines=2, jobs=2)
    found["nodes"] = found["nodes"][:1]
    found["cluster"]["capacity"] |= {"nodes": found["cluster"]["capacity"]["nodes"][:1], "pending": []}
    write(tmp_path, found)
    page = (tmp_path / "report.html").read_text()
    assert "Nothing: all that was looked at is well." in page
    assert "1 GPU node\n" in page
    assert "In all: 8 nvidia.com/gpu lent, 3 in use" in page


def test_of_a_node_that_does_not_answer_nothing_is_said_to_be_missing(tmp_path: Path) -> None:
    write(tmp_path, labs.whole(pipelines=1, jobs=1))
    page = (tmp_path / "report.html").read_text()
    asked, away = (page.split(f">{name}</th>")[1].split("</tr>")[0] for name in ("gpu3", "gpu4"))
    assert 'data-as="driver">none<' in asked
    assert "none" not in away


def test_the_changes_of_a_first_run_are_folded(tmp_path: Path) -> None:
    recorded = tmp_path / "changes"
    change = {"host": "gpu1", "task": "Install", "actions": []}
    recorded.write_text((json.dumps(change) + "\n") * 12)
    write(tmp_path, labs.whole(pipelines=1, jobs=1), str(recorded))
    assert "<summary>2 more</summary>" in (tmp_path / "report.html").read_text()


def test_what_does_not_answer_is_told() -> None:
    gone = {"failed": False, "failed_when_result": False, "msg": "pachd at x:\n no answer"}
    found = {
        "nodes": [],
        "cluster": {"capacity": {"msg": "refused"}, "versions": {}},
        "pachyderm": gone,
        "logs": [],
    }
    data = report_data(found, [])
    assert data["pachyderm"]["error"] == "pachd at x: no answer"
    assert data["cluster"]["error"] == "refused"
    nodes = report_data(labs.whole(1, 1), [])["nodes"]
    assert [node["problems"] for node in nodes] == [
        [],
        [],
        ["Driver/library version mismatch"],
        ["no route to host"],
    ]
    assert len(nodes[0]["gpus"]) == 2


def test_arrows_go_from_left_to_right_and_reach_every_box() -> None:
    lab = report_data(labs.whole(60, 9), [])["pachyderm"]
    drawing = draw(lab["repos"], lab["pipelines"])
    at = {box.name: box for box in drawing.boxes}
    arrows = [(above, one["name"]) for one in lab["pipelines"] for above in one["inputs"]]
    assert len(drawing.edges) == len(arrows) > 100
    assert all(at[a].x < at[b].x for a, b in arrows)
    assert all(box.x < drawing.width and box.y < drawing.height for box in drawing.boxes)


def test_a_pipeline_is_one_box_and_an_edge_bends_around_those_between() -> None:
    def one(name: str, *inputs: str) -> dict[str, Any]:
        return {"name": name, "inputs": list(inputs)}

    drawing = draw([{"name": "a"}, {"name": "b"}], [one("b", "a"), one("c", "b", "a")])
    assert [(box.name, box.pipeline) for box in drawing.boxes] == [("a", False), ("b", True), ("c", True)]
    assert sorted(path.count("C") for path in drawing.edges) == [1, 1, 2]


def test_a_time_line() -> None:
    jobs: list[dict[str, Any]] = [
        {"pipeline": "p", "created": labs.moment(0), "started": labs.moment(10), "finished": labs.moment(50)},
        {"pipeline": "p", "created": labs.moment(50), "started": labs.moment(60), "finished": None},
        {"pipeline": "q", "created": labs.moment(100), "started": None, "finished": None},
    ]
    line = time_line(jobs)
    assert line is not None
    assert (line.first, line.last) == (labs.moment(0), labs.moment(100))
    places = [(bar.x, bar.run, bar.end) for bar in line.rows["p"]]
    assert places == [(0.0, 99.7, 498.5), (498.5, 598.2, 997.0)]
    assert [(bar.x, bar.run, bar.end) for bar in line.rows["q"]] == [(997.0, 997.0, 1000.0)]
    assert time_line([]) is None


def test_without_igraph_the_page_has_no_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "igraph", None)
    outcome = write(tmp_path, labs.whole(2, 1))
    assert "igraph" in outcome.warnings[0]
    page = (tmp_path / "report.html").read_text()
    assert 'class="graph"' not in page
    assert "step-01" in page


def test_where_no_pipeline_came_or_went_nothing_is_placed_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = labs.whole(pipelines=20, jobs=9)
    write(tmp_path, found)
    page = (tmp_path / "report.html").read_text()
    monkeypatch.setitem(sys.modules, "igraph", None)
    outcome = write(tmp_path, found)
    assert not changed(outcome)
    assert outcome.warnings == []
    found["pachyderm"]["repos"][0]["size_bytes"] += 1000
    assert changed(write(tmp_path, found))
    drawn = [
        re.findall("<(?:rect|path) [^>]*>", text) for text in (page, (tmp_path / "report.html").read_text())
    ]
    assert drawn[0] == drawn[1]
    found["pachyderm"]["pipelines"].pop()
    assert "igraph" in write(tmp_path, found).warnings[0]


def test_data_and_page_need_two_names(tmp_path: Path) -> None:
    with pytest.raises(PachydermError, match=r"ends in \.html"):
        write_report(labs.whole(1, 1) | {"dest": str(tmp_path / "report.json"), "changes_from": ""}, False)
