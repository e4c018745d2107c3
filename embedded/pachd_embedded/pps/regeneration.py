# SPDX-License-Identifier: GPL-3.0-or-later
"""New defaults, and where it is asked for new versions of the pipelines that they change."""

from __future__ import annotations

from collections.abc import Callable

from pachyderm_sdk.api import pps

from ..errors import unknown
from ..pfs.service import Pfs
from . import protojson
from .defaults import Defaults
from .model import Pipeline, PipelineKey
from .pipelines import Pipelines
from .records import Records
from .spec import EffectiveSpec, make_effective, names_project


class Regeneration:
    """Answers name the pipelines that a change of defaults affects; a dry run changes nothing."""

    def __init__(self, pfs: Pfs, records: Records, defaults: Defaults, pipelines: Pipelines) -> None:
        self._pfs = pfs
        self._records = records
        self._defaults = defaults
        self._pipelines = pipelines

    def set_cluster(self, text: str, regenerate: bool, reprocess: bool, dry_run: bool) -> list[PipelineKey]:
        self._defaults.set_cluster(text, dry_run=True)

        def remake(pipeline: Pipeline) -> EffectiveSpec:
            project = self._defaults.project(pipeline.key.project)
            return make_effective(pipeline.user_json, text, project)

        with self._pfs.branches.commit_set():
            affected = self._affected(self._records.pipelines(), remake) if regenerate else {}
            if not dry_run:
                self._defaults.set_cluster(text, dry_run=False)
                self._update(affected, reprocess, "cluster")
        return list(affected)

    def set_project(
        self, name: str, text: str, regenerate: bool, reprocess: bool, dry_run: bool
    ) -> list[PipelineKey]:
        self._defaults.set_project(name, text, dry_run=True)

        def remake(pipeline: Pipeline) -> EffectiveSpec:
            return make_effective(pipeline.user_json, self._defaults.cluster(), text)

        with self._pfs.branches.commit_set():
            pipelines = [each for each in self._records.pipelines() if each.key.project == name]
            affected = self._affected(pipelines, remake) if regenerate else {}
            if not dry_run:
                self._defaults.set_project(name, text, dry_run=False)
                self._update(affected, reprocess, "project")
        return list(affected)

    def _affected(
        self, pipelines: list[Pipeline], remake: Callable[[Pipeline], EffectiveSpec]
    ) -> dict[PipelineKey, EffectiveSpec]:
        """Those whose effective spec becomes another message; how its JSON is written does not matter."""
        made = [(pipeline, remake(pipeline)) for pipeline in pipelines]
        return {
            pipeline.key: spec
            for pipeline, spec in made
            if _message(pipeline.effective_json) != _message(spec.effective_json)
        }

    def _update(self, affected: dict[PipelineKey, EffectiveSpec], reprocess: bool, kind: str) -> None:
        if not all(names_project(spec.effective_json) for spec in affected.values()):
            # As pachd 2.12, whose new version of such a pipeline names no project; nothing is changed.
            raise unknown(f"unknown error: could not write {kind} defaults")
        for spec in affected.values():
            self._pipelines.replace(spec, reprocess)


def _message(effective_json: str) -> bytes:
    return bytes(protojson.parse(pps.CreatePipelineRequest, effective_json))
