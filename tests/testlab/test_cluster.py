# SPDX-License-Identifier: GPL-3.0-or-later
"""What the testlab's cluster computes without starting anything: plans, images, settings, inventories."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from testlab import lab
from testlab.cache import TestlabError
from testlab.cluster import archive, cluster, commands, images, kubeadm, kwok
from testlab.cluster.archive import Image
from testlab.cluster.commands import COMMANDS, Command
from testlab.engine import Engine
from testlab.lab import Node

CONTROL = Node("simulated", "control", "trixie", "10.9.8.2", "running")
WORKER = Node("simulated", "gpu1", "trixie", "10.9.8.3", "running")
TOKEN = "abcdef.0123456789abcdef"


def module(top: Path, **packages: str) -> Path:
    """A Go module with the given commands, as source."""
    (top / "go.mod").write_text("module example.org/x\n\ngo 1.26.0\n")
    (top / "go.sum").write_text("")
    for name, body in packages.items():
        (top / name).mkdir()
        (top / name / "main.go").write_text(
            f"package main\n\nvar version string\n\nfunc main() {{ {body} }}\n"
        )
    return top


def command(directory: Path, name: str) -> Command:
    return Command(name, directory, f"./{name}", (("main.version", "v1"),))


def test_a_command_has_a_key_of_its_own(tmp_path: Path) -> None:
    source = module(tmp_path, one="", two="")
    one, two = command(source, "one"), command(source, "two")
    before = one.target(tmp_path), two.target(tmp_path)
    (source / "one/main.go").write_text("package main\n\nfunc main() { println() }\n")
    assert one.target(tmp_path) != before[0]
    assert two.target(tmp_path) == before[1]
    assert replace(two, stamps=(("main.version", "v2"),)).target(tmp_path) != before[1]
    (source / "go.sum").write_text("changed")
    assert two.target(tmp_path) != before[1]


def test_go_names_a_command_by_the_last_word_that_is_no_version() -> None:
    built = {name: entry.file for name, entry in COMMANDS.items() if name != entry.file}
    assert built == {"etcd": "server"}


def test_every_stamp_is_of_the_pinned_version() -> None:
    for entry in COMMANDS.values():
        pins = (entry.directory / "go.mod").read_text()
        wanted = {
            "kubernetes": f"k8s.io/kubernetes v{commands.KUBERNETES}",
            "tools": f"helm.sh/helm/v3 v{commands.HELM}",
        }
        assert wanted[entry.directory.name] in pins
        assert entry.package.startswith("./") or f"\t{entry.package}\n" in pins.split(")")[0]
    pins = (COMMANDS["etcd"].directory / "go.mod").read_text()
    for module_, version in (
        ("go.etcd.io/etcd/server/v3", commands.ETCD),
        ("github.com/coredns/coredns", commands.COREDNS),
        ("github.com/rancher/local-path-provisioner", commands.LOCAL_PATH_PROVISIONER),
    ):
        assert f"{module_} v{version}" in pins
    assert f"sigs.k8s.io/kwok v{commands.KWOK}" in (COMMANDS["kwok"].directory / "go.mod").read_text()


def test_only_what_is_missing_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = module(tmp_path, one='print("one ", version)', two='print("two")')
    monkeypatch.setattr(commands, "COMMANDS", {name: command(source, name) for name in ("one", "two")})
    found = commands.build(tmp_path / "cache", ("one",))
    assert subprocess.run([found["one"]], capture_output=True, text=True).stderr == "one v1"
    found = commands.build(tmp_path / "cache", ("one", "two"))
    said = capsys.readouterr().out
    assert "building one (" in said
    assert "building two (" in said
    assert "built two (1/1, " in said
    assert not list(tmp_path.glob("cache/unfinished*"))
    before = found["two"].stat().st_mtime_ns
    assert commands.build(tmp_path / "cache", ("one", "two"))["two"].stat().st_mtime_ns == before


def test_a_build_that_fails_names_the_compilers_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = module(tmp_path, one="undeclared()")
    monkeypatch.setattr(commands, "COMMANDS", {"one": command(source, "one")})
    with pytest.raises(TestlabError, match=r"go build in .* failed: .*main.go.*undefined: undeclared"):
        commands.build(tmp_path / "cache", ("one",))


def content(packed: tarfile.TarFile, name: str) -> Any:
    file = packed.extractfile(name)
    assert file
    return json.load(file)


def test_an_archive_holds_each_layer_once(tmp_path: Path) -> None:
    shared = archive.layer(tmp_path / "shared.tar", {"/etc/one": "1\n"}, {"/bin/sh": "/bin/busybox"})
    own = archive.layer(tmp_path / "own.tar", {"/bin/program": "#!/bin/sh\n"})
    first = Image("localhost/one:1", (shared,), ("/bin/sh",))
    archive.write(tmp_path / "all.tar", [first, Image("localhost/two:1", (shared, own))])
    with tarfile.open(tmp_path / "all.tar") as packed:
        names = packed.getnames()
        assert len(names) == len(set(names)) == 2 + 2 + 1
        manifest = content(packed, "manifest.json")
        config = content(packed, manifest[0]["Config"])
    assert [entry["RepoTags"] for entry in manifest] == [["localhost/one:1"], ["localhost/two:1"]]
    assert manifest[1]["Layers"][0] == manifest[0]["Layers"][0]
    assert config["rootfs"]["diff_ids"] == ["sha256:" + manifest[0]["Layers"][0].removesuffix(".tar")]
    assert config["config"]["Entrypoint"] == ["/bin/sh"]


def test_a_layer_is_the_same_for_the_same_content(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("content")
        archive.layer(tmp_path / f"{name}.tar", {"/opt": tmp_path / name})
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_images_have_the_names_that_kubeadm_expects() -> None:
    assert images.COMMAND_IMAGES["coredns"] == "registry.k8s.io/coredns/coredns:v1.13.1"
    assert images.COMMAND_IMAGES["etcd"] == "registry.k8s.io/etcd:3.6.6-0"
    assert images.COMMAND_IMAGES["kube-proxy"] == "registry.k8s.io/kube-proxy:v1.35.4"
    config = (cluster.HERE / "rootfs/etc/containerd/config.toml").read_text()
    assert f'sandbox_image = "{images.PAUSE}"' in config


def test_the_control_plane_logs_every_request_once() -> None:
    init, configuration, kubelet, proxy = yaml.safe_load_all(kubeadm.control_plane(CONTROL, TOKEN))
    assert init["bootstrapTokens"] == [{"token": TOKEN}]
    assert init["localAPIEndpoint"] == {"advertiseAddress": "10.9.8.2"}
    arguments = {entry["name"]: entry["value"] for entry in configuration["apiServer"]["extraArgs"]}
    assert arguments["audit-log-path"] == "/var/log/kubernetes/audit.log"
    policy = yaml.safe_load((cluster.HERE / f"rootfs{arguments['audit-policy-file']}").read_text())
    assert policy["rules"] == [{"level": "Metadata"}]
    assert kubelet["enforceNodeAllocatable"] == ["none"]
    assert proxy["mode"] == "nftables"


def test_a_worker_joins_by_the_same_token_and_pulls_nothing() -> None:
    join = yaml.safe_load(kubeadm.worker(WORKER, CONTROL, TOKEN))
    assert join["discovery"]["bootstrapToken"]["token"] == TOKEN
    assert join["discovery"]["bootstrapToken"]["apiServerEndpoint"] == "10.9.8.2:6443"
    assert join["nodeRegistration"]["imagePullPolicy"] == "Never"
    assert join["nodeRegistration"]["taints"] == []


def test_pods_of_a_node_reach_those_of_the_others() -> None:
    files = kubeadm.network([CONTROL, WORKER])
    bridge = json.loads(files["gpu1"]["/etc/cni/net.d/10-testlab.conflist"])["plugins"][0]
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
    assert files["control"]["/etc/testlab/pod-routes"] == "route replace 10.244.1.0/24 via 10.9.8.3\n"
    assert files["gpu1"]["/etc/testlab/pod-routes"] == "route replace 10.244.0.0/24 via 10.9.8.2\n"


def test_the_inventory_has_gpu_nodes_and_this_machine(tmp_path: Path) -> None:
    parts = cluster.Parts("image", tmp_path, tmp_path, tmp_path / "helm", tmp_path / "kubectl")
    groups = cluster.inventory(Engine(tmp_path), "simulated", [CONTROL, WORKER], parts)
    assert list(groups["gpu_nodes"]["hosts"]) == ["gpu1"]
    assert list(groups["control_plane"]["hosts"]) == ["control"]
    local: dict[str, Any] = groups["cluster"]["hosts"]["localhost"]
    assert local["ansible_connection"] == "local"
    assert local["cluster_kubeconfig"].endswith("build/testlab/simulated/kubeconfig")
    assert (local["testlab_helm"], local["testlab_kubectl"]) == (str(parts.helm), str(parts.kubectl))
    # No anchors: people read it.
    assert "&id" not in yaml.safe_dump(groups)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(lab, "ROOT", tmp_path)
    return tmp_path


def test_the_inventory_of_a_cluster_that_does_not_run_ends_every_play(root: Path) -> None:
    found = cluster.script("simulated")
    assert found["gpu_nodes"]["hosts"] == ["gpu1"]
    assert "the cluster simulated is not running; start it: make cluster" in str(found["all"])


def test_the_inventory_script_prints_what_was_written(root: Path) -> None:
    users = (root / "helm", root / "kubectl")
    cluster.publish("simulated", {"cluster": cluster.api_clients("simulated", *users)}, *users)
    cluster.kubeconfig_path("simulated").write_text("")
    found = cluster.script("simulated")
    assert found["cluster"]["hosts"] == ["localhost"]
    assert found["_meta"]["hostvars"]["localhost"]["testlab_helm"] == str(users[0])
    assert (root / "build/testlab/simulated/helm").readlink() == users[0]


def test_simulated_nodes_have_gpus_and_are_told_from_real_ones() -> None:
    node = kwok.node(7)
    assert node["metadata"]["name"] == "gpu-0007"
    assert node["metadata"]["annotations"] == {"kwok.x-k8s.io/node": "fake"}
    assert node["metadata"]["labels"]["nvidia.com/gpu.present"] == "true"
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"


def test_a_store_is_linked_but_for_its_databases(tmp_path: Path) -> None:
    store, target = tmp_path / "store", tmp_path / "target"
    (store / "metadata").mkdir(parents=True)
    target.mkdir()
    (store / "metadata/meta.db").write_text("before")
    (store / "metadata/blob").write_text("content")
    cluster._fill(store, target)
    (target / "metadata/meta.db").write_text("after")
    assert (store / "metadata/meta.db").read_text() == "before"
    assert (target / "metadata/blob").samefile(store / "metadata/blob")
