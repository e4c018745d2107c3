# SPDX-License-Identifier: GPL-3.0-or-later
"""Where secrets lie, and where they do not."""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk.api import pps

VALUE = "an-unlikely-value-3141592653"


@pytest.fixture
def secret(lab: Any) -> str:
    name = lab.name("secret")
    lab.pps.create_secret(name=name, data={"key": VALUE})
    return str(name)


def test_only_the_server_may_read_it(secret: str, data_dir: Path) -> None:
    path = data_dir / "secrets" / secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_value_is_nowhere_else(lab: Any, secret: str, data_dir: Path) -> None:
    mount = {"name": secret, "env_var": "PASSWORD", "key": "key", "mount_path": "/opt/secret"}
    pipeline = lab.pipeline(lab.repo(a="1"), "test -n $PASSWORD", transform={"secrets": [mount]})
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    forms = (VALUE.encode(), base64.b64encode(VALUE.encode()))
    for path in data_dir.rglob("*"):
        if path.is_file() and path.parent != data_dir / "secrets":
            assert not any(form in path.read_bytes() for form in forms), path


def test_a_deleted_one_leaves_nothing(lab: Any, secret: str, data_dir: Path) -> None:
    lab.pps.delete_secret(secret=pps.Secret(name=secret))
    assert not [path for path in (data_dir / "secrets").iterdir() if secret in path.name]


def test_it_is_there_after_a_restart(serve: Any, lab_at: Any) -> None:
    process = serve()
    lab_at(process.address).pps.create_secret(name="kept", data={"key": VALUE})
    process.kill()
    lab = lab_at(serve().address)
    assert [info.secret.name for info in lab.pps.list_secret().secret_info] == ["kept"]
    mount = {"name": "kept", "env_var": "PASSWORD", "key": "key"}
    pipeline = lab.pipeline(lab.repo(a="1"), "echo ${#PASSWORD}", transform={"secrets": [mount]})
    assert lab.counts(pipeline) == "SUCCESS p1 t1"
    assert lab.logs(pipeline) == [str(len(VALUE))]


def test_neither_the_log_nor_the_journal_has_a_value(serve: Any, lab_at: Any, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    process = serve("--journal", str(journal))
    lab = lab_at(process.address)
    lab.pps.create_secret(name="hidden", data={"key": VALUE})
    mount = {"name": "hidden", "env_var": "PASSWORD", "key": "key"}
    lab.job(lab.pipeline(lab.repo(a="1"), "true", transform={"secrets": [mount]}))
    process.kill()
    written = journal.read_text() + process.log.read_text()
    assert "CreateSecret" in written
    assert VALUE not in written
    assert base64.b64encode(VALUE.encode()).decode() not in written


def test_one_that_was_deleted_since_fails_its_datums(lab: Any, secret: str) -> None:
    repo = lab.repo()
    mount = {"name": secret, "env_var": "PASSWORD", "key": "key"}
    pipeline = lab.pipeline(repo, "true", transform={"secrets": [mount]}, datum_tries=1)
    lab.job(pipeline)
    lab.pps.delete_secret(secret=pps.Secret(name=secret))
    lab.put(repo, {"a": "1"})
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    assert f'secrets "{secret}" not found' in lab.logs(pipeline, user=False)[-1]


@pytest.mark.parametrize(("path", "seen"), [("secret", "/secret"), ("../secret", "/secret")])
def test_a_path_that_is_not_absolute_begins_at_the_root(lab: Any, secret: str, path: str, seen: str) -> None:
    mount = {"name": secret, "mount_path": path}
    pipeline = lab.pipeline(lab.repo(a="1"), f"test -f {seen}/key", transform={"secrets": [mount]})
    assert lab.counts(pipeline) == "SUCCESS p1 t1", lab.logs(pipeline, user=False)


@pytest.mark.parametrize("path", ["/a\0b", "/d" * 1_500], ids=["zero byte", "deep"])
def test_a_path_that_cannot_be_mounted_is_told(lab: Any, server: Any, secret: str, path: str) -> None:
    if server.settings.private_pfs:
        pytest.skip("nothing is mounted without namespaces")
    mount = {"name": secret, "mount_path": path}
    pipeline = lab.pipeline(lab.repo(a="1"), "true", transform={"secrets": [mount]}, datum_tries=1)
    assert lab.counts(pipeline) == "FAILURE f1 t1"
    (line,) = lab.logs(pipeline, user=False)
    assert ": cannot isolate the user code: " in line


@pytest.mark.parametrize("key", [".", "..", "..data", "k" * 254])
def test_a_key_that_is_no_name_of_a_file_is_refused(lab: Any, refused: Any, key: str) -> None:
    with refused(StatusCode.UNKNOWN, "a valid config key must consist of"):
        lab.pps.create_secret(name=lab.name("secret"), data={key: VALUE})


def test_a_name_too_long_for_this_machine_is_one_that_is_not_there(lab: Any, refused: Any) -> None:
    with refused(StatusCode.UNKNOWN, 'secrets "n+" not found'):
        lab.pps.delete_secret(secret=pps.Secret(name="n" * 300))
