# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachd 2.12 checks of a spec, what it leaves unchecked, and what the embedded pachd does not run."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from pachd_embedded.errors import PachError
from pachd_embedded.pps.spec import make_effective
from pachd_embedded.pps.spec_check import check_spec, unsupported


def spec(**changes: Any) -> str:
    """The text of a small valid spec with top-level keys replaced; None leaves a key out."""
    whole = {
        "pipeline": {"name": "p"},
        "transform": {"cmd": ["true"]},
        "input": {"pfs": {"repo": "data", "glob": "/*"}},
    }
    return json.dumps({key: value for key, value in (whole | changes).items() if value is not None})


def pfs_input(**changes: Any) -> dict[str, Any]:
    return {"pfs": {"repo": "data", "glob": "/*"} | changes}


def refusal(text: str) -> PachError:
    with pytest.raises(PachError) as caught:
        check_spec(make_effective(text).request, {})
    return caught.value


STATIC_ERRORS = [
    ({"tfJob": {}}, "embedding TFJobs in pipelines is not supported yet"),
    ({"reprocessSpec": "never"}, 'ReprocessSpec must be one of "until_success" or "every_job"'),
    (
        {"tolerations": [{"operator": "EXISTS"}, {}]},
        "toleration 2/2: cannot omit key/value comparison operator",
    ),
    ({"podSpec": "{"}, "malformed PodSpec"),
    ({"podPatch": "["}, "malformed PodPatch"),
    ({"service": {"type": "Nope"}}, "the following service type Nope is not allowed"),
]


@pytest.mark.parametrize(("changes", "message"), STATIC_ERRORS)
def test_what_is_wrong_by_itself_is_an_invalid_argument(changes: dict[str, Any], message: str) -> None:
    error = refusal(spec(**changes))
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT
    assert error.text.startswith("could not make effective spec: invalid effective spec {")
    assert message in error.text


UNKNOWN_ERRORS = [
    ({"pipeline": None}, "request.Pipeline cannot be nil"),
    ({"pipeline": {"name": ""}}, "request.Pipeline.Name cannot be empty"),
    ({"pipeline": {"name": "a b"}}, "only alphanumeric characters, underscores, and dashes are allowed"),
    ({"pipeline": {"name": "-a"}}, "pipeline names must start with an alphanumeric character"),
    ({"pipeline": {"name": "a" * 52}}, "is 1 characters longer than the 51 max"),
    ({"pipeline": {"name": "a" * 51, "project": {"name": "p" * 20}}}, "Kubernetes name"),
    ({"output_branch": "a b"}, "could not create/update output branch: name (a b) invalid"),
    ({"input": None}, "no input set"),
    ({"input": {}}, "no input set"),
    ({"input": {"cross": []}}, "no input set"),
    ({"input": {"cross": [pfs_input(), {}]}}, "no input set"),
    ({"input": {"pfs": {"repo": "data"}}}, "input must specify a glob"),
    ({"input": {"pfs": {}}}, "input must specify a name"),
    ({"input": {"pfs": {"name": "a", "glob": "/"}}}, "input must specify a repo"),
    ({"input": pfs_input(name="out")}, "input cannot be named out"),
    ({"input": pfs_input(repo="out")}, "input cannot be named out"),
    ({"input": pfs_input(name=".env")}, "input cannot be named .env"),
    ({"input": pfs_input(commit="0" * 32)}, "input cannot come from a commit"),
    ({"input": pfs_input() | {"cross": [pfs_input(name="b")]}}, "multiple input types set"),
    (
        {"input": {"cross": [pfs_input(name="a")], "union": [pfs_input(name="b")]}},
        "multiple input types set",
    ),
    ({"input": {"cross": [pfs_input(), pfs_input()]}}, 'name "data" was used more than once'),
    (
        {"input": {"join": [pfs_input(), pfs_input(repo="x", name="data")]}},
        'name "data" was used more than once',
    ),
    (
        {"input": {"cross": [{"union": [pfs_input(), pfs_input()]}, pfs_input()]}},
        'name "data" was used more than once',
    ),
    ({"input": {"cron": {"spec": "@daily"}}}, "input must specify a name"),
    ({"input": pfs_input(s3=True)}, "inputs that set 's3' to 'true' must also set 'glob', to \"/\""),
    ({"input": {"pfs": {"repo": "d", "s3": True}}}, "inputs that set 's3' to 'true' must also set 'glob'"),
    ({"input": pfs_input(s3=True, glob="/", lazy=True)}, "input cannot specify both 's3' and 'lazy'"),
    ({"input": pfs_input(s3=True, glob="/", emptyFiles=True)}, "both 's3' and 'empty_files'"),
    (
        {"input": {"union": [pfs_input(s3=True, glob="/")]}},
        "S3 inputs in union expressions are not supported",
    ),
    ({"transform": {"secrets": [{"name": "nope"}]}}, "missing Kubernetes secret nope"),
    (
        {"transform": {"secrets": [{"name": "s", "envVar": "X"}]}},
        "secret s has env_var set but is missing key",
    ),
    ({"spout": {}, "autoscaling": True, "input": None}, "autoscaling can't be used with spouts"),
    ({"spout": {}}, "spout pipelines (without a service) must not have an input"),
    ({"s3Out": True, "service": {}}, "s3 output is not supported in spouts or services"),
    (
        {"service": {}, "parallelismSpec": {"constant": 2}},
        "services can only be run with a constant parallelism of 1",
    ),
    ({"egress": {"sqlDatabase": {}}}, "egress.sql_database.secret is required"),
    ({"egress": {"sqlDatabase": {"secret": {"name": "a"}}}}, "egress.sql_database.secret.name and"),
    ({"pipeline": {"name": "p"}, "transform": {"image": "i", "secrets": [{"name": "a"}]}}, "secret a"),
]


