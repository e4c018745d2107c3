# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared objects against those of a cluster, without a cluster."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes_objects import parse_objects
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes_objects_plan import (
    ANNOTATION,
    contains,
    plan_absent,
    plan_patched,
    plan_present,
    stamped,
)

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "namespace": "demo"},
    "spec": {
        "replicas": 2,
        "template": {
            "spec": {
                "hostNetwork": False,
                "tolerations": [],
                "containers": [
                    {
                        "name": "c",
                        "image": "x:1",
                        "env": [{"name": "A", "value": "1"}],
                        "resources": {"requests": {"cpu": 0.1, "memory": "1024Mi"}},
                    }
                ],
            }
        },
    },
}
SECRET: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s", "namespace": "demo"},
    "stringData": {"password": "geheim"},
}
NODE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "gpu1", "labels": {"a": "b"}},
}


def as_served(declared: dict[str, Any]) -> dict[str, Any]:
    """What the API server makes of it: defaults, its own form of quantities, nothing that is empty."""
    actual = copy.deepcopy(stamped(declared))
    actual["metadata"].update(uid="1", resourceVersion="7", managedFields=[{"manager": "x"}])
    if actual["kind"] == "Deployment":
        actual["spec"]["progressDeadlineSeconds"] = 600
        pod = actual["spec"]["template"]["spec"]
        del pod["hostNetwork"], pod["tolerations"]
        pod["containers"][0]["resources"]["requests"] = {"cpu": "100m", "memory": "1Gi"}
        pod["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
    return actual


@pytest.mark.parametrize("declared", [DEPLOYMENT, SECRET, NODE])
def test_what_is_as_declared_is_left_alone(declared: dict[str, Any]) -> None:
    assert not plan_present([(declared, as_served(declared))]).changed
    assert plan_present([(declared, None)]).summary[0]["action"] == "create"


def test_what_others_made_as_declared_is_left_alone_too() -> None:
    actual = as_served(DEPLOYMENT)
    del actual["metadata"]["annotations"]
    assert not plan_present([(DEPLOYMENT, actual)]).changed


@pytest.mark.parametrize(
    "path",
    [
        ["spec", "replicas"],
        ["spec", "template", "spec", "containers", 0, "image"],
        ["spec", "template", "spec", "containers", 0, "env", 0, "value"],
        ["spec", "template", "spec", "containers", 0, "resources", "requests", "cpu"],
    ],
)
def test_a_changed_field_is_written(path: list[Any]) -> None:
    written = [{"action": "change", "kind": "Deployment", "name": "demo/d"}]
    assert plan_present([(with_seven(DEPLOYMENT, path), as_served(DEPLOYMENT))]).summary == written
    # Also where somebody else changed it, and the declaration is what it was.
    assert plan_present([(DEPLOYMENT, with_seven(as_served(DEPLOYMENT), path))]).summary == written


def with_seven(item: dict[str, Any], path: list[Any]) -> dict[str, Any]:
    changed = copy.deepcopy(item)
    inner: Any = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = 7
    return changed


def test_what_is_no_longer_declared_is_a_change() -> None:
    less = copy.deepcopy(DEPLOYMENT)
    del less["spec"]["template"]["spec"]["containers"][0]["env"]
    assert plan_present([(less, as_served(DEPLOYMENT))]).changed


def test_an_added_list_item_is_a_change() -> None:
    assert not contains({"a": [1, 2]}, {"a": [1]})
    assert not contains({"a": [1]}, {"a": []})
    assert contains({}, {"a": [], "b": None, "c": {}, "d": False})


def test_a_diff_shows_no_secret() -> None:
    other = copy.deepcopy(SECRET)
    other["stringData"]["password"] = "anders"
    for plan in (plan_present([(other, as_served(SECRET))]), plan_present([(SECRET, None)])):
        text = str(plan.result)
        assert plan.changed
        assert "changes" in text
        assert not [word for word in ("geheim", "Z2VoZWlt", "anders", "YW5kZXJz") if word in text]


def test_absent_removes_what_was_made_here_and_names_the_rest() -> None:
    foreign = as_served(DEPLOYMENT)
    del foreign["metadata"]["annotations"][ANNOTATION]
    plan = plan_absent([(SECRET, as_served(SECRET)), (DEPLOYMENT, foreign), (NODE, None)])
    assert plan.summary == [{"action": "delete", "kind": "Secret", "name": "demo/s"}]
    assert plan.warnings == ("Deployment demo/d was not made by gpulab.pachyderm and is left alone",)


def test_absent_goes_backwards_and_waits_for_what_goes_already() -> None:
    going = as_served(SECRET)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert not plan_absent([(SECRET, going)]).changed
    plan = plan_absent([(SECRET, as_served(SECRET)), (DEPLOYMENT, as_served(DEPLOYMENT))])
    assert [action.kind for action in plan.actions] == ["Deployment", "Secret"]


def test_patched_changes_what_is_there_and_makes_nothing() -> None:
    bare = {**NODE, "metadata": {"name": "gpu1"}}
    assert plan_patched([(NODE, bare)]).summary[0]["action"] == "patch"
    assert not plan_patched([(NODE, NODE)]).changed
    gone = {**NODE, "metadata": {"name": "gpu1", "labels": {"a": None}}}
    assert plan_patched([(gone, NODE)]).changed
    assert not plan_patched([(gone, bare)]).changed
    with pytest.raises(PachydermError, match="Node gpu1: is not there"):
        plan_patched([(NODE, None)])


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"kind": "Pod"}, r"objects\[0\]: has no apiVersion"),
        ({"apiVersion": "v1", "kind": "Pod"}, r"objects\[0\]: has no metadata"),
        (
            {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {}}},
            r"objects\[0\]: has no metadata.name",
        ),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": "x"}, r"objects\[0\]: has no metadata.name"),
    ],
)
def test_what_is_no_object_is_named(item: dict[str, Any], message: str) -> None:
    with pytest.raises(PachydermError, match=message):
        parse_objects({"objects": [item], "state": "present", "wait": 0})
