# SPDX-License-Identifier: GPL-3.0-or-later
"""The role pachyderm on a real Kubernetes, with the chart for tests: its life, its traps, its faults."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.gpulab.pachyderm.plugins.module_utils._errors import PachydermError
from tests.cluster import outage
from tests.cluster.api import writes
from tests.cluster.clusters import Cluster, until
from tests.cluster.pachyderm import Lab, installed
from tests.cluster.runs import changed, refused, result

pytestmark = pytest.mark.slow

NAMESPACE = "test-pachyderm"
TOKEN = "root-token-of-the-test"


@pytest.fixture(scope="module")
def lab(cluster: Cluster) -> Iterator[Lab]:
    with installed(cluster, NAMESPACE) as lab:
        yield lab


@pytest.fixture(scope="module")
def deployed(lab: Lab) -> dict[str, Any]:
    """What the first run told; the tests after it find a lab that is as declared."""
    return result(lab.play(pachyderm_root_token=TOKEN))


def test_check_mode_of_a_bare_cluster_predicts_and_sends_no_write(lab: Lab) -> None:
    with lab.cluster.audited() as requests:
        told = result(run := lab.play("--check", "--diff"))
    assert writes(requests) == []
    assert len(changed(run)) == 1
    assert told["pending"] is True
    assert "(generated)" in run.output
    assert lab.cluster.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found") == ""


def test_the_chart_in_its_namespace(lab: Lab, deployed: dict[str, Any]) -> None:
    """The tutorial's `helm install` and `kubectl get pods`."""
    assert lab.release()["status"] == "deployed"
    assert deployed["release"]["revision"] == 1
    assert [pod["ready"] for pod in deployed["pods"]] == ["1/1"]
    # Asked of pachd itself, through what the role found.
    assert deployed["pachd_version"].startswith("2.12.")
    assert deployed["address"].startswith("grpc://")
    assert deployed["images"] == ["localhost/testlab/pachd:2.12.0", "localhost/testlab/worker:2.12.0"]


def test_a_second_run_changes_nothing_and_lists_instead_of_asking(lab: Lab, deployed: dict[str, Any]) -> None:
    before = lab.pod()
    with lab.cluster.audited() as requests:
        run = lab.play()
    assert result(run)["release"]["revision"] == deployed["release"]["revision"]
    assert changed(run) == []
    assert writes(requests) == []
    assert lab.pod() == before
    # Helm's own, the objects beside the chart, one look at the workloads, the services.
    assert len([one for one in requests if one.namespace == NAMESPACE]) <= 20


def test_check_mode_of_a_finished_one_predicts_nothing(lab: Lab, deployed: dict[str, Any]) -> None:
    with lab.cluster.audited() as requests:
        run = lab.play("--check")
    assert result(run)["pending"] is False
    assert changed(run) == []
    assert writes(requests) == []


def test_secrets_reach_no_output(lab: Lab, deployed: dict[str, Any], tmp_path: Path) -> None:
    """Neither in a run that changes values, nor in one that fails, however verbose."""
    kubeconfig = yaml.safe_load(lab.cluster.kubeconfig.read_text())
    known = [base64.b64decode(text).decode() for text in lab.secret().values()]
    known = [text for text in known if not text.startswith("/") and text != deployed["release"]["cluster_id"]]
    known += [str(value) for user in kubeconfig["users"] for value in user["user"].values()]
    assert TOKEN in known
    for arguments in (
        {"values": {"pachd": {"annotations": {"test": "secrets"}}}},
        {"fixture": {"fail": "render"}},
    ):
        run = lab.play("-vvv", "--diff", "--check", **arguments)
        assert not [text for text in known if text in run.output]


def test_trap_an_upgrade_keeps_tokens_and_data(lab: Lab, deployed: dict[str, Any]) -> None:
    """Unpinned, a second upgrade has another root token and another place for objects."""
    result(lab.endpoint(test_use=True))
    before, secret = lab.pod(), lab.secret()
    lab.module({"values": {"pachd": {"annotations": {"upgrade": "1"}}}})
    run = lab.play("--diff", values={"pachd": {"annotations": {"upgrade": "2"}}})
    assert result(run)["release"]["host_path"] == deployed["release"]["host_path"]
    assert "upgrade: '2'" in run.output
    assert lab.pod() != before
    assert lab.secret() == secret
    assert base64.b64decode(lab.get("secret", "pachyderm-auth")[0]["data"]["root-token"]).decode() == TOKEN
    # The repo of before: declared again, nothing changes.
    again = lab.endpoint(test_use=True)
    assert result(again)["version"].startswith("2.12.")
    assert not [task for task in changed(again) if "repo" in task]


