# SPDX-License-Identifier: GPL-3.0-or-later
"""Random sequences of changes to a repo do to pachd what they do to a model of a few lines in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import grpc
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run
from pachyderm_sdk.api import pfs

from tests.contract.lab import Lab

# A real pachd takes seconds where the embedded one takes milliseconds.
EXAMPLES, STEPS = (5, 10) if os.environ.get("PACHD_ADDRESS") else (60, 20)

Files = dict[str, bytes]

# Two of them cannot be in one commit without a collision.
PATHS = ("/a", "/a/z", "/b", "/d/x", "/d/e/y")
DIRECTORIES = ("/", "/a/", "/d/", "/d/e/", "/missing/")

branches = st.sampled_from(("master", "dev"))
adds = st.tuples(st.sampled_from(PATHS), st.binary(max_size=3))
deletes = st.sampled_from((*PATHS, *DIRECTORIES))
copies = st.tuples(
    st.integers(0, 9), st.sampled_from(("/", *PATHS, "/d", "/d/e")), st.sampled_from(PATHS), st.booleans()
)
changes = st.lists(st.one_of(adds, adds, deletes, copies, copies), max_size=6)


@dataclass(eq=False)
class Commit:
    """`files` are None in one that ended in an error of its own: its children start from its parent's."""

    id: str
    parent: Commit | None
    files: Files
    is_open: bool = True
    failed: bool = False
    start: Files = field(default_factory=dict)

    @property
    def base(self) -> Files:
        """What a child starts from."""
        return self.start if self.failed else self.files

    @property
    def collides(self) -> bool:
        return any(other.startswith(f"{path}/") for path in self.files for other in self.files)


@dataclass(frozen=True)
class Copy:
    source: Commit
    path: str
    target: str
    append: bool


