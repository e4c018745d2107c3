# SPDX-License-Identifier: GPL-3.0-or-later
"""For each module, runs that make all of its calls: test_faults.py breaks each of these calls once."""

from __future__ import annotations

from . import fault_scenes as scenes
from .fault_labs import Row

# What the failure of a job is told without.
_TOLD = "the job's failure is told all the same"
_SECOND = "it may have been carried out, and a second run would do the work again"
# A job goes on while the module tells how it is.
_GOES_ON = ("jobs", "pipelines")

ROWS: dict[str, Row] = {
    "project": Row(
        "project",
        scenes.projects,
        ("ListProject", "ListRepo", "CreateProject", "DeleteProject", "EditMetadata"),
    ),
    "repo": Row(
        "repo",
        scenes.repos,
        ("ListRepo", "ListBranch", "ListProject", "DeleteRepo", "BatchTransaction", "EditMetadata"),
    ),
    "branch": Row(
        "branch", scenes.branches, ("ListRepo", "ListBranch", "InspectCommit", "DeleteBranch", "CreateBranch")
    ),
    "file": Row(
        "file",
        scenes.files,
        ("InspectRepo", "InspectBranch", "InspectCommit", "GlobFile", "ModifyFile"),
        atomic=True,
    ),
    "sync": Row(
        "sync",
        scenes.sync,
        (
            *("InspectCluster", "InspectRepo", "InspectBranch", "InspectCommit", "GlobFile"),
            *("CreateFileSet", "StartCommit", "AddFileSet", "FinishCommit"),
        ),
        atomic=True,
    ),
    "fetch": Row("fetch", scenes.fetch, ("InspectBranch", "InspectCommit", "GlobFile", "GetFile")),
    "fetch_many": Row("fetch", scenes.fetch_many, ("GetFileTAR",)),
    "secret": Row("secret", scenes.secrets, ("ListSecret", "DeleteSecret", "CreateSecret")),
    "role_binding": Row(
        "role_binding",
        scenes.role_bindings,
        ("GetRoleBinding", "ListProject", "ListRepo", "ModifyRoleBinding"),
    ),
    "defaults": Row(
        "defaults",
        scenes.defaults,
        (
            *("ListProject", "GetClusterDefaults", "SetClusterDefaults"),
            *("GetProjectDefaults", "SetProjectDefaults"),
        ),
    ),
    "pipeline": Row(
        "pipeline",
        scenes.pipelines,
        (
            *("ListPipeline", "ListRepo", "ListProject", "CreatePipelineV2", "InspectCluster"),
            *("InspectSecret", "BatchTransaction"),
        ),
        passing=_GOES_ON,
        atomic=True,
    ),
    "pipeline_updated": Row(
        "pipeline", scenes.pipeline_updated, ("WalkBranchSubvenance", "CreatePipelineV2"), passing=_GOES_ON
    ),
    "pipeline_absent": Row("pipeline", scenes.pipeline_absent, ("DeletePipeline",)),
    "pipeline_stopped": Row("pipeline", scenes.pipeline_stopped, ("StopPipeline",), passing=_GOES_ON),
    "pipeline_started": Row("pipeline", scenes.pipeline_started, ("StartPipeline",), passing=_GOES_ON),
    "pipeline_awaited": Row("pipeline", scenes.pipeline_awaited, ("ListJob",)),
    "prune": Row(
        "prune",
        scenes.prune,
        (
            *("ListProject", "ListRepo", "ListBranch", "ListPipeline", "ListCommit", "EditMetadata"),
            *("DeleteBranch", "DeletePipeline", "DeleteProject", "DeleteRepo"),
        ),
    ),
    "commit_started": Row("commit", scenes.commit_started, ("InspectBranch", "InspectCommit", "StartCommit")),
    "commit_finished": Row("commit", scenes.commit_finished, ("FinishCommit",)),
    "commit_awaited": Row("commit", scenes.commit_awaited, ("InspectCommitSet",)),
    "commit_squashed": Row("commit", scenes.commit_squashed, ("SquashCommitSet",)),
    "commit_dropped": Row("commit", scenes.commit_dropped, ("DropCommitSet",)),
    "info": Row(
        "info",
        scenes.info,
        (
            *("ListProject", "ListRepo", "ListBranch", "InspectBranch", "ListCommit", "GlobFile", "GetFile"),
            *("WalkCommitProvenance", "WalkCommitSubvenance", "ListPipeline", "ListJob", "ListDatum"),
            *("GetLogs", "GetClusterDefaults", "GetProjectDefaults", "GetRoleBinding"),
        ),
        # They tell how long they took.
        passing=("datums",),
    ),
    "info_of_a_commit": Row("info", scenes.info_of_a_commit, ("InspectCommit",)),
    "job_awaited": Row("job", scenes.job_awaited, ("InspectJobSet",)),
    "job_of_a_commit_awaited": Row("job", scenes.job_of_a_commit_awaited, ("InspectJob",)),
    "job_failed": Row(
        "job",
        scenes.job_failed,
        ("ListJob", "ListDatum", "GetLogs", "InspectPipeline"),
        unneeded=dict.fromkeys(("ListDatum", "GetLogs", "InspectPipeline"), _TOLD),
        # The log has how long the code ran.
        passing=("jobs", "msg"),
        fails=True,
    ),
    "job_run": Row(
        "job",
        scenes.job_run,
        ("ListPipeline", "BatchTransaction"),
        unsafe={"BatchTransaction": _SECOND},
        passing=_GOES_ON,
        once_more=_SECOND,
    ),
    "job_run_anew": Row(
        "job",
        scenes.job_run_anew,
        ("RerunPipeline",),
        unsafe={"RerunPipeline": _SECOND},
        passing=_GOES_ON,
        once_more=_SECOND,
    ),
    "job_ticked": Row(
        "job",
        scenes.job_ticked,
        ("RunCron",),
        unsafe={"RunCron": _SECOND},
        passing=_GOES_ON,
        once_more=_SECOND,
    ),
    "job_stopped": Row("job", scenes.job_stopped, ("StopJob",)),
    "job_restarted": Row(
        "job", scenes.job_restarted, ("RestartDatum",), passing=_GOES_ON, look=scenes.number_of_jobs
    ),
}
