# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of Docker's daemon.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_docker import how_to_apply
from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_types import (
    RuntimeConfigError,
)

OURS = {"path": "/usr/bin/nvidia-container-runtime"}
OTHERS = """{
\t"log-driver": "json-file",
\t"default-runtime": "crun", "runtimes": {"crun": {"path": "/usr/bin/crun"}},
\t"features": {"buildkit": true}}"""
# As the package nvidia-docker2 brought it.
NVIDIA_DOCKER2 = '{\n  "runtimes": {\n    "nvidia": {\n      "path": "nvidia-container-runtime",\n'
NVIDIA_DOCKER2 += '      "runtimeArgs": []\n    }\n  }\n}\n'
NodeMaker = Callable[..., Any]


def settings(node: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(node.config.read_text())
    return read


def test_daemon_json_is_merged_never_overwritten(node: NodeMaker) -> None:
    docker = node("docker", OTHERS)
    result = docker.run()
    assert settings(docker) == {
        **json.loads(OTHERS),
        "runtimes": {"crun": {"path": "/usr/bin/crun"}, "nvidia": OURS},
    }
    assert list(settings(docker)) == list(json.loads(OTHERS))
    assert '\n\t"runtimes": {\n\t\t"crun"' in docker.config.read_text()
    assert result["changed"]
    assert result["files"] == [str(docker.config)]
    assert (result["pending"], result["apply"]) == (True, "reload")
    with open(result["backup_file"]) as backup:
        assert backup.read() == OTHERS
    assert result["diff"][0]["before"] == OTHERS
    assert result["diff"][0]["after"] == docker.config.read_text()


def test_second_run_changes_nothing_and_still_waits_for_the_reload(node: NodeMaker) -> None:
    docker = node("docker", OTHERS)
    docker.run()
    files = docker.files()
    again = docker.run()
    assert (again["changed"], again["files"], again["diff"]) == (False, [], [])
    assert (again["pending"], again["apply"]) == (True, "reload")
    assert docker.files() == files
    docker.marker.unlink()
    assert (docker.run()["pending"], docker.run()["apply"]) == (False, None)


def test_check_mode_predicts_and_writes_nothing(node: NodeMaker) -> None:
    docker = node("docker", OTHERS)
    predicted = docker.run(check=True)
    assert docker.files() == {"daemon.json": OTHERS}
    assert not docker.marker.exists()
    done = docker.run()
    assert {**done, "backup_file": None} == predicted


@pytest.mark.parametrize("text", [None, "", " \n", "{}"])
def test_no_settings_yet(node: NodeMaker, text: str | None) -> None:
    docker = node("docker", text)
    docker.run()
    assert settings(docker) == {"runtimes": {"nvidia": OURS}}
    docker.absent()
    assert docker.files() == ({} if text is None else {"daemon.json": text})


def test_what_docker_reads_as_nothing_is_nothing(node: NodeMaker) -> None:
    docker = node("docker", '{"runtimes": null, "features": null}')
    docker.run(cdi=True)
    assert settings(docker) == {"runtimes": {"nvidia": OURS}, "features": {"cdi": True}}


def test_a_byte_order_mark_goes_since_an_old_docker_does_not_start_with_it(node: NodeMaker) -> None:
    docker = node("docker", '\ufeff{"log-driver": "local"}')
    docker.run()
    assert settings(docker) == {"log-driver": "local", "runtimes": {"nvidia": OURS}}
    docker.absent()
    assert docker.files() == {"daemon.json": '{"log-driver": "local"}'}


def test_absent_leaves_a_file_that_says_nothing_of_nvidia(node: NodeMaker) -> None:
    docker = node("docker", '\ufeff{"log-driver": "local"}')
    assert not docker.absent()["changed"]
    assert docker.files() == {"daemon.json": '\ufeff{"log-driver": "local"}'}


def test_escapes_stay(node: NodeMaker) -> None:
    """Half of a pair is no character by itself: it can be written as an escape only."""
    docker = node("docker", r'{"log-driver": "\u00e9\ud800"}')
    docker.run()
    assert r'"\u00e9\ud800"' in docker.config.read_text()


def test_keys_added_by_hand_survive(node: NodeMaker) -> None:
    docker = node("docker", OTHERS)
    docker.run(set_as_default=True, cdi=True)
    docker.config.write_text(docker.config.read_text().replace('"json-file"', '"local"'))
    assert not docker.run(set_as_default=True, cdi=True)["changed"]
    assert docker.absent()["changed"]
    assert settings(docker) == {**json.loads(OTHERS), "log-driver": "local"}
    assert not docker.absent()["changed"]


def test_absent_restores_every_byte(node: NodeMaker) -> None:
    docker = node("docker", OTHERS)
    docker.run()
    docker.run(set_as_default=True)
    docker.run(cdi=True)
    assert docker.absent()["files"] == [str(docker.config)]
    assert docker.files() == {"daemon.json": OTHERS}
    again = docker.absent()
    assert not again["changed"]


def test_default_runtime_becomes_what_it_was(node: NodeMaker) -> None:
    docker = node("docker", OTHERS)
    docker.run(set_as_default=True)
    assert settings(docker)["default-runtime"] == "nvidia"
    docker.run(set_as_default=False)
    assert settings(docker)["default-runtime"] == "crun"


def test_default_runtime_of_others_stays(node: NodeMaker) -> None:
    text = json.dumps({"default-runtime": "nvidia", "runtimes": {"nvidia": OURS}})
    docker = node("docker", text)
    assert not docker.run()["changed"]
    docker.absent()
    # Docker does not start with a default runtime that is not there.
    assert docker.files() == {}


def test_a_runtime_set_differently_keeps_its_other_keys(node: NodeMaker) -> None:
    own = {"path": "/opt/wrapper", "runtimeArgs": ["--debug"]}
    docker = node("docker", json.dumps({"runtimes": {"nvidia": own}, "default-runtime": "nvidia"}))
    docker.run()
    assert settings(docker)["runtimes"]["nvidia"] == {**own, **OURS}
    docker.config.write_text(docker.config.read_text() + "\n")
    docker.absent()
    assert settings(docker) == {"runtimes": {"nvidia": own}, "default-runtime": "nvidia"}


def test_a_runtime_by_its_shim_becomes_one_by_its_path(node: NodeMaker) -> None:
    """Docker does not start with both, nor with options beside a path; `--validate` finds no fault."""
    shim = {"runtimeType": "io.containerd.runc.v2", "options": {"BinaryName": OURS["path"]}}
    text = json.dumps({"runtimes": {"nvidia": shim}})
    docker = node("docker", text)
    docker.run()
    assert settings(docker) == {"runtimes": {"nvidia": OURS}}
    assert not docker.run()["changed"]
    docker.absent()
    assert docker.files() == {"daemon.json": text}


def test_nvidia_docker2_is_taken_over_and_leaves_nothing(node: NodeMaker) -> None:
    docker = node("docker", NVIDIA_DOCKER2)
    docker.run()
    assert settings(docker)["runtimes"]["nvidia"]["path"] == OURS["path"]
    docker.absent()
    assert docker.files() == {}


def test_nvidia_docker2_alone_is_removed(node: NodeMaker) -> None:
    docker = node("docker", NVIDIA_DOCKER2)
    assert docker.absent()["changed"]
    assert docker.files() == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,\n "b" 2}', "line 2, column 6: not valid JSON: Expecting ':' delimiter"),
        ("[1]", "not a JSON object but a list"),
        ('{"runtimes": []}', "runtimes is not an object"),
        ('{"features": 1}', "features is not an object"),
        ('{"runtimes": {"nvidia": "x"}}', "runtimes.nvidia is not an object"),
        # Docker takes both; only one would be written back.
        ('{"runtimes": {"a": {}}, "runtimes": {"b": {}}}', "the key runtimes is there twice"),
        ('{"bogus": 1}', "the following directives don't match any configuration option: bogus"),
    ],
)
def test_a_file_that_is_not_valid_is_refused(node: NodeMaker, text: str, message: str) -> None:
    docker = node("docker", text)
    with pytest.raises(RuntimeConfigError) as caught:
        docker.run()
    assert str(docker.config) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert docker.files() == {"daemon.json": text}
    assert not docker.marker.exists()


