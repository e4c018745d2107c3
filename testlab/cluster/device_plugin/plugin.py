# SPDX-License-Identifier: GPL-3.0-or-later
"""Announces the simulated GPUs of a node to kubelet, and says how a container gets those that it was given.

As NVIDIA's plugin it sees the GPUs only through NVIDIA's container runtime: it asks nvidia-smi, which that
puts into its container. Where runtime or driver are missing, it fails (or waits: FAIL_ON_INIT_ERROR=false).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import betterproto
import grpc

from . import api
from .settings import Settings, SettingsError, read

DIRECTORY = Path("/var/lib/kubelet/device-plugins")
SOCKET = "nvidia-gpu.sock"
CONTROL_NODES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset")
CONTAINER_DEVICES = "/var/run/nvidia-container-devices"


class PluginError(Exception):
    """Why no GPU can be announced, as one line."""


@dataclass(frozen=True)
class Gpu:
    """A GPU of the node, as nvidia-smi lists it."""

    index: int
    uuid: str


def gpus() -> list[Gpu]:
    """The node's GPUs. PluginError where nvidia-smi is not there or fails, as it does where there is none."""
    program = shutil.which("nvidia-smi")
    if not program:
        raise PluginError("no nvidia-smi in this container: does it run under NVIDIA's container runtime?")
    query = [program, "--query-gpu=index,uuid", "--format=csv,noheader"]
    done = subprocess.run(query, capture_output=True, text=True)
    if done.returncode != 0:
        raise PluginError(f"nvidia-smi: {' '.join(done.stdout.split())}")
    return [
        Gpu(int(index), uuid.strip())
        for index, uuid in (line.split(",") for line in done.stdout.splitlines())
    ]


def allocate(
    request: api.ContainerRequest, settings: Settings, known: list[Gpu], dev: Path = Path("/dev")
) -> api.ContainerResponse:
    """What a container gets that was given these devices. PluginError for more than sharing allows."""
    wanted = request.devices_ids
    if settings.one_at_most and len(wanted) > 1:
        raise PluginError(
            f"request for '{settings.resource}: {len(wanted)}' too large: "
            "maximum request size for shared resources is 1"
        )
    by_uuid = {gpu.uuid: gpu for gpu in known}
    # Shares of one GPU are that GPU, once.
    given = [by_uuid[uuid] for uuid in dict.fromkeys(id_.split("::")[0] for id_ in wanted)]
    ids = [str(gpu.index) if settings.by_index else gpu.uuid for gpu in given]
    response = api.ContainerResponse()
    names = [f"nvidia.com/gpu={id_}" for id_ in ids]
    if "envvar" in settings.strategies:
        response.envs = {"NVIDIA_VISIBLE_DEVICES": ",".join(ids)}
    if "volume-mounts" in settings.strategies:
        response.envs = {"NVIDIA_VISIBLE_DEVICES": CONTAINER_DEVICES}
        response.mounts = [api.Mount(f"{CONTAINER_DEVICES}/{id_}", "/dev/null") for id_ in ids]
    if "cdi-annotations" in settings.strategies:
        response.annotations = {"cdi.k8s.io/nvidia-device-plugin_gpu": ",".join(names)}
    if "cdi-cri" in settings.strategies:
        response.cdi_devices = [api.CdiDevice(name) for name in names]
    if settings.pass_device_specs:
        nodes = [dev / f"nvidia{gpu.index}" for gpu in given] + [dev / name for name in CONTROL_NODES]
        response.devices = [api.DeviceSpec(str(node), str(node), "rw") for node in nodes if node.exists()]
    return response


class Plugin(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The service that kubelet calls, for one registration."""

    def __init__(self, settings: Settings, known: list[Gpu], ended: threading.Event) -> None:
        self.settings, self.known, self.ended = settings, known, ended
        shares = [""] if settings.replicas == 1 else [f"::{number}" for number in range(settings.replicas)]
        self.devices = [api.Device(gpu.uuid + share, api.HEALTHY) for gpu in known for share in shares]

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        match call.method.rpartition("/")[2]:
            case "GetDevicePluginOptions":
                return _unary(api.Empty, lambda request, context: api.Options())
            case "ListAndWatch":
                return grpc.unary_stream_rpc_method_handler(self.watch, api.Empty.FromString, bytes)
            case "Allocate":
                return _unary(api.AllocateRequest, self.allocate)
        return None

    def watch(self, request: api.Empty, context: grpc.ServicerContext) -> Iterator[api.ListAndWatchResponse]:
        """All devices once; they stay as they are until this registration ends."""
        yield api.ListAndWatchResponse(self.devices)
        self.ended.wait()

    def allocate(self, request: api.AllocateRequest, context: grpc.ServicerContext) -> api.AllocateResponse:
        try:
            given = [allocate(each, self.settings, self.known) for each in request.container_requests]
        except PluginError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        return api.AllocateResponse(given)


def _unary(message: type[betterproto.Message], method: Callable[..., Any]) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(method, message.FromString, bytes)


def serve(
    settings: Settings, known: list[Gpu], stopped: threading.Event, directory: Path = DIRECTORY
) -> None:
    """Register, and serve until kubelet was restarted (it then wiped the directory) or `stopped` is set."""
    own, kubelet, ended = DIRECTORY / SOCKET, DIRECTORY / "kubelet.sock", threading.Event()
    own.unlink(missing_ok=True)
    # Kubelet opens one stream, and one more while it changes to it.
    server = grpc.server(ThreadPoolExecutor(8), handlers=[Plugin(settings, known, ended)])
    server.add_insecure_port(f"unix://{own}")
    server.start()
    try:
        before = kubelet.stat().st_ino
        with grpc.insecure_channel(f"unix://{kubelet}") as channel:
            register = channel.unary_unary(
                f"/{api.VERSION}.Registration/Register", bytes, api.Empty.FromString
            )
            register(api.RegisterRequest(api.VERSION, SOCKET, settings.resource), timeout=10)
        print(f"registered {len(known)} GPUs x {settings.replicas} as {settings.resource}", flush=True)
        while own.exists() and kubelet.exists() and kubelet.stat().st_ino == before:
            if stopped.wait(1):
                return
        print("kubelet was restarted", flush=True)
    finally:
        ended.set()
        server.stop(0).wait()


def run(settings: Settings, stopped: threading.Event) -> None:
    try:
        known = gpus()
    except PluginError as error:
        if settings.fail_on_init_error:
            raise
        print(f"{error}; waiting for ever", flush=True)
        stopped.wait()
        return
    while not stopped.is_set():
        try:
            serve(settings, known, stopped)
        except (OSError, grpc.RpcError) as error:
            print(f"cannot register with kubelet, trying again: {error}", flush=True)
            stopped.wait(1)


def main() -> int:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    print("simulated device plugin: a stand-in of NVIDIA's for simulated GPUs", flush=True)
    try:
        run(read(os.environ), stopped)
    except (PluginError, SettingsError, OSError) as error:
        print(f"error: {error}", flush=True)
        return 1
    return 0