@pytest.mark.parametrize(("changes", "message"), UNKNOWN_ERRORS)
def test_what_pachd_checks_before_it_creates_a_pipeline(changes: dict[str, Any], message: str) -> None:
    error = refusal(spec(**changes))
    assert error.code == grpc.StatusCode.UNKNOWN
    assert message in error.text
    assert "\n" not in error.text


UNCHECKED = [
    {"input": pfs_input(glob="/a[")},
    {"input": pfs_input(glob="*")},
    {"transform": None},
    {"transform": {"image": "no such image!"}},
    {"resourceLimits": {"memory": "1Q", "cpu": -1, "gpu": {"type": "x", "number": -1}}},
    {"resourceRequests": {"cpu": 9}, "resourceLimits": {"cpu": 1}},
    {"parallelismSpec": {"constant": 0}},
    {"input": {"join": [pfs_input(name="a"), pfs_input(name="b")]}},
    {"input": pfs_input(lazy=True, emptyFiles=True)},
    {"autoscaling": True, "service": {}},
    {"datumTries": -1},
    {"datumTries": 0},
    {"service": {"internal_port": 80, "external_port": 81}},
    {"podSpec": "{}", "metadata": {"annotations": {"a": "b"}}},
    {"input": {"union": [pfs_input(), pfs_input()]}},
    {"input": pfs_input(s3=True, glob="/")},
    {"spout": {}, "input": None},
    {"egress": {"URL": "s3://b"}},
    {"input": {"cross": [{"union": [pfs_input(), pfs_input()]}, pfs_input(repo="b")]}},
]


@pytest.mark.parametrize("changes", UNCHECKED)
def test_what_pachd_leaves_unchecked(changes: dict[str, Any]) -> None:
    check_spec(make_effective(spec(**changes)).request)


def test_an_existing_secret_must_have_the_key() -> None:
    secrets = [{"name": "s", "envVar": "X", "key": "k"}, {"name": "s", "mountPath": "/x"}]
    request = make_effective(spec(transform={"secrets": secrets})).request
    check_spec(request, {"s": ["k"]})
    with pytest.raises(PachError, match="Kubernetes secret s missing key k"):
        check_spec(request, {"s": []})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"input": pfs_input(s3=True, glob="/")}, "input.pfs.s3"),
        ({"input": pfs_input(propagationSpec={"never": True})}, "input.pfs.propagation_spec.never"),
        ({"spout": {}, "input": None}, "spout"),
        ({"service": {}}, "service"),
        ({"egress": {"sqlDatabase": {"url": "x://b"}}}, "egress.sql_database"),
        ({"s3Out": True}, "s3_out"),
        ({"transform": {"datumBatching": True}}, "transform.datum_batching"),
        ({"determined": {}}, "determined"),
        ({"input": pfs_input(name="a/b")}, "an input called 'a/b'"),
        ({"input": pfs_input(name="a\0b")}, r"an input called 'a\x00b'"),
    ],
)
def test_what_is_not_run_here_is_named(changes: dict[str, Any], named: str) -> None:
    reason = unsupported(make_effective(spec(**changes)).request, lambda _: "")
    assert reason.startswith(f"the embedded pachd does not run pipelines with {named}: ")
    assert "pipeline p," in reason


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"input": pfs_input(lazy=True, emptyFiles=True)},
        {"input": {"cross": [pfs_input(), {"union": [pfs_input(name="b"), pfs_input(name="c")]}]}},
        {"input": {"join": [pfs_input(joinOn="$1"), pfs_input(name="b", joinOn="$1")]}},
        {"input": {"group": [pfs_input(groupBy="$1")]}},
        {"input": {"cross": [pfs_input(), {"cron": {"name": "c", "spec": "@daily"}}]}},
    ],
)
def test_what_runs_here_is_not_refused(changes: dict[str, Any]) -> None:
    assert unsupported(make_effective(spec(**changes)).request, lambda _: "no") == ""


@pytest.mark.parametrize("egress", [{"URL": "file:///x"}, {"objectStorage": {"url": "file:///x"}}])
def test_an_egress_is_refused_with_the_reason_of_its_url(egress: dict[str, Any]) -> None:
    request = make_effective(spec(egress=egress)).request
    assert unsupported(request, lambda url: f"{url} is shut") == "egress of pipeline p: file:///x is shut"
    assert unsupported(request, lambda _: "") == ""
