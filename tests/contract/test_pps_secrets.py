# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets: made, listed, given to user code as variables and files, and shown to nobody."""

from __future__ import annotations

import base64
import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from grpc import StatusCode
from pachyderm_sdk.api import pps

# They are of the whole cluster, and who may list them sees their names.
pytestmark = pytest.mark.cluster_wide

VALUE = "s3cr3t-" + uuid.uuid4().hex

NewSecret = Callable[..., str]


def file(name: str, **fields: Any) -> bytes:
    return json.dumps({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": name}, **fields}).encode()


def encoded(value: str) -> str:
    return base64.b64encode(value.encode()).decode()


def create(client: Any, content: bytes) -> None:
    """As `pachctl create secret`; the SDK's own method makes the file itself."""
    super(type(client.pps), client.pps).create_secret(file=content)


@pytest.fixture
def name() -> str:
    return f"contract-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def new_secret(client: Any, name: str) -> Iterator[NewSecret]:
    """Makes secrets `name`, `name`-2 and so on, which go with the test."""
    made: list[str] = []

    def make(**data: str) -> str:
        made.append(f"{name}-{len(made) + 1}" if made else name)
        client.pps.create_secret(name=made[-1], data=data)
        return made[-1]

    yield make
    for each in made:
        with contextlib.suppress(grpc.RpcError):  # the test deleted it
            client.pps.delete_secret(secret=pps.Secret(name=each))


def names(client: Any) -> list[str]:
    return [info.secret.name for info in client.pps.list_secret().secret_info]


class TestSecrets:
    def test_one_is_listed_and_inspected(self, client: Any, new_secret: NewSecret) -> None:
        name = new_secret(key=VALUE)
        info = client.pps.inspect_secret(secret=pps.Secret(name=name))
        assert (info.secret.name, info.type) == (name, "Opaque")
        assert abs(info.creation_timestamp - datetime.now(UTC)) < timedelta(minutes=5)
        assert name in names(client)

    def test_values_are_not_shown(self, client: Any, new_secret: NewSecret) -> None:
        secret = pps.Secret(name=new_secret(key=VALUE))
        shown = client.pps.inspect_secret(secret=secret).to_json() + client.pps.list_secret().to_json()
        assert VALUE not in shown
        assert encoded(VALUE) not in shown

    def test_lists_are_by_name(self, client: Any, new_secret: NewSecret) -> None:
        own = [new_secret(key="x"), new_secret(key="x")]
        assert [each for each in names(client) if each in own] == sorted(own)

    def test_a_deleted_one_is_gone(self, client: Any, new_secret: NewSecret, refused: Any) -> None:
        secret = pps.Secret(name=new_secret(key="x"))
        client.pps.delete_secret(secret=secret)
        assert secret.name not in names(client)
        with refused(StatusCode.UNKNOWN, f'failed to get secret: secrets "{secret.name}" not found'):
            client.pps.inspect_secret(secret=secret)

    def test_the_name_can_be_used_again(self, client: Any, new_secret: NewSecret, name: str) -> None:
        client.pps.delete_secret(secret=pps.Secret(name=new_secret(key="x")))
        create(client, file(name, data={}))
        assert name in names(client)
        client.pps.delete_secret(secret=pps.Secret(name=name))

    def test_a_second_one_of_a_name(self, client: Any, new_secret: NewSecret, refused: Any) -> None:
        name = new_secret(key="x")
        with refused(StatusCode.UNKNOWN, f'failed to create secret: secrets "{name}" already exists'):
            create(client, file(name))

    def test_deleting_what_is_not_there(self, client: Any, refused: Any, name: str) -> None:
        with refused(StatusCode.UNKNOWN, f'failed to delete secret: secrets "{name}" not found'):
            client.pps.delete_secret(secret=pps.Secret(name=name))

    def test_one_in_plain_text_of_another_type(self, client: Any, name: str) -> None:
        create(client, file(name, stringData={"k": VALUE}, type="contract/own"))
        assert client.pps.inspect_secret(secret=pps.Secret(name=name)).type == "contract/own"
        client.pps.delete_secret(secret=pps.Secret(name=name))

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            (b"", "failed to unmarshal secret"),
            (b"no json", "failed to unmarshal secret"),
            (b"[]", "failed to unmarshal secret"),
            (b"{}", "failed to create secret"),
            (file("Upper"), "failed to create secret"),
            (file("../up"), "failed to create secret"),
            (file("x" * 254), "failed to create secret"),
            (file("x", data={"k": "no base64!"}), "failed to unmarshal secret"),
            (file("x", data={"a/b": ""}), "failed to create secret"),
            (file("x", data=[1]), "failed to unmarshal secret"),
            (file("x", metadata={"labels": {"suite": "other"}}), "invalid suite label set on secret"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_bad_file(self, client: Any, refused: Any, content: bytes, text: str) -> None:
        with refused(StatusCode.UNKNOWN, text):
            create(client, content)


class TestInPipelines:
    def test_as_a_variable(self, lab: Any, new_secret: NewSecret) -> None:
        mount = {"name": new_secret(password=VALUE, other="x"), "env_var": "PASSWORD", "key": "password"}
        script = "printf %s $PASSWORD | sha256sum > /pfs/out/sum; echo -n ${#PASSWORD}"
        pipeline = lab.pipeline(lab.repo(a="1"), script, transform={"secrets": [mount]})
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        assert lab.logs(pipeline) == [str(len(VALUE))]

    def test_as_files(self, lab: Any, new_secret: NewSecret) -> None:
        mount = {"name": new_secret(password=VALUE, other="x"), "mount_path": "/etc/contract-secret"}
        script = "cd /etc/contract-secret; for key in *; do echo $key $(wc -c < $key); done"
        pipeline = lab.pipeline(lab.repo(a="1"), script, transform={"secrets": [mount]})
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        assert lab.logs(pipeline) == ["other 1", f"password {len(VALUE)}"]

    def test_as_both_and_several(self, lab: Any, new_secret: NewSecret) -> None:
        mounts = [
            {"name": new_secret(k="1"), "env_var": "ONE", "key": "k", "mount_path": "/tmp/one"},
            {"name": new_secret(k="2"), "env_var": "TWO", "key": "k"},
        ]
        script = "echo $ONE $TWO $(cat /tmp/one/k)"
        pipeline = lab.pipeline(lab.repo(a="1"), script, transform={"secrets": mounts})
        assert lab.counts(pipeline) == "SUCCESS p1 t1"
        assert lab.logs(pipeline) == ["1 2 1"]

    def test_the_spec_names_it_without_its_value(self, lab: Any, new_secret: NewSecret) -> None:
        mount = {"name": new_secret(password=VALUE), "env_var": "PASSWORD", "key": "password"}
        pipeline = lab.pipeline(lab.repo(a="1"), "true", transform={"secrets": [mount]})
        job = lab.pps.inspect_job(job=lab.job(pipeline).job, details=True)
        assert job.details.transform.secrets[0].env_var == "PASSWORD"
        assert VALUE not in job.to_json() + lab.pipeline_info(pipeline).to_json()

    def test_one_that_is_missing_is_refused(self, lab: Any, refused: Any, name: str) -> None:
        secrets = [{"name": name, "env_var": "X", "key": "k"}]
        with refused(StatusCode.UNKNOWN, f"missing Kubernetes secret {name}"):
            lab.pipeline(lab.repo(a="1"), "true", transform={"secrets": secrets})

    def test_a_dry_run_does_not_look_for_it(self, lab: Any, name: str) -> None:
        secrets = [{"name": name, "env_var": "X", "key": "k"}]
        text = lab.spec("dry", {"pfs": {"repo": "none", "glob": "/"}}, "true", transform={"secrets": secrets})
        lab.create(text, dry_run=True)

    def test_a_key_that_is_missing_is_refused(self, lab: Any, refused: Any, new_secret: NewSecret) -> None:
        secrets = [{"name": new_secret(k="x"), "env_var": "X", "key": "other"}]
        with refused(StatusCode.UNKNOWN, "missing key other"):
            lab.pipeline(lab.repo(a="1"), "true", transform={"secrets": secrets})

    def test_a_variable_needs_a_key(self, lab: Any, refused: Any, new_secret: NewSecret) -> None:
        secrets = [{"name": new_secret(k="x"), "env_var": "X"}]
        with refused(StatusCode.UNKNOWN, "has env_var set but is missing key"):
            lab.pipeline(lab.repo(a="1"), "true", transform={"secrets": secrets})
