# SPDX-License-Identifier: GPL-3.0-or-later
"""The datums of random trees of inputs are those that a brute-force model of a few lines lists."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pachyderm_sdk import Client
from pachyderm_sdk.api import pps

from tests.contract.lab import Lab, projects

EXAMPLES = 20 if os.environ.get("PACHD_ADDRESS") else 120

FILES = {
    "left": ["/a-1", "/a-2", "/b-1", "/c-3"],
    "right": ["/a-9", "/b-1", "/b-7", "/d-1"],
    "deep": ["/x/a-1", "/x/b-1", "/y/a-2"],
    "empty": [],
}
# Of a glob: what it matches of those, each with what its two parentheses capture.
LETTER_DIGIT = "/(*)-(*)"

Node = dict[str, Any]
# A file as a datum has it: the name of the input, the path.
File = tuple[str, str]


def matched(node: Node) -> list[tuple[File, str, str]]:
    """The files of a pfs input, each with its keys for join_on and group_by."""
    repo, glob = node["repo"], node["glob"]
    found: list[tuple[str, tuple[str, str]]] = []
    for path in FILES[repo]:
        top, _, below = path[1:].partition("/")
        if glob == LETTER_DIGIT and not below:
            found.append((path, (top[0], top[2])))
        elif glob == "/*":
            found.append((f"/{top}/" if below else path, ("", "")))
    if glob == "/" and FILES[repo]:
        found.append(("/", ("", "")))
    keys = {"": 0, "$1": 0, "$2": 1}
    unique = dict(found)

    def key(captured: tuple[str, str], by: str) -> str:
        return captured[keys[node[by]]] if node[by] else ""

    return [
        ((node["name"], path), key(captured, "joinOn"), key(captured, "groupBy"))
        for path, captured in unique.items()
    ]


def leaves(node: Node) -> Iterator[Node]:
    for kind, inner in node.items():
        if kind == "pfs":
            yield inner
        else:
            for child in inner:
                yield from leaves(child)


def datums(node: Node) -> set[tuple[File, ...]]:
    """Each datum as its files in order, so that the order of inputs makes no difference."""
    ((kind, inner),) = node.items()
    if kind == "pfs":
        return {(file,) for file, _, _ in matched(inner)}
    if kind == "union":
        return set().union(*(datums(child) for child in inner))
    if kind == "cross":
        ways = itertools.product(*(datums(child) for child in inner))
        return {tuple(sorted(itertools.chain.from_iterable(way))) for way in ways}
    by_key: dict[str, list[list[File]]] = {}
    for number, child in enumerate(inner):
        for file, join_on, group_by in matched(child["pfs"]):
            lists = by_key.setdefault(join_on if kind == "join" else group_by, [[] for _ in inner])
            lists[number].append(file)
    if kind == "group":
        return {tuple(sorted(itertools.chain.from_iterable(lists))) for lists in by_key.values()}
    outer = {child["pfs"]["name"] for child in inner if child["pfs"]["outerJoin"]}
    made = set()
    for lists in by_key.values():
        for way in itertools.product(*(files for files in lists if files)):
            kept = way if all(lists) else tuple(file for file in way if file[0] in outer)
            made |= {tuple(sorted(kept))} if kept else set()
    return made


keys = st.sampled_from(["$1", "$2"])


def pfs_nodes(glob: Any, **options: Any) -> Any:
    given_options = {"joinOn": st.just(""), "groupBy": st.just(""), "outerJoin": st.just(False)} | options
    fields = {"repo": st.sampled_from(sorted(FILES)), "glob": glob, **given_options}
    return st.fixed_dictionaries({"pfs": st.fixed_dictionaries(fields)})


def several(kind: str, of: Any) -> Any:
    return st.fixed_dictionaries({kind: st.lists(of, min_size=1, max_size=3)})


keyed = st.just(LETTER_DIGIT)
single = pfs_nodes(st.sampled_from(["/", "/*", LETTER_DIGIT]))
joins = several("join", pfs_nodes(keyed, joinOn=keys, outerJoin=st.booleans()))
groups = several("group", pfs_nodes(keyed, groupBy=keys))
flat = st.one_of(single, joins, groups)
nested = st.one_of(several("cross", flat), several("union", flat))
inputs = st.one_of(flat, nested, several("cross", nested), several("union", nested))


@pytest.fixture(scope="module")
def lab(client: Client) -> Iterator[Lab]:
    with projects(client) as new:
        lab = Lab(client, new().name)
        for repo, files in FILES.items():
            lab.client.pfs.create_repo(repo=lab.data(repo).repo)
            lab.data(repo).put(dict.fromkeys(files, b"x"))
        yield lab


@settings(max_examples=EXAMPLES)
@given(node=inputs)
def test_an_input_has_the_datums_of_the_model(lab: Lab, node: Node) -> None:
    for number, leaf in enumerate(leaves(node)):
        leaf |= {"name": f"in{number}", "project": lab.project}
    infos = list(lab.pps.list_datum(input=pps.Input().from_dict(node)))
    ids = [info.datum.id for info in infos]
    assert ids == sorted(set(ids))
    # The answer names the repo of a file, not the input, so the model's names become repos too.
    repos = {leaf["name"]: leaf["repo"] for leaf in leaves(node)}
    expected = sorted(tuple(sorted((repos[name], path) for name, path in datum)) for datum in datums(node))
    found = [tuple(sorted((f.file.commit.repo.name, f.file.path) for f in info.data)) for info in infos]
    assert sorted(found) == expected
