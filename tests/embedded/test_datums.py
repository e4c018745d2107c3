# SPDX-License-Identifier: GPL-3.0-or-later
"""Datums: counts as a real pachd lists them, ids, hashes, order, and the variables of their code."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pachyderm_sdk.api import pps

from pachd_embedded.pfs.glob import Glob
from pachd_embedded.pps import protojson
from pachd_embedded.pps.datums import Datum, InputFile, datum_env, input_files, list_datums
from pachd_embedded.pps.inputs import fill_input
from tests.contract.oracle import DATUM_COUNTS, DATUM_PATHS, GROUP_BY, JOIN_ON, letters, of


def hash_of(path: str) -> bytes:
    return hashlib.blake2b(path.encode(), digest_size=32).digest()


def glob_files(pfs: Any) -> Iterator[InputFile]:
    glob = Glob(pfs.glob)
    matched = [path for path in DATUM_PATHS[pfs.repo] if glob.match(path.rstrip("/") or "/")]
    return input_files(pfs, [(path, "c" * 32, hash_of(path), len(path)) for path in matched])


def datums(node: dict[str, Any]) -> list[Datum]:
    """The datums of an input written as JSON."""
    message = protojson.parse(pps.Input, json.dumps(node))
    fill_input(message, "", "default")
    return list(list_datums(message, glob_files))


@pytest.mark.parametrize(("node", "sizes"), DATUM_COUNTS)
def test_datums_are_those_that_a_real_pachd_lists(node: dict[str, Any], sizes: list[int]) -> None:
    assert sorted(len(datum.files) for datum in datums(node)) == sizes


@pytest.mark.parametrize("node", [node for node, sizes in DATUM_COUNTS])
def test_datums_come_once_and_in_the_order_of_their_ids(node: dict[str, Any]) -> None:
    ids = [datum.id for datum in datums(node)]
    assert ids == sorted(set(ids))


def test_the_id_is_over_names_and_paths_with_their_lengths() -> None:
    (datum,) = datums({"cross": [of("l", "/d", name="é"), of("r", "/a-9")]})
    parts = ["r", "r", "master", "/a-9", "é", "l", "master", "/d/"]
    whole = b"".join(part.encode() + struct.pack(">q", len(part.encode())) for part in parts)
    assert datum.id == hashlib.blake2b(whole, digest_size=32).hexdigest()


def sample() -> InputFile:
    return InputFile("in", "default", "in", "master", "c" * 32, "/a", b"h" * 32, is_dir=False, size=1)


def test_the_content_hash_is_over_id_content_and_salt() -> None:
    datum = Datum((sample(), replace(sample(), path="/b", hash=b"i" * 32)))
    whole = datum.id.encode() + b"h" * 32 + b"i" * 32 + b"salt"
    assert datum.content_hash("salt") == hashlib.blake2b(whole, digest_size=32).digest()


@pytest.mark.parametrize(
    ("change", "same_id", "same_hash"),
    [
        ({}, True, True),
        ({"hash": b"x" * 32}, True, False),
        ({"path": "/b"}, False, False),
        ({"name": "other"}, False, False),
        ({"branch": "dev"}, False, False),
        ({"repo": "other"}, False, False),
        ({"commit": "d" * 32}, True, True),
        ({"size": 2}, True, True),
        ({"lazy": True}, True, True),
    ],
)
def test_what_makes_a_datum_another_and_what_makes_it_run_again(
    change: dict[str, Any], same_id: bool, same_hash: bool
) -> None:
    before, after = Datum((sample(),)), Datum((replace(sample(), **change),))
    assert (before.id == after.id) is same_id
    assert (before.content_hash("s") == after.content_hash("s")) is same_hash


def test_another_salt_makes_every_datum_run_again() -> None:
    datum = Datum((sample(),))
    assert datum.content_hash("one") != datum.content_hash("two")


def test_the_content_of_a_reference_input_does_not_make_a_datum_run_again() -> None:
    before = Datum((replace(sample(), reference=True),))
    after = Datum((replace(sample(), reference=True, hash=b"x" * 32),))
    assert before.content_hash("s") == after.content_hash("s")


def test_files_carry_the_options_of_their_input() -> None:
    options = {"lazy": True, "emptyFiles": True, "reference": True}
    (datum,) = datums(of("l", "/d", name="n", project="pj", branch="b", **options))
    assert datum.files == (
        InputFile(
            "n", "pj", "l", "b", "c" * 32, "/d/", hash_of("/d/"), is_dir=True, size=3, lazy=True,
            empty_files=True, reference=True,
        ),
    )  # fmt: skip


def env_of(datum: Datum) -> dict[str, str]:
    return datum_env(
        datum, project="pj", pipeline="p", job_id="j" * 32, spec_commit="s" * 32, pod_name="pj-p-v1-0"
    )


def test_the_variables_of_a_datum() -> None:
    datum = Datum((sample(), replace(sample(), name="dir", path="/d/", is_dir=True, commit="e" * 32)))
    assert env_of(datum) == {
        "in": "/pfs/in/a",
        "in_COMMIT": "c" * 32,
        "dir": "/pfs/dir/d",
        "dir_COMMIT": "e" * 32,
        "PACH_IN_WORKER": "true",
        "PACH_JOB_ID": "j" * 32,
        "PACH_OUTPUT_COMMIT_ID": "j" * 32,
        "PACH_DATUM_ID": datum.id,
        "PPS_PROJECT_NAME": "pj",
        "PPS_PIPELINE_NAME": "p",
        "PPS_POD_NAME": "pj-p-v1-0",
        "PPS_SPEC_COMMIT": "s" * 32,
    }


def test_the_root_datum_points_at_the_input() -> None:
    (datum,) = datums(of("l", "/"))
    assert env_of(datum)["l"] == "/pfs/l"


def test_joins_and_groups_tell_their_keys() -> None:
    joined = [env_of(datum) for datum in datums(letters("join", JOIN_ON, JOIN_ON))]
    assert {env["PACH_DATUM_l_JOIN_ON"] for env in joined} == {"a", "b"}
    assert all(env["PACH_DATUM_l_JOIN_ON"] == env["PACH_DATUM_r_JOIN_ON"] for env in joined)
    assert all("PACH_DATUM_l_GROUP_BY" not in env for env in joined)
    grouped = [env_of(datum) for datum in datums(letters("group", GROUP_BY, GROUP_BY))]
    assert sorted(env["PACH_DATUM_r_GROUP_BY"] for env in grouped) == ["a", "b", "c"]


def test_a_capture_of_a_directory_is_its_name() -> None:
    (datum,) = datums({"group": [of("l", "/(d*)", **GROUP_BY)]})
    assert env_of(datum)["PACH_DATUM_l_GROUP_BY"] == "d"
