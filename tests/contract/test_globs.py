# SPDX-License-Identifier: GPL-3.0-or-later
"""GlobFile against the table of what a real pachd 2.12 matched, and ListDatum against what it listed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from grpc import StatusCode
from pachyderm_sdk import Client
from pachyderm_sdk.api import pps

from tests.contract.lab import Data, Lab, projects
from tests.contract.oracle import DATUM_COUNTS, DATUM_PATHS, GLOB_ERRORS, GLOB_FILES, GLOB_MATCHES

# Those of the table that no other lies below.
LEAVES = [path for path in GLOB_FILES if not any(f"{path}/" in other for other in GLOB_FILES) and path != "/"]


@pytest.fixture(scope="module")
def lab(client: Client) -> Iterator[Lab]:
    """One project for the whole table, which is only read."""
    with projects(client) as new:
        yield Lab(client, new().name)


@pytest.fixture(scope="module")
def files(lab: Lab) -> Data:
    data = lab.data(lab.repo())
    data.put(dict.fromkeys(LEAVES, b"x"))
    return data


@pytest.mark.parametrize(("pattern", "expected"), GLOB_MATCHES)
def test_a_glob_finds_what_it_finds_on_a_real_pachd(files: Data, pattern: str, expected: list[str]) -> None:
    assert [path.rstrip("/") or "/" for path in files.glob(pattern)] == expected


@pytest.mark.parametrize(("pattern", "text"), GLOB_ERRORS)
def test_a_glob_that_a_real_pachd_refuses(files: Data, refused: Any, pattern: str, text: str) -> None:
    with refused(StatusCode.UNKNOWN, re.escape(text)):
        files.glob(pattern)


@pytest.mark.parametrize("place", ["branch", "repo"])
def test_a_glob_of_what_is_missing(files: Data, refused: Any, place: str) -> None:
    missing = Data(files.client, f"{files.name}-missing") if place == "repo" else files
    with refused(StatusCode.NOT_FOUND, "missing"):
        missing.glob("/*", at="missing")


@pytest.fixture(scope="module")
def inputs(lab: Lab) -> dict[str, str]:
    """The repos of the table, by the names they have there."""
    names = {}
    for key, paths in DATUM_PATHS.items():
        names[key] = lab.repo(**{path[1:]: "x" for path in paths if not path.endswith("/")})
        if not paths:
            lab.put(names[key])
    return names


def datum_sizes(lab: Lab, names: dict[str, str], node: dict[str, Any]) -> list[int]:
    """How many files each datum of an input has."""

    def here(value: Any) -> Any:
        if isinstance(value, dict) and "repo" in value:
            key = value["repo"]
            return {"name": key} | value | {"repo": names[key], "project": lab.project}
        if isinstance(value, dict):
            return {kind: here(inner) for kind, inner in value.items()}
        return [here(inner) for inner in value] if isinstance(value, list) else value

    message = pps.Input().from_dict(json.loads(json.dumps(here(node))))
    return sorted(len(info.data) for info in lab.pps.list_datum(input=message))


@pytest.mark.parametrize(("node", "sizes"), DATUM_COUNTS)
def test_an_input_has_the_datums_that_it_has_on_a_real_pachd(
    lab: Lab, inputs: dict[str, str], node: dict[str, Any], sizes: list[int]
) -> None:
    assert datum_sizes(lab, inputs, node) == sizes
