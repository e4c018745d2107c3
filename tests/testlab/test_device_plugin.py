# SPDX-License-Identifier: GPL-3.0-or-later
"""The simulated device plugin, spoken to as kubelet does it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest

from testlab.cluster.device_plugin import api, plugin, settings
from testlab.cluster.device_plugin.plugin import Gpu, PluginError
from testlab.cluster.device_plugin.settings import Settings, SettingsError

GPUS = [Gpu(0, "GPU-a"), Gpu(1, "GPU-b")]
SECONDS = 10
SHARING = """\
version: v1
sharing:
  timeSlicing:
    failRequestsGreaterThanOne: true
    resources:
      - {name: nvidia.com/gpu, replicas: 4}
"""


class Kubelet(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The end that plugins register at, and what they told it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.registered: SimpleQueue[api.RegisterRequest] = SimpleQueue()
        self.start()

    def start(self) -> None:
        self.server = grpc.server(ThreadPoolExecutor(2), handlers=[self])
        self.server.add_insecure_port(f"unix://{self.directory}/kubelet.sock")
        self.server.start()

    def restart(self) -> None:
        """As kubelet does: whatever was in the directory is gone."""
        self.server.stop(0).wait()
        for path in self.directory.iterdir():
            path.unlink()
        self.start()

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if call.method != "/v1beta1.Registration/Register":
            return None
        return grpc.unary_unary_rpc_method_handler(self.register, api.RegisterRequest.FromString, bytes)

    def register(self, request: api.RegisterRequest, context: grpc.ServicerContext) -> api.Empty:
        self.registered.put(request)
        return api.Empty()


@pytest.fixture
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A socket's path is short.
    return tmp_path_factory.mktemp("p")


@pytest.fixture
def kubelet(directory: Path) -> Iterator[Kubelet]:
    found = Kubelet(directory)
    yield found
    found.server.stop(0).wait()


@pytest.fixture
def start(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start the plugin with some settings; it ends with the test."""
    monkeypatch.setattr(plugin, "DIRECTORY", directory)
    monkeypatch.setattr(plugin, "gpus", lambda: GPUS)
    stopped, threads = threading.Event(), []

    def run(wanted: Settings) -> None:
        threads.append(threading.Thread(target=plugin.run, args=(wanted, stopped)))
        threads[0].start()

    yield run
    stopped.set()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


def devices(directory: Path) -> list[str]:
    with grpc.insecure_channel(f"unix://{directory}/{plugin.SOCKET}") as channel:
        parse = api.ListAndWatchResponse.FromString
        watch = channel.unary_stream("/v1beta1.DevicePlugin/ListAndWatch", bytes, parse)
        stream = watch(api.Empty(), timeout=SECONDS, wait_for_ready=True)
        found = [device.id for device in next(stream).devices]
        stream.cancel()
    return found


def ask(directory: Path, *ids: str) -> api.ContainerResponse:
    with grpc.insecure_channel(f"unix://{directory}/{plugin.SOCKET}") as channel:
        call = channel.unary_unary("/v1beta1.DevicePlugin/Allocate", bytes, api.AllocateResponse.FromString)
        request = api.AllocateRequest([api.ContainerRequest(list(ids))])
        response = call(request, timeout=SECONDS, wait_for_ready=True)
    assert isinstance(response, api.AllocateResponse)
    return response.container_responses[0]


def test_it_registers_lists_and_allocates(directory: Path, kubelet: Kubelet, start: Any) -> None:
    start(Settings())
    told = kubelet.registered.get(timeout=SECONDS)
    assert (told.version, told.endpoint, told.resource_name) == ("v1beta1", plugin.SOCKET, "nvidia.com/gpu")
    assert devices(directory) == ["GPU-a", "GPU-b"]
    assert ask(directory, "GPU-b").envs == {"NVIDIA_VISIBLE_DEVICES": "GPU-b"}


def test_it_registers_again_with_a_kubelet_that_was_restarted(
    directory: Path, kubelet: Kubelet, start: Any
) -> None:
    start(Settings())
    kubelet.registered.get(timeout=SECONDS)
    kubelet.restart()
    kubelet.registered.get(timeout=SECONDS)
    assert devices(directory) == ["GPU-a", "GPU-b"]


