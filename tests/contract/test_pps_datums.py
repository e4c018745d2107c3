# SPDX-License-Identifier: GPL-3.0-or-later
"""Datums of inputs in inputs, in sets and batches; lists of them; logs by job, datum, file and time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk.api import pps

Spec = dict[str, Any]


@pytest.fixture
def repos(lab: Any) -> dict[str, str]:
    """l and r have a file for each of three and two keys, s has two files."""
    return {
        "l": lab.repo(**{"a-1": "", "a-2": "", "b-1": ""}),
        "r": lab.repo(**{"a-9": "", "c-1": ""}),
        "s": lab.repo(x="", y=""),
    }


def leaf(name: str, /, **fields: Any) -> Spec:
    glob = "/*" if name == "s" else "/(*)-*"
    key = {} if name == "s" else {"join_on": "$1", "group_by": "$1"}
    return {"pfs": {"repo": name, "name": name, "glob": glob, **key, **fields}}


L, R, S = leaf("l"), leaf("r"), leaf("s")
OUTER_L, OUTER_R = leaf("l", outer_join=True), leaf("r", outer_join=True)

# An input, and the files of each of its datums in their order.
NESTED: dict[str, tuple[Spec, list[str]]] = {
    "cross of a join": (
        {"cross": [{"join": [L, R]}, S]},
        ["a-1 a-9 x", "a-1 a-9 y", "a-2 a-9 x", "a-2 a-9 y"],
    ),
    "cross of a group": ({"cross": [{"group": [L]}, S]}, ["a-1 a-2 x", "a-1 a-2 y", "b-1 x", "b-1 y"]),
    "cross of a union": (
        {"cross": [{"union": [leaf("r", name="u"), leaf("s", name="u")]}, leaf("s", glob="/x")]},
        ["a-9 x", "c-1 x", "x x", "y x"],
    ),
    "cross of crosses": (
        {"cross": [{"cross": [R, S]}, leaf("l", glob="/b-1")]},
        ["b-1 a-9 x", "b-1 a-9 y", "b-1 c-1 x", "b-1 c-1 y"],
    ),
    "union of a join and a cross": (
        {"union": [{"join": [L, R]}, {"cross": [leaf("s", glob="/x"), leaf("r", glob="/c-1")]}]},
        ["a-1 a-9", "a-2 a-9", "c-1 x"],
    ),
    "union of groups": ({"union": [{"group": [L]}, {"group": [R]}]}, ["a-1 a-2", "a-9", "b-1", "c-1"]),
    "union of outer joins": (
        {"union": [{"join": [L, OUTER_R]}, S]},
        ["a-1 a-9", "a-2 a-9", "c-1", "x", "y"],
    ),
    "join of a union": (
        {"join": [{"union": [leaf("l", glob="/(*)-1"), leaf("l", glob="/(*)-2")]}, R]},
        ["a-1 a-9", "a-2 a-9"],
    ),
    "outer join of both": ({"join": [OUTER_L, OUTER_R]}, ["a-1 a-9", "a-2 a-9", "b-1", "c-1"]),
    "group of a join": ({"group": [{"join": [L, R]}]}, ["a-1 a-9 a-2 a-9"]),
    "group of a union": (
        {"group": [{"union": [leaf("l", name="u"), leaf("r", name="u")]}]},
        ["a-1 a-2 a-9", "b-1", "c-1"],
    ),
    "join of a file with itself": (
        {"join": [leaf("r", name="p"), leaf("r", name="q")]},
        ["a-9 a-9", "c-1 c-1"],
    ),
    "cross with nothing": ({"cross": [L, leaf("r", glob="/none")]}, []),
    "union with nothing": ({"union": [R, leaf("l", glob="/none")]}, ["a-9", "c-1"]),
    "join without common keys": ({"join": [leaf("l", glob="/(b)-*"), R]}, []),
}


def with_repos(node: Any, lab: Any, repos: dict[str, str]) -> Any:
    """The input with the names of the test's repos."""
    if isinstance(node, list):
        return [with_repos(each, lab, repos) for each in node]
    if "repo" in node:
        return {**node, "repo": repos[node["repo"]], "project": lab.project}
    return {kind: with_repos(inner, lab, repos) for kind, inner in node.items()}


def files_of(infos: Iterator[Any]) -> list[str]:
    return sorted(" ".join(file.file.path.strip("/") for file in info.data) for info in infos)


@pytest.mark.parametrize("name", NESTED)
def test_inputs_in_inputs(lab: Any, repos: dict[str, str], name: str) -> None:
    node, expected = NESTED[name]
    found = lab.pps.list_datum(input=pps.Input().from_dict(with_repos(node, lab, repos)))
    assert sorted(" ".join(sorted(text.split())) for text in files_of(found)) == sorted(
        " ".join(sorted(text.split())) for text in expected
    )


