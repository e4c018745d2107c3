# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipeline specs as CreatePipelineV2 treats them: strict parsing, defaults merged in, the answer's JSON.

Defaults are layers of JSON: built-in, cluster, project, then the user's spec (RFC 7396 merge patch, so a null
in a layer removes what the layers below set). All errors here are INVALID_ARGUMENT, as in pachd.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Literal

from pachyderm_sdk.api import pps

from pachd_embedded.errors import PachError, invalid_argument, unknown
from pachd_embedded.pfs.model import DEFAULT_PROJECT
from pachd_embedded.pps import gojson, protojson
from pachd_embedded.pps.inputs import is_set
from pachd_embedded.pps.json_scanner import ProtoJsonError
from pachd_embedded.pps.proto_schema import Field, fields_by_json_key
from pachd_embedded.pps.spec_check import static_error

DEFAULT_IMAGE = "ubuntu:20.04"
DEFAULT_DATUM_TRIES = 3

_BUILT_IN_DEFAULTS: dict[str, Any] = {
    "createPipelineRequest": {
        "transform": {"image": DEFAULT_IMAGE},
        "outputBranch": "master",
        "datumTries": str(DEFAULT_DATUM_TRIES),
        "reprocessSpec": "until_success",
    }
}

# What a new server stores as cluster defaults; setting cluster defaults replaces all of it.
INITIAL_CLUSTER_DEFAULTS = (
    '{"createPipelineRequest":{"resourceRequests":{"cpu":1,"memory":"256Mi","disk":"1Gi"},'
    '"sidecarResourceRequests":{"cpu":1,"memory":"256Mi","disk":"1Gi"}}}'
)

DefaultsKind = Literal["cluster", "project"]
_DEFAULTS_MESSAGES = {"cluster": pps.ClusterDefaults, "project": pps.ProjectDefaults}


@dataclass(frozen=True)
class EffectiveSpec:
    """A user's spec with all defaults.

    `user_json` is the request's text; `effective_json` has sorted keys, values in the user's own form and no
    project that the user did not name; `request` has everything filled in, the project too.
    """

    user_json: str
    effective_json: str
    request: Any

    def response_json(self, *, update: bool, reprocess: bool) -> str:
        """The proto JSON that CreatePipelineV2 and its dry run answer with."""
        # Parsed anew: the caller may have filled `request` in further, and the answer shows none of that.
        request = protojson.parse(pps.CreatePipelineRequest, self.effective_json)
        _fill_project(request)
        request.update, request.reprocess = update, reprocess
        return protojson.render(request)


def parse_spec(json_text: str) -> dict[str, Any]:
    """A spec as a JSON object with lowerCamelCase keys and enum names; PachError where it is not valid."""
    try:
        protojson.parse(pps.CreatePipelineRequest, json_text)
    except ProtoJsonError as error:
        raise _no_spec(f"could not parse {json_text} as Create Pipeline Request message: {error}") from None
    try:
        return _normal_object(pps.CreatePipelineRequest, gojson.load(json_text), "")
    except ValueError as error:
        raise _no_spec(str(error)) from None


@functools.lru_cache(maxsize=64)
def parse_defaults(text: str, kind: DefaultsKind) -> dict[str, Any]:
    """Cluster or project defaults as a JSON object with lowerCamelCase keys, for nobody to change."""
    try:
        protojson.parse(_DEFAULTS_MESSAGES[kind], text)
        defaults = _normal_object(_DEFAULTS_MESSAGES[kind], gojson.load(text), "")
        _merged_request([defaults])
    except PachError as error:
        raise invalid_argument(f"invalid {kind} defaults JSON: {error.text}") from None
    except ValueError as error:
        raise invalid_argument(f"invalid {kind} defaults JSON: {error}") from None
    return defaults


def make_effective(
    user_json: str, cluster_defaults_json: str = "{}", project_defaults_json: str = "{}"
) -> EffectiveSpec:
    """Merges a user's spec into the defaults, which are texts that parse_defaults took."""
    user = parse_spec(user_json)
    layers = [
        parse_defaults(cluster_defaults_json, "cluster"),
        parse_defaults(project_defaults_json, "project"),
        {"createPipelineRequest": user},
    ]
    effective, request = _merged_request(layers)
    if not is_set(request.pipeline):
        raise unknown("request.Pipeline cannot be nil")
    _fill_project(request)
    return EffectiveSpec(user_json, gojson.dump_canonical(effective), request)


def effective_of(user_json: str, effective_json: str) -> EffectiveSpec:
    """The spec of a pipeline that was created with these texts."""
    request = protojson.parse(pps.CreatePipelineRequest, effective_json)
    _fill_project(request)
    return EffectiveSpec(user_json, effective_json, request)


def names_project(effective_json: str) -> bool:
    """Whether the spec itself says which project the pipeline is in."""
    return bool(protojson.parse(pps.CreatePipelineRequest, effective_json).pipeline.project.name)


def spec_of_request(request: Any) -> str:
    """The text that the old CreatePipeline call stores as user spec: its request in proto JSON."""
    return protojson.render(request)


def _merged_request(layers: list[dict[str, Any]]) -> tuple[dict[str, Any], Any]:
    """The merged spec as JSON object and as message."""
    merged: Any = _BUILT_IN_DEFAULTS
    for layer in layers:
        merged = _merge_patch(merged, layer)
    effective = merged.get("createPipelineRequest", {})
    # The canonical text, which is kept, has numbers as doubles: one of 64 bits may no longer fit into them.
    for text in (gojson.dump_canonical(effective), gojson.dump(effective)):
        try:
            request = protojson.parse(pps.CreatePipelineRequest, text)
        except ProtoJsonError as error:
            raise _no_spec(f"could not unmarshal effective spec {text}: {error}") from None
    reason = static_error(request)
    if reason:
        raise _no_spec(f"invalid effective spec {gojson.dump_canonical(effective)}: {reason}")
    return effective, request


def _fill_project(request: Any) -> None:
    if not request.pipeline.project.name:
        request.pipeline.project.name = DEFAULT_PROJECT


def _merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: objects merge key by key, a null deletes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_patch(merged.get(key), value)
    return merged


def _normal_object(message: Any, value: dict[str, Any], path: str) -> dict[str, Any]:
    """`value` with lowerCamelCase keys and enum names, so that layers in different spellings merge.

    ValueError for a null in place of a list or map: pachd's merging refuses it although protojson does not.
    """
    result = {}
    for key, item in value.items():
        field = fields_by_json_key(message)[key]
        where = f"{path}{field.json_name}"
        if item is None and (field.repeated or field.map):
            wanted = "map[string]any" if field.map else "[]any"
            raise ValueError(f"expected {wanted}; got <nil> in {where}")
        if field.repeated:
            result[field.json_name] = [
                _normal_value(field, entry, f"{where}[{index}]") for index, entry in enumerate(item)
            ]
        else:
            result[field.json_name] = item if field.map else _normal_value(field, item, where)
    return result


def _normal_value(field: Field, value: Any, where: str) -> Any:
    if field.kind == "enum" and isinstance(value, gojson.Number):
        return next(
            (name for name, number in field.type.__members__.items() if value == str(int(number))), value
        )
    if isinstance(value, dict):
        return _normal_object(field.type, value, f"{where}.")
    return value


def _no_spec(reason: str) -> PachError:
    return invalid_argument(f"could not make effective spec: {reason}")