def test_shared_gpus_are_given_once(directory: Path, kubelet: Kubelet, start: Any) -> None:
    start(Settings(replicas=2))
    kubelet.registered.get(timeout=SECONDS)
    assert devices(directory) == ["GPU-a::0", "GPU-a::1", "GPU-b::0", "GPU-b::1"]
    assert ask(directory, "GPU-a::1", "GPU-a::0").envs == {"NVIDIA_VISIBLE_DEVICES": "GPU-a"}


def test_more_than_one_share_may_be_refused(directory: Path, kubelet: Kubelet, start: Any) -> None:
    start(Settings(replicas=2, one_at_most=True))
    kubelet.registered.get(timeout=SECONDS)
    with pytest.raises(grpc.RpcError, match="maximum request size for shared resources is 1"):
        ask(directory, "GPU-a::0", "GPU-b::0")
    assert ask(directory, "GPU-b::0").envs == {"NVIDIA_VISIBLE_DEVICES": "GPU-b"}


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("cdi-cri", api.ContainerResponse(cdi_devices=[api.CdiDevice("nvidia.com/gpu=1")])),
        (
            "cdi-annotations",
            api.ContainerResponse(annotations={"cdi.k8s.io/nvidia-device-plugin_gpu": "nvidia.com/gpu=1"}),
        ),
        (
            "volume-mounts",
            api.ContainerResponse(
                envs={"NVIDIA_VISIBLE_DEVICES": "/var/run/nvidia-container-devices"},
                mounts=[api.Mount("/var/run/nvidia-container-devices/1", "/dev/null")],
            ),
        ),
    ],
)
def test_a_container_is_told_in_the_way_that_was_chosen(
    strategy: str, expected: api.ContainerResponse
) -> None:
    wanted = Settings(strategies=(strategy,), by_index=True)
    assert plugin.allocate(api.ContainerRequest(["GPU-b"]), wanted, GPUS).to_dict() == expected.to_dict()


def test_device_nodes_are_passed_where_that_is_asked(tmp_path: Path) -> None:
    for name in ("nvidia0", "nvidia1", "nvidiactl"):
        (tmp_path / name).touch()
    wanted = Settings(pass_device_specs=True)
    given = plugin.allocate(api.ContainerRequest(["GPU-b"]), wanted, GPUS, tmp_path)
    assert [Path(device.host_path).name for device in given.devices] == ["nvidia1", "nvidiactl"]


def test_no_runtime_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        PluginError, match=r"no nvidia-smi .*: does it run under NVIDIA's container runtime\?"
    ):
        plugin.gpus()
    with pytest.raises(PluginError):
        plugin.run(Settings(), threading.Event())


def test_gpus_are_those_of_nvidia_smi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf '0, GPU-a\\n1, GPU-b\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert plugin.gpus() == GPUS
    program.write_text("#!/bin/sh\necho 'No devices were found'; exit 6\n")
    with pytest.raises(PluginError, match="nvidia-smi: No devices were found"):
        plugin.gpus()


def test_settings_come_from_variables_and_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(SHARING)
    assert settings.read({}) == Settings()
    assert settings.read({"CONFIG_FILE": str(file)}) == Settings(replicas=4, one_at_most=True)
    file.write_text(SHARING.replace("failRequestsGreaterThanOne", "renameByDefault"))
    assert settings.read({"CONFIG_FILE": str(file)}).resource == "nvidia.com/gpu.shared"
    file.write_text(
        "version: v1\nflags:\n  failOnInitError: false\n"
        "  plugin: {deviceListStrategy: [cdi-cri], passDeviceSpecs: true}\n"
    )
    wanted = Settings(strategies=("cdi-cri",), pass_device_specs=True, fail_on_init_error=False)
    assert settings.read({"CONFIG_FILE": str(file)}) == wanted
    variables = {"DEVICE_LIST_STRATEGY": "envvar,cdi-cri", "FAIL_ON_INIT_ERROR": "true"}
    assert settings.read({"CONFIG_FILE": str(file), **variables}).strategies == ("envvar", "cdi-cri")
    assert settings.read({"CONFIG_FILE": str(file), **variables}).fail_on_init_error


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("version: v2", "unknown version 'v2', expected v1"),
        (SHARING.replace("4", "1"), "number of replicas must be >= 2: nvidia.com/gpu has 1"),
        ("version: v1\nflags: {plugin: {deviceListStrategy: x}}", "invalid device list strategy: x"),
        ("version: v1\nflags: {plugin: {deviceIDStrategy: x}}", "invalid device ID strategy: x"),
    ],
)
def test_settings_that_cannot_be_are_named(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=reason):
        settings.read({"CONFIG_FILE": str(file)})