@pytest.mark.parametrize("name", ["cross of a join", "union of a join and a cross", "group of a union"])
def test_a_job_has_the_datums_that_its_input_lists(lab: Any, repos: dict[str, str], name: str) -> None:
    node = with_repos(NESTED[name][0], lab, repos)
    listed = [info.datum.id for info in lab.pps.list_datum(input=pps.Input().from_dict(node))]
    pipeline = lab.pipeline(node, "true")
    run = [info.datum.id for info in lab.pps.list_datum(job=lab.job(pipeline).job)]
    assert run == listed == sorted(listed)


class TestSets:
    """How many datums a worker takes at once changes how long a job takes, and nothing else."""

    @pytest.mark.parametrize(
        "spec",
        [{"number": "1"}, {"number": "2"}, {"number": "100"}, {"sizeBytes": "3"}, {"perWorker": "2"}, {}],
    )
    @pytest.mark.parametrize("workers", [1, 3])
    def test_all_datums_are_run_once(self, lab: Any, spec: Spec, workers: int) -> None:
        files = {f"f{number}": "x" * number for number in range(5)}
        pipeline = lab.pipeline(
            lab.repo(**files),
            "cp /pfs/*-*/* /pfs/out/",
            datumSetSpec=spec,
            parallelismSpec={"constant": str(workers)},
        )
        assert lab.counts(pipeline) == "SUCCESS p5 t5"
        assert lab.files(pipeline) == {f"/{name}": content for name, content in files.items()}

    def test_a_failed_one_leaves_the_rest_of_its_set(self, lab: Any) -> None:
        pipeline = lab.pipeline(
            lab.repo(a="", b="", c=""),
            "[ ! -e /pfs/*/b ]",
            datumSetSpec={"number": "3"},
            datumTries=1,
        )
        assert lab.counts(pipeline) == "FAILURE p2 f1 t3"


class TestLists:
    @pytest.fixture
    def job(self, lab: Any) -> Any:
        """Of two datums that were run, one that failed and one that was skipped."""
        repo = lab.repo(a="1")
        pipeline = lab.pipeline(repo, "[ ! -e /pfs/*/b ]", datumTries=1)
        lab.job(pipeline)
        lab.put(repo, {"b": "2", "c": "3", "d": "4"})
        return lab.job(pipeline).job

    @pytest.mark.parametrize(
        ("states", "count"),
        [(["SUCCESS"], 2), (["FAILED"], 1), (["SKIPPED"], 1), (["SUCCESS", "FAILED"], 3), (["RECOVERED"], 0)],
    )
    def test_a_filter_by_state(self, lab: Any, job: Any, states: list[str], count: int) -> None:
        wanted = pps.ListDatumRequestFilter(state=[pps.DatumState[state] for state in states])
        infos = list(lab.pps.list_datum(job=job, filter=wanted))
        assert len(infos) == count
        assert {pps.DatumState(info.state).name for info in infos} <= set(states)

    def test_number_counts_what_the_filter_lets_through(self, lab: Any, job: Any) -> None:
        wanted = pps.ListDatumRequestFilter(state=[pps.DatumState.SUCCESS])
        assert len(list(lab.pps.list_datum(job=job, filter=wanted, number=1))) == 1

    def test_of_an_input_all_states_are_unknown(self, lab: Any) -> None:
        node = pps.Input(pfs=pps.PfsInput(repo=lab.repo(a="1"), project=lab.project, glob="/*"))
        assert [info.state for info in lab.pps.list_datum(input=node)] == [pps.DatumState.UNKNOWN]

    def test_of_an_input_in_pages(self, lab: Any) -> None:
        repo = lab.repo(a="", b="", c="")
        node = pps.Input(pfs=pps.PfsInput(repo=repo, project=lab.project, glob="/*"))
        ids = [info.datum.id for info in lab.pps.list_datum(input=node)]
        rest = lab.pps.list_datum(input=node, pagination_marker=ids[0], number=1)
        assert [info.datum.id for info in rest] == ids[1:2]
        last = lab.pps.list_datum(input=node, reverse=True, number=2)
        assert [info.datum.id for info in last] == [ids[2], ids[1]]

    def test_a_job_and_an_input(self, lab: Any, job: Any, refused: Any) -> None:
        node = pps.Input(pfs=pps.PfsInput(repo="x", glob="/"))
        with refused(StatusCode.UNKNOWN, "cannot specify both job and input"):
            list(lab.pps.list_datum(job=job, input=node))

    def test_one_must_be_named_with_its_job(self, lab: Any, refused: Any) -> None:
        with refused(StatusCode.UNKNOWN, "must specify a datum"):
            lab.pps.inspect_datum()
        with refused(StatusCode.UNKNOWN, "must specify a job"):
            lab.pps.inspect_datum(datum=pps.Datum(id="x"))


