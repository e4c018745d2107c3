# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles for clusters conclude from their variables and from what they saw, without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLES = Path(__file__).parents[2] / "roles"
PLUGIN = "nvidia_device_plugin"
CLASSES = [
    {
        "metadata": {
            "name": name,
            "creationTimestamp": at,
            "annotations": {"storageclass.kubernetes.io/is-default-class": mark},
        },
        "provisioner": "csi.example.com",
    }
    for name, at, mark in [("old", "1", "true"), ("slow", "2", "false"), ("fast", "3", "true")]
]


def conclude(role: str, name: str, **variables: Any) -> Any:
    """The value of one of a role's variables; `variables` are the user's, or what it registered."""
    loader = DataLoader()
    loader.set_basedir(str(ROLES / role))
    known: dict[str, Any] = {"inventory_hostname": "localhost", "groups": {}, "hostvars": {}}
    # Where the lookup of templates searches.
    known["ansible_search_path"] = [str(ROLES / role)]
    for path in ("defaults/main.yml", "vars/main.yml"):
        known.update(loader.load_from_file(str(ROLES / role / path), trusted_as_template=True))
    known.update(variables)
    return Templar(loader, known).template(trust_as_template("{{ " + name + " }}"))


def said(version: str) -> dict[str, Any]:
    return (
        {"stdout": f"{version}+g813176c"} if version else {"stdout": "", "stderr": "", "msg": "No such\nfile"}
    )


@pytest.mark.parametrize(
    ("there", "variables", "installs"),
    [
        ("", {}, True),
        ("v3.21.4", {}, False),
        ("v3.20.0", {}, True),
        ("v3.99.0", {}, False),
        ("v3.99.0", {"helm_replace": True}, True),
        ("v2.17.0", {"helm_replace": True}, True),
        ("v3.1.0", {"helm_binary": "/opt/helm"}, False),
    ],
)
def test_which_helm_is_installed(there: str, variables: dict[str, Any], installs: bool) -> None:
    known = {"__helm_answer": said(there), "__helm_machine": {"stdout": "x86_64"}}
    assert conclude("helm", "__helm_install", **known, **variables) is installs
    assert conclude("helm", "__helm_refusals", **known, **variables) == []


@pytest.mark.parametrize(
    ("there", "variables", "words"),
    [
        ("", {"helm_version": "3.14.0"}, "helm_checksum is needed: the checksum of Helm 3.14.0 for amd64"),
        (
            "",
            {"helm_version": "2.17.0"},
            "helm_version must be a release of Helm 3, such as 3.21.4, not 2.17.0",
        ),
        ("", {"helm_binary": "/opt/helm"}, "helm_binary /opt/helm does not run: No such file"),
        ("v4.3.0", {"helm_binary": "/opt/helm"}, "helm_binary /opt/helm is Helm 4.3.0; name one of Helm 3"),
        ("v4.3.0", {}, "~/.local/bin/helm is Helm 4.3.0, and Helm 3 is needed"),
        (
            "v3.21.4",
            {"helm_repositories": [{"name": "a", "url": "u"}] * 2},
            "helm_repositories names a more than once",
        ),
    ],
)
def test_what_helm_refuses(there: str, variables: dict[str, Any], words: str) -> None:
    known = {"__helm_answer": said(there), "__helm_machine": {"stdout": "x86_64"}}
    assert words in conclude("helm", "__helm_refusals", **known, **variables)[0]


def test_repositories_that_differ_are_added() -> None:
    entry = {"url": "https://a", "username": "", "password": "", "caFile": ""}
    kept = [
        {"name": "same", **entry},
        {"name": "moved", **entry},
        {"name": "rotated", **entry, "password": "x"},
    ]
    text = yaml.safe_dump({"repositories": kept})
    coded = conclude("helm", "text | b64encode", text=text)
    declared = [
        {"name": "same", "url": "https://a"},
        {"name": "moved", "url": "https://b"},
        {"name": "rotated", "url": "https://a", "password": "y"},
        {"name": "123", "url": "https://a"},
    ]
    known = {"__helm_known_file": {"content": coded}, "helm_repositories": declared}
    added = conclude("helm", "__helm_to_add | map(attribute='name')", **known)
    assert list(added) == ["moved", "rotated", "123"]
    assert list(conclude("helm", "__helm_to_add", helm_repositories=[])) == []


