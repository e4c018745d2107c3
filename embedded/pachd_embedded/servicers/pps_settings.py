# SPDX-License-Identifier: GPL-3.0-or-later
"""The PPS API's defaults and secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from betterproto.lib.google.protobuf import Empty
from pachyderm_sdk.api import pps

from ..pps.secrets import SecretRecord
from .messages import Context, project_name
from .pps_base import PpsMethods
from .pps_messages import pipeline_message


class SettingMethods(PpsMethods):
    def get_cluster_defaults(self, _request: Any, _context: Context) -> Any:
        return pps.GetClusterDefaultsResponse(cluster_defaults_json=self._pps.defaults.cluster())

    def set_cluster_defaults(self, request: Any, _context: Context) -> Any:
        affected = self._pps.regeneration.set_cluster(
            request.cluster_defaults_json, request.regenerate, request.reprocess, request.dry_run
        )
        return pps.SetClusterDefaultsResponse(affected_pipelines=[pipeline_message(key) for key in affected])

    def get_project_defaults(self, request: Any, _context: Context) -> Any:
        name = project_name(request.project)
        self._pps.pfs.projects.inspect(name)
        return pps.GetProjectDefaultsResponse(project_defaults_json=self._pps.defaults.project(name))

    def set_project_defaults(self, request: Any, _context: Context) -> Any:
        affected = self._pps.regeneration.set_project(
            project_name(request.project),
            request.project_defaults_json,
            request.regenerate,
            request.reprocess,
            request.dry_run,
        )
        return pps.SetProjectDefaultsResponse(affected_pipelines=[pipeline_message(key) for key in affected])

    # Secrets: values go in, and never out but to user code.

    def create_secret(self, request: Any, _context: Context) -> Any:
        self._pps.secrets.create(request.file)
        return Empty()

    def inspect_secret(self, request: Any, _context: Context) -> Any:
        return _secret_info(self._pps.secrets.inspect(request.secret.name))

    def list_secret(self, _request: Any, _context: Context) -> Any:
        return pps.SecretInfos(secret_info=[_secret_info(found) for found in self._pps.secrets.infos()])

    def delete_secret(self, request: Any, _context: Context) -> Any:
        self._pps.secrets.delete(request.secret.name)
        return Empty()


def _secret_info(record: SecretRecord) -> Any:
    return pps.SecretInfo(
        secret=pps.Secret(name=record.name),
        type=record.type,
        creation_timestamp=datetime.fromtimestamp(record.created, UTC),
    )
