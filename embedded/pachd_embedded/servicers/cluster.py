# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients ask before they talk: the version, the cluster, and that auth is off."""

from __future__ import annotations

from typing import Any

from pachyderm_sdk.api import admin, version

from .. import PACHYDERM_VERSION
from ..errors import unimplemented
from .messages import Context


class VersionServicer:
    def get_version(self, _request: Any, _: Context) -> Any:
        major, minor, micro = PACHYDERM_VERSION
        return version.Version(major=major, minor=minor, micro=micro)


# A key of ClusterInfo.metadata, where a real cluster may have it set as well: how many GPUs there are in all.
GPUS_KEY = "gpulab.gpus"


class AdminServicer:
    def __init__(self, cluster_id: str, gpus: int) -> None:
        self._cluster_id = cluster_id
        self._gpus = gpus

    def inspect_cluster(self, _request: Any, _: Context) -> Any:
        return admin.ClusterInfo(
            id=self._cluster_id,
            deployment_id=self._cluster_id,
            warnings_ok=True,
            metadata={GPUS_KEY: str(self._gpus)},
        )


class AuthServicer:
    """Auth is not active, which the SDK and pachctl take to mean that everyone may do everything."""

    def who_am_i(self, _request: Any, _: Context) -> Any:
        raise unimplemented("the auth service is not activated")