def values(**variables: Any) -> dict[str, Any]:
    found: dict[str, Any] = conclude(PLUGIN, f"__{PLUGIN}_values", **variables)
    return found


def test_values_of_the_chart() -> None:
    """Keys are those of NVIDIA's chart 0.18 (deployments/helm/nvidia-device-plugin/values.yaml)."""
    assert values() == {
        "migStrategy": "none",
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "priorityClassName": "system-node-critical",
        "image": {"pullPolicy": "IfNotPresent"},
        "runtimeClassName": "nvidia",
    }
    more = values(
        nvidia_device_plugin_image="mirror:5000/k8s-device-plugin:v0.18.2",
        nvidia_device_plugin_image_pull_secrets=["a"],
        nvidia_device_plugin_runtime_class="",
        nvidia_device_plugin_node_selector={"pool": "gpu"},
        nvidia_device_plugin_values={"image": {"pullPolicy": "Always"}, "gfd": {"enabled": True}},
        nvidia_device_plugin_time_slicing_replicas=4,
        nvidia_device_plugin_time_slicing_rename=True,
    )
    image = {"pullPolicy": "Always", "repository": "mirror:5000/k8s-device-plugin", "tag": "v0.18.2"}
    assert more["image"] == image
    assert more["imagePullSecrets"] == [{"name": "a"}]
    assert more["nodeSelector"] == {"pool": "gpu"}
    # The chart's own affinity would ask for another label beside it.
    assert more["affinity"] is None
    assert more["gfd"] == {"enabled": True}
    assert "runtimeClassName" not in more
    assert yaml.safe_load(more["config"]["map"]["default"]) == {
        "version": "v1",
        "flags": {"migStrategy": "none"},
        "sharing": {
            "timeSlicing": {"renameByDefault": True, "resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}
        },
    }


@pytest.mark.parametrize(
    ("variables", "resource"),
    [
        ({}, "nvidia.com/gpu"),
        ({"nvidia_device_plugin_time_slicing_replicas": 2}, "nvidia.com/gpu"),
        (
            {
                "nvidia_device_plugin_time_slicing_replicas": 2,
                "nvidia_device_plugin_time_slicing_rename": True,
            },
            "nvidia.com/gpu.shared",
        ),
        ({"nvidia_device_plugin_mig_strategy": "single"}, "nvidia.com/gpu"),
        ({"nvidia_device_plugin_mig_strategy": "mixed"}, "nvidia.com/*"),
    ],
)
def test_under_which_name_gpus_are_waited_for(variables: dict[str, Any], resource: str) -> None:
    assert conclude(PLUGIN, f"__{PLUGIN}_resource", **variables) == resource


def manifest(**variables: Any) -> dict[str, dict[str, Any]]:
    objects = conclude(PLUGIN, f"__{PLUGIN}_objects", nvidia_device_plugin_method="manifest", **variables)
    return {item["kind"]: item for item in objects}


def test_the_manifest() -> None:
    plain = manifest()
    assert list(plain) == ["Namespace", "RuntimeClass", "DaemonSet"]
    pod = plain["DaemonSet"]["spec"]["template"]["spec"]
    assert pod["runtimeClassName"] == "nvidia"
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    (container,) = pod["containers"]
    assert container["image"] == "nvcr.io/nvidia/k8s-device-plugin:v0.18.2"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    shared = manifest(nvidia_device_plugin_time_slicing_replicas=4, nvidia_device_plugin_mig_strategy="mixed")
    more = manifest(nvidia_device_plugin_time_slicing_replicas=5)
    assert yaml.safe_load(shared["ConfigMap"]["data"]["config.yaml"])["flags"] == {"migStrategy": "mixed"}
    (container,) = shared["DaemonSet"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "CONFIG_FILE", "value": "/config/config.yaml"} in container["env"]
    assert container["securityContext"]["capabilities"] == {"add": ["SYS_ADMIN"]}
    # Another file makes other pods: the plugin reads it once.
    marks = [item["DaemonSet"]["spec"]["template"]["metadata"]["annotations"] for item in (shared, more)]
    assert marks[0] != marks[1]


def test_nodes_are_those_of_the_group_by_their_names_in_the_cluster() -> None:
    hostvars = {"a": {}, "b": {"nvidia_device_plugin_node_name": "b.lab"}}
    known = {"groups": {"gpu_nodes": ["a", "b"]}, "hostvars": hostvars}
    assert list(conclude(PLUGIN, f"__{PLUGIN}_names", **known)) == ["a", "b.lab"]
    assert conclude(PLUGIN, f"__{PLUGIN}_selector", **known) is None
    assert list(conclude(PLUGIN, f"__{PLUGIN}_names", **known, nvidia_device_plugin_nodes=["c"])) == ["c"]
    assert list(conclude(PLUGIN, f"__{PLUGIN}_names")) == []
    assert conclude(PLUGIN, f"__{PLUGIN}_selector") == "nvidia.com/gpu.present=true"
    selector = conclude(
        PLUGIN, f"__{PLUGIN}_selector", nvidia_device_plugin_node_selector={"a": "b", "c": "d"}
    )
    assert selector == "a=b,c=d"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"nvidia_device_plugin_time_slicing_replicas": 0}, "replicas must be 1 or more"),
        (
            {"nvidia_device_plugin_time_slicing_rename": True},
            "rename needs nvidia_device_plugin_time_slicing_replicas",
        ),
        (
            {"nvidia_device_plugin_method": "manifest", "nvidia_device_plugin_values": {"a": 1}},
            "is for the chart",
        ),
        (
            {"nvidia_device_plugin_args": ["--x"]},
            "nvidia_device_plugin_args is for nvidia_device_plugin_method manifest",
        ),
        (
            {"nvidia_device_plugin_namespace": "default"},
            "the chart refuses nvidia_device_plugin_namespace default",
        ),
        (
            {"nvidia_device_plugin_image": "mirror:5000/plugin"},
            "nvidia_device_plugin_image mirror:5000/plugin has no tag",
        ),
    ],
)
def test_what_the_device_plugin_refuses(variables: dict[str, Any], words: str) -> None:
    assert words in conclude(PLUGIN, f"__{PLUGIN}_refusals", **variables)[0]


