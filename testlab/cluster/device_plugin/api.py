# SPDX-License-Identifier: GPL-3.0-or-later
# betterproto has no types, and its fields are functions.
# mypy: allow-subclassing-any
# ruff: noqa: RUF009
"""What is used of kubelet's API for device plugins (k8s.io/kubelet, deviceplugin/v1beta1/api.proto)."""

from __future__ import annotations

from dataclasses import dataclass

import betterproto

VERSION = "v1beta1"
HEALTHY = "Healthy"


@dataclass(eq=False, repr=False)
class Empty(betterproto.Message):
    pass


@dataclass(eq=False, repr=False)
class Options(betterproto.Message):
    pre_start_required: bool = betterproto.bool_field(1)


@dataclass(eq=False, repr=False)
class RegisterRequest(betterproto.Message):
    version: str = betterproto.string_field(1)
    endpoint: str = betterproto.string_field(2)
    resource_name: str = betterproto.string_field(3)


@dataclass(eq=False, repr=False)
class Device(betterproto.Message):
    id: str = betterproto.string_field(1)
    health: str = betterproto.string_field(2)


@dataclass(eq=False, repr=False)
class ListAndWatchResponse(betterproto.Message):
    devices: list[Device] = betterproto.message_field(1)


@dataclass(eq=False, repr=False)
class ContainerRequest(betterproto.Message):
    devices_ids: list[str] = betterproto.string_field(1)


@dataclass(eq=False, repr=False)
class AllocateRequest(betterproto.Message):
    container_requests: list[ContainerRequest] = betterproto.message_field(1)


@dataclass(eq=False, repr=False)
class Mount(betterproto.Message):
    container_path: str = betterproto.string_field(1)
    host_path: str = betterproto.string_field(2)


@dataclass(eq=False, repr=False)
class DeviceSpec(betterproto.Message):
    container_path: str = betterproto.string_field(1)
    host_path: str = betterproto.string_field(2)
    permissions: str = betterproto.string_field(3)


@dataclass(eq=False, repr=False)
class CdiDevice(betterproto.Message):
    name: str = betterproto.string_field(1)


@dataclass(eq=False, repr=False)
class ContainerResponse(betterproto.Message):
    envs: dict[str, str] = betterproto.map_field(1, betterproto.TYPE_STRING, betterproto.TYPE_STRING)
    mounts: list[Mount] = betterproto.message_field(2)
    devices: list[DeviceSpec] = betterproto.message_field(3)
    annotations: dict[str, str] = betterproto.map_field(4, betterproto.TYPE_STRING, betterproto.TYPE_STRING)
    cdi_devices: list[CdiDevice] = betterproto.message_field(5)


@dataclass(eq=False, repr=False)
class AllocateResponse(betterproto.Message):
    container_responses: list[ContainerResponse] = betterproto.message_field(1)