def test_the_release_of_before_is_kept_for_a_roll_back(lab: Lab, deployed: dict[str, Any]) -> None:
    history = json.loads(lab.helm("history", "pachyderm", "--output", "json").stdout)
    assert [entry["status"] for entry in history][-2:] == ["superseded", "deployed"]
    assert len(history) <= 5


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"values": {"pachd": {"storage": {"locale": {}}}}}, {}, "the nearest is pachd.storage.local"),
        ({}, {"chart": "/no/such/chart"}, "/no/such/chart: neither an archive"),
        ({}, {"version": "2.11.6"}, "pachyderm_version: 2.11.6 is declared"),
        ({"values": {"fixture": {"fail": "render"}}}, {}, "the fixture was told to fail"),
        ({"auth": False}, {}, "stays active in pachd's database"),
        ({"host_path": "/elsewhere/"}, {}, "pachyderm_host_path differs"),
        ({"storage_backend": "AMAZON"}, {}, "pachyderm_storage_bucket"),
        ({}, {"helm_binary": "/no/such/helm"}, "/no/such/helm is no program"),
        ({}, {"kubeconfig": "/no/such/kubeconfig"}, "/no/such/kubeconfig"),
    ],
)
def test_what_is_refused_touches_nothing(
    lab: Lab, deployed: dict[str, Any], settings: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with lab.cluster.audited() as requests, pytest.raises(PachydermError, match=message) as told:
        lab.module(settings, **options)
    assert "\n" not in str(told.value)
    assert writes(requests) == []


def test_an_image_that_cannot_be_pulled_is_named(lab: Lab, deployed: dict[str, Any]) -> None:
    nosuch = {"values": {"pachd": {"image": {"repository": "testlab/nosuch"}}}}
    with pytest.raises(PachydermError, match=r"pachd: pod pachd-.* container pachd: .*") as told:
        lab.deploy(nosuch, wait=10)
    assert "localhost/testlab/nosuch:2.12.0" in str(told.value)


def test_more_gpus_than_there_are(lab: Lab, deployed: dict[str, Any]) -> None:
    gpus = {"resources": {"pachd": {"limits": {"nvidia.com/gpu": 99}}}}
    with pytest.raises(PachydermError, match="Insufficient nvidia"):
        lab.deploy(gpus, wait=4)


def test_a_container_that_ends_at_once(lab: Lab, deployed: dict[str, Any]) -> None:
    with pytest.raises(PachydermError, match=r"exited with 3.*wrote last: the fixture was told to fail"):
        lab.deploy({"values": {"fixture": {"fail": "crash"}}}, wait=12)


def test_after_all_of_that_it_converges(lab: Lab, deployed: dict[str, Any]) -> None:
    assert result(lab.play())["pods"][0]["ready"] == "1/1"


def test_a_release_that_a_killed_helm_left_pending(lab: Lab, deployed: dict[str, Any]) -> None:
    values = json.loads(lab.helm("get", "values", "pachyderm", "--output", "json").stdout)
    values["fixture"]["hook"] = ["sleep", "3600"]
    helm = str(lab.cluster.directory / "helm")
    chart = str(Path(__file__).resolve().parents[2] / "testlab/charts/pachyderm")
    command = [helm, "upgrade", "pachyderm", chart, "--namespace", NAMESPACE, "--values", "-"]
    killed = subprocess.Popen(
        [*command, "--kubeconfig", str(lab.cluster.kubeconfig)], stdin=subprocess.PIPE, text=True
    )
    assert killed.stdin is not None
    killed.stdin.write(json.dumps(values))
    killed.stdin.close()
    until(lambda: bool(lab.get("jobs")), "an upgrade that waits for its hook")
    killed.kill()
    killed.wait()
    with pytest.raises(PachydermError, match="release pachyderm is pending-upgrade"):
        lab.module({})
    healed = lab.deploy({}, stuck_after=0)
    assert healed.plan is not None
    assert [action.verb for action in healed.plan.actions] == ["roll back", "upgrade"]
    assert healed.values["release"]["status"] == "deployed"
    # The hook's Job still waits. Helm takes it away before the next hook of that name.
    assert [job["status"].get("active") for job in lab.get("jobs")] == [1]
    lab.deploy({"values": {"fixture": {"hook": ["true"]}}})
    assert lab.get("jobs") == []
    lab.deploy({})
    assert changed(lab.play()) == []


def test_a_secret_deleted_by_hand(lab: Lab, deployed: dict[str, Any]) -> None:
    """New passwords are not rolled over a database that has the old ones."""
    before = lab.secret()
    lab.kubectl("delete", "secret", "gpulab-pachyderm")
    missing = r"secret gpulab-pachyderm is missing.*pachyderm_recover_secret"
    with lab.cluster.audited() as requests, pytest.raises(PachydermError, match=missing):
        lab.module({})
    assert writes(requests) == []
    lab.module({}, recover_secret=True)
    assert lab.secret() == before


def test_a_service_account_that_may_do_little(lab: Lab, deployed: dict[str, Any], tmp_path: Path) -> None:
    lab.kubectl("create", "serviceaccount", "little")
    token = lab.kubectl("create", "token", "little").strip()
    kubeconfig = yaml.safe_load(lab.cluster.kubeconfig.read_text())
    kubeconfig["users"][0]["user"] = {"token": token}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    run = lab.play(test_kubeconfig=str(tmp_path / "kubeconfig"))
    told = refused(run)
    assert "secrets is forbidden" in told
    assert f"system:serviceaccount:{NAMESPACE}:little" in told
    assert 'cannot list resource "secrets"' in told
    assert token not in run.output


@pytest.mark.parametrize("connections", [1, 2, 3, 4])
def test_an_api_server_that_goes_in_the_middle(
    lab: Lab, deployed: dict[str, Any], tmp_path: Path, connections: int
) -> None:
    """Wherever it goes, one line says so, and the next run converges."""
    settings = {"values": {"pachd": {"annotations": {"cut": str(connections)}}}}
    with outage.behind(lab.cluster.kubeconfig, tmp_path / "kubeconfig", connections) as server:
        with pytest.raises(PachydermError) as told:
            lab.module(settings, kubeconfig=str(server.kubeconfig))
        assert "\n" not in str(told.value)
        assert re.search("cannot reach the API server|helm |Kubernetes cluster unreachable", str(told.value))
    lab.deploy(settings, stuck_after=0)
    again = lab.module(settings)
    assert again.plan is not None
    assert again.plan.actions == ()


def test_absent_keeps_data_and_a_new_installation_finds_it(lab: Lab, deployed: dict[str, Any]) -> None:
    result(lab.endpoint(test_use=True))
    before = lab.secret()
    with lab.cluster.audited() as requests:
        predicted = lab.play("--check", pachyderm_state="absent")
    assert writes(requests) == []
    run = lab.play(pachyderm_state="absent")
    assert changed(run) == changed(predicted)
    assert "keeps volume claim pachyderm-data, secret gpulab-pachyderm" in run.output.replace(
        "\n        ", " "
    )
    until(lambda: lab.get("pods", "--selector", "app=pachd") == [], "a pod that ends")
    again = lab.module({}, state="absent")
    assert again.plan is not None
    assert again.plan.actions == ()
    lab.deploy({})
    assert lab.secret() == before
    assert not [task for task in changed(lab.endpoint(test_use=True)) if "repo" in task]


def test_trap_a_claim_that_outlives_its_release(lab: Lab, deployed: dict[str, Any]) -> None:
    lab.module({}, state="absent")
    lab.kubectl("delete", "secret", "gpulab-pachyderm")
    with pytest.raises(PachydermError, match="volume claim pachyderm-data is there"):
        lab.module({})


def test_absent_with_data_leaves_nothing(lab: Lab, deployed: dict[str, Any]) -> None:
    result(lab.play(pachyderm_state="absent", pachyderm_delete_data=True))
    gone = lab.cluster.kubectl
    until(lambda: gone("get", "namespace", NAMESPACE, "--ignore-not-found") == "", "a namespace that goes")
    again = lab.module({}, state="absent", delete_data=True)
    assert again.plan is not None
    assert again.plan.actions == ()


def test_the_images_without_a_cluster(lab: Lab) -> None:
    run = lab.play(
        pachyderm_state="images",
        test_kubeconfig="/no/such",
        pachyderm_image_registry="mirror.example.com/lab",
    )
    assert result(run)["images"] == [
        "mirror.example.com/lab/testlab/pachd:2.12.0",
        "mirror.example.com/lab/testlab/worker:2.12.0",
    ]
