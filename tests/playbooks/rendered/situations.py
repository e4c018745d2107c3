# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are not bare: healthy, half upgraded, in use, with nouveau, to be cleaned up or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import nodes
from .cases_docker import DRIVER, PACKAGES, TOLD, engines
from .cases_driver import DAEMONS, ROWS, Row
from .harness import Case, info

# A module whose work is done already.
IDLE = ("apt", "copy", "deb822_repository", "dnf", "dpkg_selections", "file", "get_url", "systemd_service")
DONE = tuple({"module": name, "result": {"changed": False}} for name in (*IDLE, "yum_repository"))
USERS = [{"pid": 4711, "command": "python"}]


def driver(row: Row, *answers: dict[str, Any], **state: Any) -> Case:
    """A node with the row's driver there, loaded and held; `state` is what differs of nvidia_node_info."""
    names = [
        name for name in row.packages if not name.startswith(("linux-headers", "kernel-devel", "python3"))
    ]
    # One that only provides this name.
    names = [f"kmod-nvidia-{row.version}-{row.kernel}" if name == "nvidia-kmod" else name for name in names]
    packages = {name: {"version": f"{row.version}-1", "held": True} for name in names}
    known: dict[str, Any] = {"installed": row.version, "loaded": row.version, "flavour": row.flavour}
    node = {**known, "packages": packages, **state.pop("nvidia", {})}
    variables = {f"nvidia_driver_{name}": value for name, value in row.variables.items()}
    variables |= {f"nvidia_driver_{name}": value for name, value in state.pop("variables", {}).items()}
    more = {"tasks_from": state.pop("tasks_from", "main"), "check": state.pop("check", False)}
    base = nodes.nvidia(row.platform, row.gpu, **node)
    parts = (info({**base, **state}), *row.archives(), DAEMONS, *DONE, *answers)
    return Case("nvidia_driver", row.platform, row.gpu, variables, parts, node, **more)


def toolkit(*running: str, platform: str = "debian12", **more: Any) -> Case:
    """A node with a driver, these engines, and the toolkit installed, held and in effect."""
    packages = {name: {"version": "1.20.1-1", "held": True} for name in more.pop("packages", PACKAGES)}
    state = {"nvidia_ctk": "1.20.1", "units": nodes.units(shipped=True), **more.pop("state", {})}
    spec = {"/var/run/cdi/nvidia.yaml": {"driver_version": DRIVER["loaded"], "devices": ["0", "all"]}}
    found = nodes.containers(*running, **{"runtimes": {"nvidia": "/usr/bin/x"}, "cdi": spec, **state})
    for name, changes in more.pop("engines", {}).items():
        found["engines"][name] |= changes
    told: dict[str, Any] = {"changed": False, "pending": False, "apply": None, "files": []}
    parts = (
        engines(found),
        {"module": "nvidia_container_runtime", "result": told},
        *DONE,
        *more.pop("answers", ()),
    )
    variables = {f"nvidia_docker_{name}": value for name, value in more.pop("variables", {}).items()}
    return Case("nvidia_docker", platform, "T4", variables, parts, {**DRIVER, "packages": packages}, **more)


def bare(platform: str, gpu: str = "T4", nvidia: dict[str, Any] | None = None, **variables: Any) -> Case:
    given = {f"nvidia_driver_{name}": value for name, value in variables.items()}
    return Case("nvidia_driver", platform, gpu, given, nvidia=nvidia or {})


def docker(platform: str, *running: str, gpu: str = "T4", **variables: Any) -> Case:
    given = {f"nvidia_docker_{name}": value for name, value in variables.items()}
    return Case("nvidia_docker", platform, gpu, given, (engines(nodes.containers(*running)),), DRIVER)


