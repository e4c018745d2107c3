# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients ask before they talk: the version, the cluster, the state of licences."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from pachyderm_sdk.api import admin, version
from pachyderm_sdk.api import license as license_api

from .. import PACHYDERM_VERSION
from ..errors import unknown
from ..rpc import methods_of
from .messages import Context


class VersionServicer:
    def get_version(self, _request: Any, _context: Context) -> Any:
        major, minor, micro = PACHYDERM_VERSION
        return version.Version(major=major, minor=minor, micro=micro)


# A key of ClusterInfo.metadata, where a real cluster may have it set as well: how many GPUs there are in all.
GPUS_KEY = "gpulab.gpus"


class AdminServicer:
    """`metadata` gives what clients have attached to the cluster."""

    def __init__(self, cluster_id: str, gpus: int, metadata: Callable[[], dict[str, str]]) -> None:
        self._cluster_id = cluster_id
        self._gpus = gpus
        self._metadata = metadata

    def inspect_cluster(self, _request: Any, _context: Context) -> Any:
        return admin.ClusterInfo(
            id=self._cluster_id,
            deployment_id=self._cluster_id,
            warnings_ok=True,
            metadata={GPUS_KEY: str(self._gpus), **self._metadata()},
        )


class DeprecatedServicer:
    """enterprise and license, of which 2.12 has only the names left: every call says so."""

    def __init__(self, module: ModuleType, name: str) -> None:
        for method in methods_of(module):
            setattr(self, method.attribute, self._refuse)
        self._name = name

    def _refuse(self, _request: Any, _context: Context) -> Any:
        raise unknown(f"{self._name} server is deprecated")


class LicenseServicer(DeprecatedServicer):
    def __init__(self) -> None:
        super().__init__(license_api, "license")
        # The one call that 2.12 still answers.
        self.list_user_clusters = self._no_clusters

    def _no_clusters(self, _request: Any, _context: Context) -> Any:
        return license_api.ListUserClustersResponse()