def test_docker_that_cannot_validate(node: NodeMaker) -> None:
    docker = node("docker", OTHERS, docker="20.10")
    assert docker.run()["changed"]


@pytest.mark.parametrize("program", ["dockerd", "nvidia-container-runtime"])
def test_program_is_not_installed(node: NodeMaker, program: str) -> None:
    docker = node("docker", OTHERS, missing=(program,))
    predicted = docker.run(check=True)
    assert (predicted["changed"], predicted["pending"]) == (True, True)
    assert f"{program} is not installed yet" in predicted["msg"]
    with pytest.raises(RuntimeConfigError, match=f"{program} is not installed"):
        docker.run()
    assert docker.files() == {"daemon.json": OTHERS}
    docker.config.write_text(NVIDIA_DOCKER2)
    assert docker.absent()["changed"]


@pytest.mark.parametrize(
    ("old", "new", "apply"),
    [
        ({}, {"runtimes": {"nvidia": OURS}}, "reload"),
        ({"runtimes": {"nvidia": OURS, "crun": {}}}, {"runtimes": {"crun": {}}}, "reload"),
        ({"default-runtime": "crun"}, {"default-runtime": "nvidia"}, "reload"),
        ({"runtimes": {"nvidia": OURS}}, {}, "restart"),
        ({"default-runtime": "nvidia", "runtimes": {}}, {"runtimes": {}}, "restart"),
        ({}, {"features": {"cdi": True}}, "restart"),
    ],
)
def test_a_reload_does_for_keys_that_stay_in_the_file(old: Any, new: Any, apply: str) -> None:
    assert how_to_apply(old, new) == apply


def test_a_restart_that_waits_is_not_made_a_reload(node: NodeMaker) -> None:
    docker = node("docker", OTHERS)
    assert docker.run(cdi=True)["apply"] == "restart"
    assert docker.run(cdi=True, set_as_default=True)["apply"] == "restart"
    assert docker.marker.read_text() == "restart"