T4, HGX, PRECOMPILED = ROWS["debian12 T4"], ROWS["ubuntu24 HGX"], ROWS["rhel9 T4, precompiled"]
LOADED = nodes.nvidia("debian12", "T4", installed=T4.version, loaded=T4.version, flavour=T4.flavour)
HGX_LOADED = nodes.nvidia("ubuntu24", "HGX", installed=HGX.version, loaded=HGX.version)
HELD = {name: {"version": f"{T4.version}-1", "held": True} for name in T4.packages}
LOADED_HELD = {**LOADED, "packages": HELD}
CONTROLLER = Path("/etc/machine-id")
PASSED = [{"address": "0000:01:00.0", "device_id": "0x1eb8", "generation": "turing", "bound_to": "vfio-pci"}]
GPU = "GPU 0: NVIDIA T4 (UUID: GPU-00000000-0000-0000-0000-000000000000)"
NO_KEY = " InRelease: The following signatures were invalid: EXPKEYSIG DDCAE044F796ECB0"
EXPIRED = f"W: GPG error: https://nvidia.github.io/libnvidia-container/stable/deb/amd64 {NO_KEY}"
FOREIGN_EXPIRED = f"W: GPG error: https://packages.example.org/debian bookworm{NO_KEY}"

NO_JSON = "/etc/docker/daemon.json: line 2, column 1: not valid JSON: Expecting value"

# Refused before anything is touched: the node and words of the message.
REFUSED: dict[str, tuple[Case, str]] = {
    "daemon.json is no JSON": (
        toolkit("docker", engines={"docker": {"config_error": NO_JSON}}),
        f"{NO_JSON}; correct the file, or move it away",
    ),
    "open on Volta": (bare("ubuntu22", "V100", kernel_module="open"), "volta) needs the proprietary module"),
    "proprietary on Blackwell": (
        bare("debian13", "B200", kernel_module="proprietary"), "blackwell) needs the open module"
    ),
    "too old a branch": (bare("rocky9", "B200", branch="550"), "needs branch 570 or newer, not 550"),
    "too new a branch": (bare("alma9", "V100", branch="595"), "needs branch 580 or older, not 595"),
    "no proprietary module": (
        bare("rocky9", branch="620", kernel_module="proprietary"), "620 and newer have no proprietary"
    ),
    "a branch that Debian lacks": (
        bare("debian12", branch="570", source="distribution"), "Debian 12 has branch 535 only"
    ),
    "no driver in RHEL": (bare("rhel9", source="distribution"), "nvidia_driver_source: RedHat has no"),
    "precompiled on Debian": (bare("debian12", build="precompiled"), "nvidia_driver_build: no precompiled"),
    "branch and version apart": (
        bare("debian12", branch="535", version="580.95.05"), "580.95.05 is not of nvidia_driver_branch 535"
    ),
    "Secure Boot": (bare("debian12", nvidia={"secure_boot": True}), "secure_boot: Secure Boot is on"),
    "no password for Secure Boot": (
        bare("debian12", nvidia={"secure_boot": True}, secure_boot="sign"), "driver_mok_password: must have"
    ),
    "older than installed": (
        driver(ROWS["ubuntu22 T4"], variables={"branch": "535"}), "580.95.05 is installed and 535 is older"
    ),
    "replaced while in use": (
        driver(HGX, variables={"branch": "595"}, driver={**HGX_LOADED["driver"], "users": USERS}),
        "in use by 4711 python",
    ),
    "a key that is not there": (
        bare("debian12", repository_key="files/missing.asc"), "there is no file files/missing.asc"
    ),
    "packages that cannot be read": (
        Case("nvidia_driver", "debian12", answers=(info({**LOADED, "packages": None}),)),
        "dpkg-query does not list the installed packages",
    ),
    "another distribution": (bare("fedora42"), "this is Fedora 42"),
    "docker: another distribution": (docker("fedora42", "docker"), "Fedora 42 is not supported"),
    "docker: no engine": (docker("debian12"), "no container engine is installed"),
    "docker: an engine that RHEL lacks": (docker("rocky9", runtimes=["docker"]), "names docker, which"),
    "docker: nvidia-docker2 without Docker": (
        docker("debian12", "containerd", variant="nvidia-docker2"), "nvidia-docker2 is for Docker"
    ),
    "docker: older than installed": (
        toolkit("docker", variables={"version": "1.17.8"}), "nvidia_docker_version 1.17.8 is older than"
    ),
    "docker: a place where no engine looks": (
        docker("debian12", "docker", cdi_spec="/tmp/nvidia.yaml"), "nvidia_docker_cdi_spec must be"
    ),
}  # fmt: skip