class TestCreateDatum:
    def node(self, lab: Any, **files: str) -> Any:
        return pps.Input(pfs=pps.PfsInput(repo=lab.repo(**files), project=lab.project, glob="/*"))

    def test_as_many_as_are_asked_for_each_time(self, lab: Any) -> None:
        node = self.node(lab, a="", b="", c="")
        asked: list[int] = []

        def requests() -> Iterator[Any]:
            yield pps.CreateDatumRequest(start=pps.StartCreateDatumRequest(input=node, number=2))
            asked.append(1)
            yield pps.CreateDatumRequest(continue_=pps.ContinueCreateDatumRequest(number=2))

        infos = list(lab.pps.create_datum(requests()))
        assert files_of(iter(infos)) == ["a", "b", "c"]
        assert {info.state for info in infos} == {pps.DatumState.UNKNOWN}
        assert asked == [1]

    def test_without_a_number_there_is_a_batch(self, lab: Any) -> None:
        node = self.node(lab, a="", b="")
        requests = [pps.CreateDatumRequest(start=pps.StartCreateDatumRequest(input=node))]
        assert len(list(lab.pps.create_datum(iter(requests)))) == 2

    def test_the_sdks_own_batches(self, lab: Any) -> None:
        batches = lab.pps.generate_datums(self.node(lab, a="", b="", c=""), 2)
        assert [len(next(batches)), len(batches.send(2))] == [2, 1]

    def test_the_first_message_has_the_input(self, lab: Any, refused: Any) -> None:
        more = pps.CreateDatumRequest(continue_=pps.ContinueCreateDatumRequest(number=1))
        with refused(StatusCode.UNKNOWN, "first message must be a StartCreateDatumRequest message"):
            list(lab.pps.create_datum(iter([more])))


class TestLogs:
    @pytest.fixture
    def logged(self, lab: Any) -> tuple[str, Any]:
        """A pipeline with two datums that say their file, and its job."""
        pipeline = lab.pipeline(lab.repo(a="1", b="2"), "echo $(cd /pfs/*-*; echo *)")
        return pipeline, lab.job(pipeline).job

    def lines(self, lab: Any, **request: Any) -> list[str]:
        return sorted(line.message for line in lab.pps.get_logs(**request) if line.user)

    def test_of_a_pipeline_and_of_a_job(self, lab: Any, logged: tuple[str, Any]) -> None:
        pipeline, job = logged
        assert self.lines(lab, pipeline=lab.key(pipeline)) == self.lines(lab, job=job) == ["a", "b"]

    def test_of_a_datum(self, lab: Any, logged: tuple[str, Any]) -> None:
        _, job = logged
        said = {
            info.data[0].file.path: self.lines(lab, job=job, datum=info.datum)
            for info in lab.pps.list_datum(job=job)
        }
        assert said == {"/a": ["a"], "/b": ["b"]}

    def test_of_a_file_by_path_and_hash(self, lab: Any, logged: tuple[str, Any]) -> None:
        _, job = logged
        info = next(info for info in lab.pps.list_datum(job=job) if info.data[0].file.path == "/b")
        for name in ("/b", info.data[0].hash.hex()):
            assert self.lines(lab, job=job, data_filters=[name]) == ["b"]
        assert self.lines(lab, job=job, data_filters=["/a", "/b"]) == []

    def test_since(self, lab: Any, logged: tuple[str, Any]) -> None:
        pipeline, _ = logged
        assert self.lines(lab, pipeline=lab.key(pipeline), since=timedelta(hours=1)) == ["a", "b"]

    @pytest.mark.parametrize("request_fields", [{"data_filters": ["/a"]}, {"datum": pps.Datum(id="x")}])
    def test_a_datum_alone_is_not_enough(self, client: Any, refused: Any, request_fields: Any) -> None:
        text = "must specify the Job or Pipeline that the datum is from to get logs for it"
        with refused(StatusCode.UNKNOWN, text):
            list(client.pps.get_logs(**request_fields))

    def test_a_job_of_another_pipeline(self, lab: Any, logged: tuple[str, Any], refused: Any) -> None:
        _, job = logged
        with refused(StatusCode.UNKNOWN, "job is from the wrong pipeline"):
            self.lines(lab, job=job, pipeline=lab.key("other"))

    def test_a_job_without_its_pipeline(self, lab: Any, refused: Any) -> None:
        with refused(StatusCode.UNKNOWN, "pipeline must be specified for the given job"):
            self.lines(lab, job=pps.Job(id="f" * 32))

    def test_following_a_job_ends_with_it(self, lab: Any) -> None:
        pipeline = lab.pipeline(lab.repo(a="1"), "echo begun", "echo done")
        job = lab.jobs(pipeline)[0].job
        lines = [line.message for line in lab.pps.get_logs(job=job, follow=True) if line.user]
        assert lines == ["begun", "done"]
