# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipelines, jobs and results of datums, as the database holds them."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from functools import lru_cache
from typing import Any

from pachyderm_sdk.api import pps

from ..pfs.model import BranchKey, RepoKey


class JobState(IntEnum):
    """pps.JobState, as far as the engine knows it."""

    CREATED = 1
    STARTING = 2
    RUNNING = 3
    FAILURE = 4
    SUCCESS = 5
    KILLED = 6
    EGRESSING = 7
    FINISHING = 8
    UNRUNNABLE = 9


class PipelineState(IntEnum):
    """pps.PipelineState, as far as the engine knows it."""

    STARTING = 1
    RUNNING = 2
    FAILURE = 4
    PAUSED = 5
    STANDBY = 6
    CRASHING = 7


class DatumState(IntEnum):
    """pps.DatumState of a datum that is done."""

    FAILED = 1
    SUCCESS = 2
    SKIPPED = 3
    RECOVERED = 5


# The name under which Kubernetes counts the devices of the pool.
NVIDIA_GPU = "nvidia.com/gpu"


@lru_cache(maxsize=512)
def _request(data: bytes) -> Any:
    """Parsed once, because the scheduler looks at every pipeline after each change; nobody changes it."""
    return pps.CreatePipelineRequest.FromString(data)


@dataclass(frozen=True, slots=True)
class PipelineKey:
    project: str
    name: str

    def __str__(self) -> str:
        return f"{self.project}/{self.name}"

    def repo(self, type_: str) -> RepoKey:
        return RepoKey(self.project, self.name, type_)


@dataclass(frozen=True)
class Pipeline:
    """One version of a pipeline. `request` is the effective CreatePipelineRequest with names filled in."""

    row_id: int
    key: PipelineKey
    version: int
    newest: int
    stopped: bool
    state: PipelineState
    reason: str
    created: float
    updated: float
    user_json: str
    effective_json: str
    request: Any
    salt: str
    spec_commit: str
    metadata: str

    @classmethod
    def of(cls, row: sqlite3.Row) -> Pipeline:
        return cls(
            row_id=row["id"],
            key=PipelineKey(row["project"], row["name"]),
            version=row["of_version"],
            newest=row["version"],
            stopped=bool(row["stopped"]),
            state=PipelineState(row["state"]),
            reason=row["reason"],
            created=row["created"],
            updated=row["updated"],
            user_json=row["user_json"],
            effective_json=row["effective_json"],
            request=_request(row["request"]),
            salt=row["salt"],
            spec_commit=row["spec_commit"],
            metadata=row["metadata"],
        )

    @property
    def output(self) -> BranchKey:
        return BranchKey(self.key.repo("user"), self.request.output_branch)

    @property
    def gpus(self) -> int:
        """Devices that each worker asks for; the spec is not checked for negative numbers."""
        return max(0, int(self.request.resource_limits.gpu.number))

    @property
    def gpu_type(self) -> str:
        return str(self.request.resource_limits.gpu.type) or NVIDIA_GPU

    @property
    def parallelism(self) -> int:
        """Workers asked for; 1 when the spec says nothing or 0."""
        spec = self.request.parallelism_spec
        return max(1, int(spec.constant)) if spec else 1

    @property
    def worker_name(self) -> str:
        """What stands for the name of the worker pod."""
        return f"{self.key.project}-{self.key.name}-v{self.version}-embedded"


@dataclass(frozen=True, slots=True)
class Job:
    seq: int
    id: str
    pipeline_id: int
    version: int
    output: int
    state: JobState
    reason: str
    processed: int
    skipped: int
    failed: int
    recovered: int
    total: int
    created: float
    started: float | None
    finished: float | None
    stats: dict[str, float]
    datums: bytes | None
    output_tree: bytes | None

    @classmethod
    def of(cls, row: sqlite3.Row) -> Job:
        values = {name: row[name] for name in row.keys()}  # noqa: SIM118 (a Row iterates over its values)
        values["state"] = JobState(values["state"])
        values["stats"] = json.loads(values["stats"])
        return cls(**values)


# What is summed up over the datums of a job; times are in seconds.
STATS = ("download_seconds", "process_seconds", "upload_seconds", "download_bytes", "upload_bytes")


@dataclass(frozen=True, slots=True)
class DatumInput:
    """A file or directory (its path ends in a slash) of a datum. `hash` is hex, `size` in bytes."""

    project: str
    repo: str
    commit: str
    path: str
    hash: str
    size: int


@dataclass(frozen=True, slots=True)
class DatumResult:
    """What a datum came to: kept while its job runs, then in the job's tree of datums.

    `hash` (hex) decides whether a later job skips it. Times are in seconds.
    """

    state: int
    hash: str
    job: str
    inputs: list[DatumInput]
    outputs: list[str] = field(default_factory=list)
    download_seconds: float = 0.0
    process_seconds: float = 0.0
    upload_seconds: float = 0.0
    download_bytes: int = 0
    upload_bytes: int = 0
    image: str = ""

    @classmethod
    def of(cls, value: dict[str, Any]) -> DatumResult:
        return cls(**{**value, "inputs": [DatumInput(**entry) for entry in value["inputs"]]})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def stats(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in STATS}
