# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests do with a pachd, in calls of the official SDK. Names are fresh, so that tests do not meet."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import tarfile
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

# Seconds for what takes the embedded pachd a fraction of one; real workers need a pod first.
PATIENCE = 300 if os.environ.get("PACHD_ADDRESS") else 30

ENDED = ("SUCCESS", "FAILURE", "KILLED", "UNRUNNABLE")

_numbers = itertools.count()

Spec = dict[str, Any]


def poll(condition: Callable[[], Any]) -> Any:
    """The first true answer of `condition`, for what the API offers no call that waits."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return answer


@contextmanager
def projects(client: Client) -> Iterator[Callable[[], pfs.Project]]:
    """Makes projects, which are deleted at the end with all that is in them."""
    made: list[pfs.Project] = []

    def make() -> pfs.Project:
        project = pfs.Project(name=f"contract-{uuid.uuid4().hex[:12]}")
        client.pfs.create_project(project=project)
        made.append(project)
        return project

    yield make
    # A pipeline of one may read from another, so all pipelines go first.
    client.pps.delete_pipelines(projects=made, force=True)
    client.pfs.delete_repos(projects=made, force=True)
    for project in made:
        client.pfs.delete_project(project=project)


class AnyTextWith(str):
    """Equal to each text in which the pattern is found; shows the pattern where it is not."""

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and re.search(str(self), other) is not None


class Data:
    """A repo and what most tests do with one. `name` is the repo's URI: REPO, or PROJECT/REPO."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.api = client.pfs
        self.name = name
        self.repo = pfs.Repo.from_uri(name)

    def branch(self, name: str = "master") -> pfs.Branch:
        return pfs.Branch(repo=self.repo, name=name)

    def commit(self, at: str = "master") -> pfs.Commit:
        """By id (ancestry included) or, as the SDK does it, by the name of a branch."""
        return pfs.Commit.from_uri(f"{self.name}@{at}")

    def file(self, path: str, at: str = "master") -> pfs.File:
        return pfs.File(commit=self.commit(at), path=path)

    def modify(self, changes: Iterable[Any], at: str = "master") -> None:
        """One ModifyFile stream: (path, bytes) adds, a path alone deletes, a CopyFile copies."""

        def requests() -> Iterator[pfs.ModifyFileRequest]:
            yield pfs.ModifyFileRequest(set_commit=self.commit(at))
            for change in changes:
                if isinstance(change, str):
                    yield pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path=change))
                elif isinstance(change, pfs.CopyFile):
                    yield pfs.ModifyFileRequest(copy_file=change)
                else:
                    add = (
                        change
                        if isinstance(change, pfs.AddFile)
                        else pfs.AddFile(path=change[0], raw=change[1])
                    )
                    yield pfs.ModifyFileRequest(add_file=add)

        self.api.modify_file(requests())

    def put(self, files: Mapping[str, bytes], at: str = "master") -> str:
        """Add files in one stream; the answer is the id of the branch's head, by now finished unless open."""
        self.modify(files.items(), at)
        info = self.info(at)
        if "finishing" in info.to_dict():
            self.api.wait_commit(info.commit)
        return str(info.commit.id)

    def start(self, branch: str = "master") -> str:
        return str(self.api.start_commit(branch=self.branch(branch)).id)

    def finish(self, at: str = "master", **options: Any) -> pfs.CommitInfo:
        commit = self.info(at).commit
        self.api.finish_commit(commit=commit, **options)
        return self.api.wait_commit(commit)

    def info(self, at: str = "master") -> pfs.CommitInfo:
        return self.api.inspect_commit(commit=self.commit(at))

    def state(self, at: str = "master") -> str:
        """How far a commit is: "started", "finishing" or "finished"."""
        known = self.info(at).to_dict()
        return next(name for name in ("finished", "finishing", "started") if name in known)

    def head(self, branch: str = "master") -> str:
        return str(self.api.inspect_branch(branch=self.branch(branch)).head.id)

    def history(self, **options: Any) -> list[str]:
        return [info.commit.id for info in self.api.list_commit(repo=self.repo, **options)]

    def derive(self, *upstream: Data, branch: str = "master") -> None:
        """Make this repo's branch depend on the masters of others."""
        self.api.create_branch(branch=self.branch(branch), provenance=[other.branch() for other in upstream])

    def inspect(self, path: str, at: str = "master") -> pfs.FileInfo:
        return self.api.inspect_file(file=self.file(path, at))

    def ls(self, path: str = "/", at: str = "master", **options: Any) -> list[str]:
        return _paths(self.api.list_file(file=self.file(path, at), **options))

    def walk(self, path: str = "/", at: str = "master", **options: Any) -> list[str]:
        return _paths(self.api.walk_file(file=self.file(path, at), **options))

    def glob(self, pattern: str, at: str = "master", **options: Any) -> list[str]:
        return _paths(self.api.glob_file(commit=self.commit(at), pattern=pattern, **options))

    def read(self, path: str, at: str = "master", **options: Any) -> bytes:
        frames = self.api.get_file(file=self.file(path, at), **options)
        return b"".join(frame.value for frame in frames)

    def files(self, at: str = "master") -> dict[str, bytes]:
        """All files with their content, in one call; none where the commit has not even a root."""
        try:
            frames = [frame.value for frame in self.api.get_file_tar(file=self.file("/", at))]
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND or "file / not found" not in error.details():
                raise
            return {}
        with tarfile.open(fileobj=io.BytesIO(b"".join(frames))) as tar:
            found = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
            return {path: file.read() for path, file in found.items() if file is not None}