def test_good_variables_are_not_refused() -> None:
    assert conclude(PLUGIN, f"__{PLUGIN}_refusals") == []


@pytest.mark.parametrize(
    ("variables", "name"),
    [
        ({}, "fast"),  # of two defaults the newer
        ({"dynamic_volumes_storage_class": "slow"}, "slow"),
        ({"dynamic_volumes_local_path": True}, "local-path"),
        ({"dynamic_volumes_local_path": True, "dynamic_volumes_local_path_default": False}, "fast"),
    ],
)
def test_which_class_is_checked(variables: dict[str, Any], name: str) -> None:
    known = {"__dynamic_volumes_classes_answer": {"objects": CLASSES}}
    assert conclude("dynamic_volumes", "__dynamic_volumes_class", **known, **variables) == name


@pytest.mark.parametrize(
    ("classes", "variables", "words"),
    [
        ([], {}, "the cluster has no default StorageClass; name one"),
        (CLASSES[1:2], {}, "the cluster has no default StorageClass (it has slow); name one"),
        (
            CLASSES,
            {"dynamic_volumes_storage_class": "nvme"},
            "nvme is no StorageClass of the cluster; it has old, slow",
        ),
        (CLASSES, {"dynamic_volumes_local_path": True}, "old, fast is the default StorageClass already"),
        (
            CLASSES,
            {
                "dynamic_volumes_local_path": True,
                "dynamic_volumes_local_path_default": False,
                "dynamic_volumes_local_path_class": "fast",
            },
            "the StorageClass fast was not made by this role",
        ),
        (
            [{**CLASSES[0], "provisioner": "kubernetes.io/no-provisioner"}],
            {},
            "the StorageClass old makes no volumes on demand",
        ),
    ],
)
def test_what_volumes_refuse(classes: list[Any], variables: dict[str, Any], words: str) -> None:
    known = {"__dynamic_volumes_classes_answer": {"objects": classes}}
    assert words in conclude(
        "dynamic_volumes", "__dynamic_volumes_refusals | join('; ')", **known, **variables
    )


@pytest.mark.parametrize(
    ("phase", "name", "shown"),
    [("Bound", "fast", True), ("Released", "fast", False), ("Bound", "slow", False)],
)
def test_a_volume_in_use_shows_that_a_class_works(phase: str, name: str, shown: bool) -> None:
    volumes = [
        {"spec": {}, "status": {"phase": "Bound"}},
        {"spec": {"storageClassName": name}, "status": {"phase": phase}},
    ]
    known = {
        "__dynamic_volumes_classes_answer": {"objects": CLASSES},
        "__dynamic_volumes_volumes_answer": {"objects": volumes},
    }
    assert conclude("dynamic_volumes", "__dynamic_volumes_shown", **known) is shown


