# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what a Pachyderm holds, in 80 columns: repos, pipelines, jobs, and the files that are asked for.

Usage: report.py [--address HOST:PORT] [--expect PIPELINE:KEY=NUMBER[,...]] [REPO@BRANCH:/PATH ...]

--expect ends with exit code 1 unless the pipeline's newest job counted its datums like that; the keys are
processed, skipped, failed and total.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterable

import grpc
from jinja2.filters import do_filesizeformat
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

WIDTH = 80
# What a long name leaves of the last column, which may hold sentences.
LAST_WIDTH = 24


def shortened(text: str, width: int) -> str:
    """At most `width` characters, with an ellipsis where some are left out."""
    return text if len(text) <= width else text[: width - 3] + "..."


def table(title: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]], right: str = "") -> None:
    """Print rows in padded columns below a title; columns named in `right` are aligned to the right.

    Where the lines get too long, the first column, names, is shortened first, and then the line's end.
    """
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    others = sum(2 + width for width in (*widths[1:-1], min(widths[-1], LAST_WIDTH)))
    widths[0] = min(widths[0], max(WIDTH - 2 - others, len(header[0])))
    print(f"\n{title}")
    for first, *rest in lines:
        line = (shortened(first, widths[0]), *rest)
        cells = [
            cell.rjust(width) if name in right.split() else cell.ljust(width)
            for name, cell, width in zip(header, line, widths, strict=True)
        ]
        print(shortened("  " + "  ".join(cells).rstrip(), WIDTH))
    if len(lines) == 1:
        print("  none")


def print_repos(client: Client) -> None:
    """Each repo of users and pipelines with the size of its master branch."""
    rows = [
        (info.repo.name, do_filesizeformat(info.size_bytes_upper_bound), info.description)
        for info in sorted(client.pfs.list_repo(type="user"), key=lambda info: info.repo.name)
    ]
    table("Repos", ("name", "size", "description"), rows, right="size")


def state_text(kind: type[pps.PipelineState] | type[pps.JobState], state: int) -> str:
    """PIPELINE_RUNNING -> running, JOB_SUCCESS -> success."""
    return str(kind(state).name).partition("_")[2].lower()


def print_pipelines(client: Client) -> None:
    """Each pipeline with its state; the reason where there is one."""
    rows = [
        (info.pipeline.name, str(info.version), state_text(pps.PipelineState, info.state), info.reason)
        for info in sorted(client.pps.list_pipeline(), key=lambda info: info.pipeline.name)
    ]
    table("Pipelines", ("name", "version", "state", "reason"), rows, right="version")


def counts(job: pps.JobInfo) -> dict[str, int]:
    """How many datums a job processed, skipped, failed to process, and had in all."""
    return {
        "processed": job.data_processed,
        "skipped": job.data_skipped,
        "failed": job.data_failed,
        "total": job.data_total,
    }


def print_jobs(jobs: list[pps.JobInfo]) -> None:
    """Each job, newest first, with its datums."""
    rows = [
        (
            job.job.pipeline.name,
            job.job.id[:8],
            state_text(pps.JobState, job.state),
            *map(str, counts(job).values()),
        )
        for job in jobs
    ]
    header = ("pipeline", "job", "state", "processed", "skipped", "failed", "total")
    table("Jobs, newest first, and their datums", header, rows, right="processed skipped failed total")


def print_file(client: Client, where: str) -> None:
    """The content of a text file, its name above it."""
    branch, _, path = where.partition(":")
    with client.pfs.pfs_file(pfs.File.from_uri(f"{branch}:{path}")) as file:
        text = file.read().decode("utf-8", "replace")
    print(f"\n{where}")
    for line in text.splitlines():
        print(f"  {line}")


def expectation_failure(jobs: list[pps.JobInfo], expected: str) -> str:
    """How the newest job differs from "train:processed=1,skipped=4", in one line; empty if it does not."""
    pipeline, _, conditions = expected.partition(":")
    for job in jobs:
        if job.job.pipeline.name == pipeline:
            found = [f"{name}={number}" for name, number in counts(job).items()]
            if set(conditions.split(",")) <= set(found):
                return ""
            return f"the newest job of {pipeline} should have {conditions}, and has {','.join(found)}"
    return f"pipeline {pipeline} has no job"


def main() -> None:
    """Print the report; one line and exit code 1 when pachd is away or an expectation is not met."""
    # `make report | head` ends without a word.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    parser = argparse.ArgumentParser(description="Print what a Pachyderm holds, in 80 columns.")
    parser.add_argument("--address", default=os.environ.get("PACHD_ADDRESS", "grpc://127.0.0.1:30650"))
    parser.add_argument("--expect", action="append", default=[], metavar="PIPELINE:KEY=NUMBER[,...]")
    parser.add_argument("files", nargs="*", metavar="REPO@BRANCH:/PATH", help="text files to print")
    options = parser.parse_args()
    address = options.address if "://" in options.address else f"grpc://{options.address}"
    try:
        client = Client.from_pachd_address(address)
        jobs = list(client.pps.list_job())
        print_repos(client)
        print_pipelines(client)
        print_jobs(jobs)
        for where in options.files:
            print_file(client, where)
    except (grpc.RpcError, ConnectionError) as error:
        text = error.details() if isinstance(error, grpc.RpcError) else error
        sys.exit(f"report: pachd at {address}: {text}; if it does not run, site.yml starts it")
    failures = [failure for each in options.expect if (failure := expectation_failure(jobs, each))]
    if failures:
        sys.exit("\n".join(f"report: {failure}" for failure in failures))


if __name__ == "__main__":
    main()
