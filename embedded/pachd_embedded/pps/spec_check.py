# SPDX-License-Identifier: GPL-3.0-or-later
"""What pachd 2.12 checks of a pipeline before it creates it, in its order and its words.

Left unchecked because pachd leaves it so: glob syntax, image names, quantities, limits against requests, a
missing cmd, parallelism 0, join without join_on, lazy with empty_files, autoscaling with a service.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from betterproto import which_one_of
from pachyderm_sdk.api import pps

from pachd_embedded.cron_spec import CronError
from pachd_embedded.cron_spec import parse as parse_cron
from pachd_embedded.errors import PachError, unknown
from pachd_embedded.pfs.names import check_branch_name, check_pipeline_name
from pachd_embedded.pps.inputs import children_of, clean_glob, is_set, kinds_of, walk_inputs, walk_nodes

_REPROCESS_SPECS = ("", "until_success", "every_job")
_SERVICE_TYPES = ("", "ClusterIP", "LoadBalancer", "NodePort")
_RESERVED_INPUT_NAMES = ("out", ".env")


def static_error(request: Any) -> str:
    """What is wrong with a spec by itself, or "". Pachd refuses it already while it merges defaults."""
    if is_set(request.tf_job):
        return "embedding TFJobs in pipelines is not supported yet"
    if request.reprocess_spec not in _REPROCESS_SPECS:
        return 'invalid pipeline spec: ReprocessSpec must be one of "until_success" or "every_job"'
    for number, toleration in enumerate(request.tolerations, 1):
        if toleration.operator == pps.TolerationOperator.EMPTY:
            where = f"toleration {number}/{len(request.tolerations)}"
            return f"{where}: cannot omit key/value comparison operator; specify EQUAL or EXISTS"
    for name, text in (("PodSpec", request.pod_spec), ("PodPatch", request.pod_patch)):
        if text and not _is_json(text):
            return f"malformed {name}"
    if request.service.type not in _SERVICE_TYPES:
        return f"the following service type {request.service.type} is not allowed"
    return ""


def check_spec(request: Any, secrets: Mapping[str, Collection[str]] | None = None) -> None:
    """Raises PachError (UNKNOWN) for the first thing that pachd refuses in a CreatePipelineRequest.

    `request` is an EffectiveSpec's; `secrets` maps the Kubernetes secrets that exist to their keys; None
    leaves them alone. Whether repos and projects exist is for the caller to see.
    """
    if secrets is not None:
        _check_secrets(request, secrets)
    check_pipeline_name(request.pipeline.name, request.pipeline.project.name)
    reason = (
        _request_error(request)
        or _names_error(request.input, set())
        or _input_error(request)
        or _egress_error(request.egress)
        or _details_error(request)
    )
    if reason:
        raise unknown(reason)
    _check_output_branch(request.output_branch)


def unsupported(request: Any, egress_refusal: Callable[[str], str]) -> str:
    """One line that names what this server cannot run of a spec that pachd takes, or "".

    `egress_refusal` says why it cannot write to a URL, "" when it can.
    """
    inputs = list(walk_inputs(request.input))
    files = [each for each in inputs if isinstance(each, pps.PfsInput)]
    used = {
        "spout": is_set(request.spout),
        "service": is_set(request.service),
        "egress.sql_database": _is_to_database(request.egress),
        "determined": is_set(request.determined),
        "s3_out": request.s3_out,
        "transform.datum_batching": request.transform.datum_batching,
        "input.pfs.s3": any(each.s3 for each in files),
        "input.pfs.propagation_spec.never": any(each.propagation_spec.never for each in files),
    }
    names = [name for name, is_used in used.items() if is_used]
    # Such a name would lead out of the directory that stands for /pfs, or is none to the system.
    names += [
        f"an input called {each.name!r}"
        for each in inputs
        if "/" in each.name or "\0" in each.name or each.name in (".", "..")
    ]
    url = egress_url(request)
    if not names and url is not None and (reason := egress_refusal(url)):
        return f"egress of pipeline {request.pipeline.name}: {reason}"
    if not names:
        return ""
    return (
        f"the embedded pachd does not run pipelines with {', '.join(names)}: "
        f"remove it from pipeline {request.pipeline.name}, or use a Pachyderm cluster"
    )


def egress_url(request: Any) -> str | None:
    """Where the output is copied to, None where it is not."""
    if not is_set(request.egress) or _is_to_database(request.egress):
        return None
    return str(request.egress.url or request.egress.object_storage.url)


def _is_to_database(egress: Any) -> bool:
    # Its is_set is true of every field of a message that was once encoded, such as for an answer.
    return which_one_of(egress, "target")[0] == "sql_database"


def _check_secrets(request: Any, secrets: Mapping[str, Collection[str]]) -> None:
    for secret in request.transform.secrets:
        if secret.env_var and not secret.key:
            raise unknown(f"secret {secret.name} has env_var set but is missing key")
        if secret.name not in secrets:
            raise unknown(f"missing Kubernetes secret {secret.name}")
        if secret.env_var and secret.key not in secrets[secret.name]:
            raise unknown(f"Kubernetes secret {secret.name} missing key {secret.key}")


def _request_error(request: Any) -> str:
    if request.s3_out and (is_set(request.service) or is_set(request.spout)):
        return "s3 output is not supported in spouts or services"
    if not is_set(request.transform):
        return "pipeline must specify a transform"
    if is_set(request.spout) and request.autoscaling:
        return "autoscaling can't be used with spouts (spouts aren't triggered externally)"
    return static_error(request)


def _names_error(node: Any, names: set[str]) -> str:
    """Checks that input names are given and unique, and adds them to `names`."""
    kinds = kinds_of(node)
    if "pfs" in kinds:
        return _name_error(node.pfs.name or node.pfs.repo, names)
    if "cron" in kinds:
        return _name_error(node.cron.name, names)
    # A datum has files of one branch of a union only, so the branches may share names with each other.
    shared = set(names) if "union" in kinds else None
    for child in children_of(node):
        known = names if shared is None else set(shared)
        reason = _names_error(child, known)
        if reason:
            return reason
        names |= known
    return ""


def _name_error(name: str, names: set[str]) -> str:
    if not name:
        return "input must specify a name"
    if name in _RESERVED_INPUT_NAMES:
        return f"input cannot be named {name}"
    if name in names:
        return f'name "{name}" was used more than once'
    names.add(name)
    return ""


def _input_error(request: Any) -> str:
    if not is_set(request.input) and is_set(request.spout):
        return ""
    return next(filter(None, map(_node_error, walk_nodes(request.input))), "")


def _node_error(node: Any) -> str:
    kinds = kinds_of(node)
    reason = _pfs_error(node.pfs) if "pfs" in kinds else ""
    if reason:
        return reason
    if len(kinds) > 1:
        return "multiple input types set"
    if not kinds:
        return "no input set"
    if "cron" in kinds:
        return _cron_error(node.cron)
    files = [each for each in walk_inputs(node) if isinstance(each, pps.PfsInput)]
    if kinds[0] in ("join", "group", "union") and any(each.s3 for each in files):
        return f"S3 inputs in {kinds[0]} expressions are not supported"
    return ""


def _pfs_error(pfs: Any) -> str:
    through_s3 = "requires input data to be accessed via Pachyderm's S3 gateway rather than the file system"
    if not pfs.repo:
        return "input must specify a repo"
    if not pfs.s3 and not pfs.glob:
        return "input must specify a glob"
    if pfs.s3 and (not pfs.glob or clean_glob(pfs.glob) != "/"):
        return (
            "inputs that set 's3' to 'true' must also set 'glob', to \"/\", as the S3 gateway is only able "
            "to expose data at the commit level"
        )
    if pfs.s3 and pfs.lazy:
        return f"input cannot specify both 's3' and 'lazy', as 's3' {through_s3}"
    if pfs.s3 and pfs.empty_files:
        return f"input cannot specify both 's3' and 'empty_files', as 's3' {through_s3}"
    if pfs.commit:
        return "input cannot come from a commit; use a branch with head pointing to the commit"
    return ""


def _cron_error(cron: Any) -> str:
    try:
        parse_cron(cron.spec)
    except CronError as error:
        return f"error parsing cron-spec: {error}"
    return ""


def _egress_error(egress: Any) -> str:
    if not _is_to_database(egress):
        return ""
    secret = egress.sql_database.secret
    if not is_set(secret):
        return "egress.sql_database.secret is required"
    if not secret.name or not secret.key:
        return "egress.sql_database.secret.name and egress.sql_database.secret.key are required"
    return ""


def _details_error(request: Any) -> str:
    if (
        is_set(request.service)
        and is_set(request.parallelism_spec)
        and request.parallelism_spec.constant != 1
    ):
        return "services can only be run with a constant parallelism of 1"
    if is_set(request.spout) and not is_set(request.spout.service) and is_set(request.input):
        return "spout pipelines (without a service) must not have an input"
    return ""


def _check_output_branch(branch: str) -> None:
    try:
        check_branch_name(branch or "master")
    except PachError as error:
        raise PachError(error.code, f"could not create/update output branch: {error.text}") from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