def test_the_provisioner_knows_its_directory_and_its_own_account() -> None:
    objects = conclude(
        "dynamic_volumes",
        "__dynamic_volumes_local_path_objects",
        dynamic_volumes_local_path_directory="/data/volumes",
    )
    by_kind = {item["kind"]: item for item in objects}
    config = yaml.safe_load(by_kind["ConfigMap"]["data"]["config.json"])
    assert config["nodePathMap"][0]["paths"] == ["/data/volumes"]
    assert yaml.safe_load(by_kind["ConfigMap"]["data"]["helperPod.yaml"])["kind"] == "Pod"
    command = by_kind["Deployment"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[-2:] == ["--service-account-name", by_kind["ServiceAccount"]["metadata"]["name"]]


def objections(**variables: Any) -> list[str]:
    known = {
        f"__{PLUGIN}_seen": {"plugins": []},
        f"__{PLUGIN}_chart_answer": {},
        f"{PLUGIN}_chart_repository": "",
    }
    return list(conclude(PLUGIN, f"__{PLUGIN}_objections", **{**known, **variables}))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            {"rc": 2, "stdout": "", "stderr": ""},
            "helm does not run; run the role helm, or name a Helm 3 client",
        ),
        ({"rc": 1, "stdout": "", "stderr": "Error:\nno"}, "is no chart that Helm can read: Error: no"),
        (
            {"rc": 0, "stdout": "version: 0.17.0\n", "stderr": ""},
            "is version 0.17.0; set nvidia_device_plugin_version",
        ),
    ],
)
def test_what_is_wrong_with_a_chart(answer: dict[str, Any], words: str) -> None:
    assert words in objections(**{f"__{PLUGIN}_chart_answer": answer})[0]


def test_a_good_chart_is_taken() -> None:
    said = {"rc": 0, "stdout": "name: nvidia-device-plugin\nversion: 0.18.2\n", "stderr": ""}
    assert objections(**{f"__{PLUGIN}_chart_answer": said}) == []
    said = {"rc": 0, "stdout": "v3.21.4+g813176c", "stderr": ""}
    assert objections(**{f"__{PLUGIN}_chart_answer": said, f"{PLUGIN}_chart_repository": "https://a"}) == []


@pytest.mark.parametrize(
    ("plugin", "refused"),
    [
        (
            {"namespace": "nvidia-device-plugin", "release": "nvidia-device-plugin", "managed_by": "Helm"},
            False,
        ),
        ({"namespace": "nvidia-device-plugin", "release": None, "managed_by": "gpulab.pachyderm"}, False),
        ({"namespace": "nvidia-device-plugin", "release": "other", "managed_by": "Helm"}, True),
        ({"namespace": "kube-system", "release": None, "managed_by": None}, True),
    ],
)
def test_whose_plugin_it_is(plugin: dict[str, Any], refused: bool) -> None:
    found = objections(**{f"__{PLUGIN}_seen": {"plugins": [{**plugin, "name": "p"}]}})
    assert bool(found) is refused


@pytest.mark.parametrize(
    ("release", "done", "stuck"),
    [
        ({}, False, False),
        ({"status": "deployed", "chart": "nvidia-device-plugin-0.18.2"}, True, False),
        ({"status": "deployed", "chart": "nvidia-device-plugin-0.17.0"}, False, False),
        ({"status": "pending-upgrade", "chart": "nvidia-device-plugin-0.18.2"}, False, True),
        ({"status": "failed", "chart": "nvidia-device-plugin-0.18.2"}, False, True),
    ],
)
def test_whether_the_release_is_as_declared(release: dict[str, Any], done: bool, stuck: bool) -> None:
    answer = {f"__{PLUGIN}_release_answer": {"status": release and {**release, "values": values()}}}
    assert conclude(PLUGIN, f"__{PLUGIN}_released", **answer) is done
    assert conclude(PLUGIN, f"__{PLUGIN}_stuck", **answer) is stuck
    assert (
        conclude(PLUGIN, f"__{PLUGIN}_released", **answer, nvidia_device_plugin_priority_class="x") is False
    )
