# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of pachyderm_secret. No value may be in any result."""

from __future__ import annotations

from typing import Any

from .case import MISSING, NAMED, Case, Left, Step, Table, listed

ONE, OTHER = {"key": "swordfish-1"}, {"key": "swordfish-2", "user": "reader-name"}
DB = {"name": "db"}
DOCKER = {"name": "pull", "data": {".dockerconfigjson": "{}"}, "update": "on_create"}


def world(lab: Any) -> None:
    for name in ("one", "two"):
        (lab.directory / name).write_text(f"value {name}")


def made(lab: Any) -> None:
    """The secret is there, with the values that the first step declares."""
    lab.run("secret", **DB, data=ONE)


def kept(lab: Any) -> dict[str, str]:
    """The values of the secret as pachd has them."""
    return {key: value.decode() for key, value in lab.server.core.pps.secrets.values("db").items()}


def kind(lab: Any) -> list[str]:
    return [info.type for info in lab.client.pps.list_secret().secret_info]


EMPTY = Step(fails="data: is required, or ")
CASES = [
    Case("name", Step("a"), Step("b"), NAMED, given={"data": ONE}, look="secrets[].name"),
    Case("data", Step(ONE, sees=ONE), Step(OTHER, sees=OTHER), EMPTY, given=DB, look=kept, secret=True),
    Case(
        "files",
        Step({"key": "{directory}/one"}, sees={"key": "value one"}),
        Step({"key": "{directory}/two"}, sees={"key": "value two"}),
        EMPTY,
        given=DB,
        look=kept,
    ),
    Case(
        "type",
        Step("kubernetes.io/dockerconfigjson", sees=["kubernetes.io/dockerconfigjson"]),
        Step("example.com/other", changed=False, sees=["kubernetes.io/dockerconfigjson"]),
        Step(changed=False, sees=["kubernetes.io/dockerconfigjson"]),
        given=DOCKER,
        look=kind,
    ),
    Case(
        "update",
        Step("always", sees=ONE),
        Step("on_create", changed=False, sees=ONE, given={"data": OTHER}),
        Step(sees=OTHER, given={"data": OTHER}),
        again=Left("the secret is replaced in each run"),
        given={**DB, "data": ONE},
        world=made,
        look=kept,
    ),
    Case("state", Step("present"), Step("absent"), Step(), given={**DB, "data": ONE}),
]
SOME = [{"name": "a", "data": ONE}, {"name": "b", "data": OTHER}]
TABLES = [
    Table(
        "secret",
        [
            *CASES,
            Case("secrets", Step(SOME[:1]), Step(SOME), NAMED),
            *listed("secrets", CASES, name={"omitted": MISSING}),
        ],
        world=world,
    )
]