def _paths(infos: Iterable[pfs.FileInfo]) -> list[str]:
    return [info.file.path for info in infos]


class Lab:
    """Repos, pipelines and jobs of one project. `extra` goes into the spec of each pipeline that is made."""

    def __init__(self, client: Client, project: str = "default", extra: Spec | None = None) -> None:
        self.client = client
        self.pfs = client.pfs
        self.pps = client.pps
        self.project = project
        self.extra = extra or {}

    def name(self, kind: str) -> str:
        return f"{kind}-{next(_numbers)}"

    @property
    def owner(self) -> Any:
        """The project."""
        return pfs.Project(name=self.project)

    # Repos

    def uri(self, repo: str) -> str:
        return f"{self.project}/{repo}"

    def data(self, repo: str) -> Data:
        return Data(self.client, self.uri(repo))

    def repo(self, **files: str) -> str:
        """A new repo; with files it has one commit on master."""
        name = self.name("repo")
        self.pfs.create_repo(repo=pfs.Repo.from_uri(self.uri(name)))
        if files:
            self.put(name, files)
        return name

    def put(
        self, repo: str, files: Mapping[str, str] | None = None, delete: str = "", branch: str = "master"
    ) -> str:
        """One commit; the answer is its id. Files of that name are replaced."""
        with self.pfs.commit(branch=pfs.Branch.from_uri(f"{self.uri(repo)}@{branch}")) as commit:
            if delete:
                commit.delete_file(path=delete)
            for path, content in (files or {}).items():
                commit.put_file_from_bytes(path, content.encode())
        return str(commit.id)

    def files(self, repo: str, at: str = "master") -> dict[str, str]:
        """All files with their content."""
        return {path: content.decode() for path, content in self.data(repo).files(at).items()}

    def read(self, repo: str, path: str, at: str = "master") -> str:
        return self.data(repo).read(path, at).decode()

    def commit_info(self, repo: str, at: str = "master") -> Any:
        return self.data(repo).info(at)

    # Pipelines and jobs

    def spec(self, name: str, source: str | Spec, *script: str, glob: str = "/*", **fields: Any) -> Spec:
        """The spec of a pipeline whose code is a script of bash.

        `source` is the name of a repo, or a whole input; `fields` are the spec's own, but for `transform`,
        which is merged into the transform.
        """
        of_project = {} if self.project == "default" else {"project": {"name": self.project}}
        return {
            "pipeline": {"name": name} | of_project,
            "input": pfs_input(source, glob) if isinstance(source, str) else source,
            "transform": {"cmd": ["bash"], "stdin": list(script)} | fields.pop("transform", {}),
            **self.extra,
            **fields,
        }

    def create(self, spec: Spec | str, **flags: Any) -> Any:
        """CreatePipelineV2 of a spec, or of a text in its place; `flags`: dry_run, update, reprocess."""
        text = spec if isinstance(spec, str) else json.dumps(spec)
        return self.pps.create_pipeline_v2(create_pipeline_request_json=text, **flags)

    def pipeline(self, source: str | Spec, *script: str, glob: str = "/*", **fields: Any) -> str:
        """Create (or with `update` change) a pipeline; `fields` are those of `spec` and `name`, `update`,
        `reprocess`."""
        name = fields.pop("name", "") or self.name("pipe")
        flags = {flag: fields.pop(flag, False) for flag in ("update", "reprocess")}
        self.create(self.spec(name, source, *script, glob=glob, **fields), **flags)
        return name

    def key(self, pipeline: str) -> Any:
        return pps.Pipeline(name=pipeline, project=self.owner)

    def pipeline_info(self, pipeline: str) -> Any:
        return self.pps.inspect_pipeline(pipeline=self.key(pipeline), details=True)

    def jobs(self, pipeline: str, **options: Any) -> list[Any]:
        return list(self.pps.list_job(pipeline=self.key(pipeline), **options))

    def job(self, pipeline: str, job_id: str = "", wait: bool = True) -> Any:
        """A job, the newest unless told otherwise, once it has ended."""
        job_id = job_id or self.jobs(pipeline)[0].job.id
        job = pps.Job(pipeline=self.key(pipeline), id=job_id)
        if not wait:
            return self.pps.inspect_job(job=job)
        # A job that never ends is an error of the test, not a test run that hangs.
        return poll(lambda: _ended(self.pps.inspect_job(job=job)))

    def counts(self, pipeline: str, job_id: str = "") -> str:
        """What became of a job and its datums, such as "SUCCESS p1 s2 t3"; a count of zero is left out."""
        job = self.job(pipeline, job_id)
        counters = {
            "p": job.data_processed,
            "s": job.data_skipped,
            "f": job.data_failed,
            "r": job.data_recovered,
            "t": job.data_total,
        }
        shown = [f"{letter}{count}" for letter, count in counters.items() if count or letter == "t"]
        return " ".join([state_of(job), *shown])

    def state(self, pipeline: str, job_id: str = "") -> str:
        """The state of a job as it is now, without its JOB_; the newest unless told otherwise."""
        return state_of(self.job(pipeline, job_id, wait=False))

    def pipeline_state(self, pipeline: str) -> str:
        info = self.pps.inspect_pipeline(pipeline=self.key(pipeline))
        return str(pps.PipelineState(info.state).name.removeprefix("PIPELINE_"))

    def logs(self, pipeline: str, job_id: str = "", user: bool = True) -> list[str]:
        job_id = job_id or self.jobs(pipeline)[0].job.id
        job = pps.Job(pipeline=self.key(pipeline), id=job_id)
        return [line.message for line in self.pps.get_logs(job=job) if line.user == user]


def pfs_input(repo: str, glob: str = "/*", **fields: Any) -> Spec:
    return {"pfs": {"repo": repo, "glob": glob, **fields}}


def state_of(job: Any) -> str:
    """The name of the state, which the SDK leaves a number."""
    return str(pps.JobState(job.state).name.removeprefix("JOB_"))


def _ended(job: Any) -> Any | None:
    return job if state_of(job) in ENDED else None


def modification(change: Any) -> pfs.ModifyFileRequest:
    """(path, bytes) adds, a path alone deletes, a CopyFile copies."""
    if isinstance(change, str):
        return pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path=change))
    if isinstance(change, pfs.CopyFile):
        return pfs.ModifyFileRequest(copy_file=change)
    return pfs.ModifyFileRequest(add_file=pfs.AddFile(path=change[0], raw=change[1]))