class RepoMachine(RuleBasedStateMachine):
    """What a test does is done to a repo and to `commits` (oldest first) and `heads` here."""

    lab: Lab

    @initialize()
    def begin(self) -> None:
        self.data = self.lab.data(self.lab.repo())
        self.commits: list[Commit] = []
        self.heads: dict[str, Commit] = {}
        self.modify("master", [("/b", b"b"), ("/d/x", b"x")])

    # What the model knows

    def children(self, commit: Commit) -> list[Commit]:
        return [other for other in self.commits if other.parent is commit]

    def branches_at(self, commit: Commit) -> list[str]:
        return [name for name, head in self.heads.items() if head is commit]

    def add_commit(self, branch: str, commit_id: str) -> Commit:
        parent = self.heads.get(branch)
        base = dict(parent.base) if parent else {}
        commit = Commit(commit_id, parent, base, start=dict(base))
        self.commits.append(commit)
        self.heads[branch] = commit
        return commit

    # What is done

    @rule(branch=branches, parts=changes)
    def modify(self, branch: str, parts: list[Any]) -> None:
        known = self.resolved(parts)
        self.data.modify(map(self.message, known), branch)
        head = self.heads.get(branch)
        if head is None or not head.is_open:
            head = self.add_commit(branch, self.data.head(branch))
            head.is_open = False
        for part in known:
            head.files = changed(head.files, part)

    @rule(branch=branches, parts=changes)
    def modify_in_vain(self, branch: str, parts: list[Any]) -> None:
        refuses(self.data.modify, [*map(self.message, self.resolved(parts)), ("/*", b"")], branch)

    @rule(branch=branches)
    def start(self, branch: str) -> None:
        head = self.heads.get(branch)
        if head is not None and head.is_open:
            refuses(self.data.start, branch)
        else:
            self.add_commit(branch, self.data.start(branch))

    @rule(branch=branches, error=st.sampled_from(("", "", "boom")))
    def finish(self, branch: str, error: str) -> None:
        head = self.heads.get(branch)
        if head is None:
            return
        if head.is_open:
            self.data.finish(branch, error=error)
            head.is_open, head.failed = False, bool(error)
        else:
            refuses(self.data.finish, branch)

    @rule(branch=branches)
    def clear(self, branch: str) -> None:
        head = self.heads.get(branch)
        if head is None:
            return
        if head.is_open:
            self.data.api.clear_commit(commit=self.data.commit(branch))
            head.files = dict(head.start)
        else:
            refuses(self.data.api.clear_commit, commit=self.data.commit(branch))

    @precondition(lambda self: self.commits)
    @rule(branch=branches, index=st.integers(0, 99))
    def point(self, branch: str, index: int) -> None:
        """A branch, new or not, at a finished commit."""
        finished = [commit for commit in self.commits if not commit.is_open]
        head = self.heads.get(branch)
        if not finished or (head is not None and head.is_open):
            return
        commit = finished[index % len(finished)]
        self.data.api.create_branch(branch=self.data.branch(branch), head=self.data.commit(commit.id))
        self.heads[branch] = commit

    @rule(branch=branches)
    def delete_branch(self, branch: str) -> None:
        if branch in self.heads and not self.heads[branch].is_open:
            self.data.api.delete_branch(branch=self.data.branch(branch))
            del self.heads[branch]

    @precondition(lambda self: self.commits)
    @rule(index=st.integers(0, 99))
    def squash(self, index: int) -> None:
        commit = self.commits[index % len(self.commits)]
        below = self.children(commit)
        if commit.failed or self.branches_at(commit) or any(c.is_open or c.failed for c in below):
            return
        call = self.data.api.squash_commit_set
        if not below:
            refuses(call, commit_set=pfs.CommitSet(id=commit.id))
            return
        call(commit_set=pfs.CommitSet(id=commit.id))
        for child in below:
            child.parent = commit.parent
        self.commits.remove(commit)

    @precondition(lambda self: self.commits)
    @rule(index=st.integers(0, 99))
    def drop(self, index: int) -> None:
        commit = self.commits[index % len(self.commits)]
        call = self.data.api.drop_commit_set
        if self.children(commit):
            refuses(call, commit_set=pfs.CommitSet(id=commit.id))
            return
        if len(self.branches_at(commit)) > 1:
            return  # each of them would get a new head of its own
        call(commit_set=pfs.CommitSet(id=commit.id))
        self.commits.remove(commit)
        for branch in self.branches_at(commit):
            if commit.parent is not None:
                self.heads[branch] = commit.parent
            else:
                del self.heads[branch]
                self.add_commit(branch, self.data.head(branch)).is_open = False

    # What both must agree on

    @invariant()
    def history_is_the_same(self) -> None:
        assert self.data.history(reverse=True) == [commit.id for commit in self.commits]
        found = self.data.api.list_branch(repo=self.data.repo)
        assert {info.branch.name: info.head.id for info in found} == {
            branch: commit.id for branch, commit in self.heads.items()
        }

    @invariant()
    def files_of_heads_are_the_same(self) -> None:
        self.check(self.heads.values())

    def check(self, commits: Iterable[Commit]) -> None:
        for commit in commits:
            if commit.collides:
                if not commit.is_open and not commit.failed:
                    refuses(self.data.ls, at=commit.id)
            else:
                assert self.data.files(commit.id) == commit.files

    def teardown(self) -> None:
        if hasattr(self, "data"):
            self.check(self.commits)
            self.data.api.delete_repo(repo=self.data.repo, force=True)

    # Changes

    def resolved(self, parts: list[Any]) -> list[Any]:
        """The same, with copies from commits that are there; no copies of what has grown too large."""
        sources = [c for c in self.commits if not c.is_open and not c.collides and len(c.files) <= 10]
        made = []
        for part in parts:
            if len(part) != 4 or isinstance(part, str):
                made.append(part)
            elif sources:
                number, path, target, append = part
                made.append(Copy(sources[number % len(sources)], path, target, append))
        return made

    def message(self, part: Any) -> Any:
        if not isinstance(part, Copy):
            return part
        return pfs.CopyFile(
            src=self.data.file(part.path, part.source.id), dst=part.target, append=part.append
        )


def changed(files: Files, part: Any) -> Files:
    """What a change makes of files."""
    if isinstance(part, str):
        below = part if part.endswith("/") else f"{part}//"
        return {path: data for path, data in files.items() if path != part and not path.startswith(below)}
    if not isinstance(part, Copy):
        path, data = part
        return files | {path: files.get(path, b"") + data}
    source = part.path.rstrip("/")
    for path, data in part.source.files.items():
        if path == part.path or path.startswith(f"{source}/"):
            target = part.target + path[len(source) :]
            files = files | {target: (files.get(target, b"") if part.append else b"") + data}
    return files


def refuses(call: Any, *args: Any, **options: Any) -> None:
    try:
        answer = call(*args, **options)
        if isinstance(answer, Iterable):
            list(answer)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.UNKNOWN, error  # noqa: PT017
        return
    raise AssertionError(f"{call} was not refused")


def test_a_repo_is_what_its_changes_make_of_it(lab: Lab) -> None:
    class Machine(RepoMachine):
        pass

    Machine.lab = lab
    run(Machine, settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS))