SITUATIONS: dict[str, Case] = {
    "no GPU": bare("debian12", "none"),
    "passed through": bare("debian12", nvidia={"gpus": PASSED}),
    "docker: no GPU": docker("debian12", "docker", gpu="none"),
    # A second run, where nothing is to do.
    "rerun": driver(T4),
    "rerun, HGX": driver(HGX),
    "rerun, precompiled": driver(PRECOMPILED, check=True),
    "docker: rerun": toolkit("docker"),
    # nouveau has the GPU: it goes at a reboot, which the controller is spared.
    "nouveau": driver(
        T4,
        info(LOADED, after={"module": "shutdown"}),
        nvidia={"loaded": None},
        nouveau_loaded=True,
    ),
    "nouveau on the controller": driver(
        T4,
        nvidia={"loaded": None},
        nouveau_loaded=True,
        machine_id=CONTROLLER.read_text().strip() if CONTROLLER.exists() else None,
    ),
    "nouveau, reboot forbidden": driver(
        T4, nvidia={"loaded": None}, nouveau_loaded=True, variables={"reboot": "never"}
    ),
    "stale initramfs": driver(
        T4, info(LOADED, after={"module": "command", "with": "update-initramfs"}), initramfs_stale=True
    ),
    "dpkg cut off": driver(
        T4, info(LOADED_HELD, after={"module": "command", "with": "--configure"}), packages_unfinished=True
    ),
    # Signed with DKMS' key.
    "Secure Boot": driver(
        T4,
        {"module": "command", "with": "test-key",
         "result": {"rc": 1, "stdout": "/var/lib/dkms/mok.pub is not enrolled", "changed": False}},
        secure_boot=True,
        variables={"secure_boot": "sign", "mok_password": "a password"},
    ),
    "no module after all": driver(
        T4,
        {"module": "command", "with": "dkms autoinstall", "result": {"rc": 1, "stderr": "bad gcc"}},
        nvidia={"installed": None, "loaded": None, "library": T4.version},
        variables={"hold": False},
    ),
    # Debian's driver of the other flavour, and Ubuntu's with NVIDIA's to come.
    "another flavour": driver(
        T4, {"module": "apt", "result": {"changed": True}}, variables={"kernel_module": "open"}
    ),
    "another source": driver(
        HGX, {"module": "apt", "result": {"changed": True}}, variables={"source": "nvidia", "branch": "580"}
    ),
    "apt at work": driver(
        T4,
        info(LOADED_HELD, after={"module": "command", "with": "--configure"}),
        packages_unfinished=True,
        packages_locked_by={"pid": 4712, "command": "apt-get"},
    ),
    "apt at work, and a driver to install": driver(
        T4, nvidia={"packages": {}, "library": "535.261.03"}, packages_unfinished=False,
        packages_locked_by={"pid": 4712, "command": "apt-get"}, variables={"packages": ["nvidia-smi"]},
    ),
    # A file beside the role, as one beside the playbook would be: the path is relative.
    "a key beside the playbook": bare("debian13", "B200", repository_key="meta/main.yml"),
    "a key beside the playbook, RHEL": bare("rocky9", repository_key="meta/main.yml"),
    "parameters written later": driver(
        T4, driver_predates=True, variables={"module_parameters": {"NVreg_EnableStreamMemOPs": 1}}
    ),
    "parameters": driver(T4, variables={"module_parameters": {"NVreg_EnableStreamMemOPs": 1}}),
    "a mirror": bare(
        "rocky9",
        repository_url="https://mirror.example.com/cuda/",
        repository_key="https://mirror.example.com/key.pub",
        dkms_repository_url="https://mirror.example.com/epel/",
        dkms_repository_key="https://mirror.example.com/epel.pub",
    ),
    "a mirror for apt": bare(
        "ubuntu22",
        source="nvidia",
        repository_url="https://mirror.example.com/cuda/",
        repository_key="https://mirror.example.com/key.pub",
    ),
    # After an unattended upgrade.
    "library upgraded alone": driver(T4, nvidia={"library": "535.288.01"}, tasks_from="verify"),
    "fabric manager upgraded alone": driver(
        HGX,
        nvidia={"packages": {"nvidia-fabricmanager-580": {"version": "580.105.08-1", "held": False}}},
        tasks_from="verify",
    ),
    "fewer GPUs than expected": driver(T4, variables={"expected_gpus": 2}, tasks_from="verify"),
    "usable": driver(HGX, tasks_from="verify"),
    "absent": driver(
        T4,
        {"module": "apt", "result": {"changed": True}},
        info(nodes.nvidia("debian12", "T4", initramfs_stale=True), after={"module": "apt"}),
        variables={"state": "absent"},
    ),
    "absent, RHEL": driver(ROWS["alma9 HGX, 570"], variables={"state": "absent"}),
    "absent, Ubuntu": driver(HGX, variables={"state": "absent"}),
    "verify after absent": Case(
        "nvidia_driver", "debian12", "T4", {"nvidia_driver_state": "absent"}, (DAEMONS,), tasks_from="verify"
    ),
    "verify before absent": driver(T4, variables={"state": "absent"}, tasks_from="verify"),
    "absent, in use": driver(
        T4, variables={"state": "absent"}, driver={**LOADED["driver"], "users": USERS}
    ),
    # The unit's file changed since systemd read it.
    "docker: unit changed": toolkit(
        "docker",
        engines={"docker": {"needs_daemon_reload": True, "stale": True}},
        answers=({"module": "nvidia_container_runtime", "result": {**TOLD}},),
    ),
    # A cluster tool wrote containerd's configuration anew.
    "docker: runtime wiped": toolkit(
        "containerd",
        state={"runtimes": {}},
        answers=({"module": "nvidia_container_runtime", "result": {**TOLD, "apply": "restart"}},),
    ),
    "docker: containers run": toolkit(
        "docker",
        engines={"docker": {"stale": True, "containers_running": 3}},
        answers=({"module": "nvidia_container_runtime", "result": {**TOLD, "apply": "restart"}},),
    ),
    "docker: from nvidia-docker2": toolkit(
        "docker", packages=[*PACKAGES, "nvidia-docker2"], state={"files": ["/etc/docker/daemon.json"]}
    ),
    "docker: key expired": Case(
        "nvidia_docker", "debian12", "T4", {},
        (engines(nodes.containers("docker")), {"module": "apt", "result": {"failed": True, "msg": EXPIRED}}),
        DRIVER,
    ),
    "docker: another repository's key expired": Case(
        "nvidia_docker", "debian12", "T4", {},
        (
            engines(nodes.containers("docker")),
            {"module": "apt", "result": {"failed": True, "msg": FOREIGN_EXPIRED}},
        ),
        DRIVER,
    ),
    "docker: absent": toolkit(
        "docker", "k3s", variables={"state": "absent"},
        state={"files": ["/etc/systemd/system/gpulab-nvidia-cdi.path"]},
    ),
    "docker: absent, RHEL": toolkit("crio", platform="rhel9", variables={"state": "absent"}),
    "docker: usable": toolkit(
        "docker", tasks_from="verify",
        answers=({"module": "command", "result": {"rc": 0, "stdout": GPU, "stdout_lines": [GPU]}},),
    ),
    "docker: unusable": toolkit("docker", tasks_from="verify", state={"runtimes": {}}),
    "docker: its file is no JSON": toolkit(
        "docker", tasks_from="verify", state={"runtimes": {}}, engines={"docker": {"config_error": NO_JSON}}
    ),
    "docker: container sees none": toolkit(
        "docker", tasks_from="verify",
        answers=({"module": "command", "result": {"rc": 0, "stdout": "", "stdout_lines": []}},),
    ),
}  # fmt: skip
