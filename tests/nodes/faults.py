# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in which a converged node breaks, and what has to be said of each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.nodes import labs

NEWER = {"nvidia_driver_version": "535.261.03"}
OLDER_TOOLKIT = {"nvidia_docker_version": "1.19.1", "nvidia_docker_allow_downgrade": True}
EXPIRED = "file:///srv/testlab/apt/expired"
NOBODY = "http://127.0.0.1:9/nobody"
WITHOUT_RUNTIME = """\
python3 - <<'PYTHON'
import json
with open("/etc/docker/daemon.json") as file:
    settings = json.load(file)
del settings["runtimes"]["nvidia"]
with open("/etc/docker/daemon.json", "w") as file:
    json.dump(settings, file)
PYTHON
"""
# One page: the files that are there fit, a longer one does not.
FULL = (
    "cp -a /etc/docker /run/full; mount -t tmpfs -o size=4k tmpfs /etc/docker; "
    "cp -a /run/full/daemon.json /etc/docker"
)
RESTART = "systemctl restart containerd docker"
SAVE = "rm -rf /srv/saved; mkdir /srv/saved; cp -a /etc/docker /etc/containerd /etc/apt /srv/saved"
# Keys and sources that were added go as well: the next run would remove them.
RESTORE = f"rm -rf /etc/apt; cp -a /srv/saved/. /etc; {RESTART}"


@dataclass(frozen=True)
class Fault:
    """Shell scripts that break a node and mend it, and the words (a pattern) that must name it.

    `playbook` finds it, given `variables`. It changes no package, and no file under /etc but those whose path
    contains `may_change`.
    """

    breaks: str
    mends: str
    words: str
    playbook: Any = labs.VERIFY
    variables: dict[str, Any] = field(default_factory=dict)
    may_change: str = "nothing"

    def arguments(self) -> tuple[str, str]:
        return "--extra-vars", json.dumps({"nodes_serial": 2, **self.variables})


FAULTS = {
    "wrong_library_version": Fault(
        "simulated-gpu break library",
        "simulated-gpu mend library",
        r"driver 535\.230\.02 is loaded, the library is 999\S+ \(version mismatch.*reboot",
    ),
    "driver_installed_by_hand": Fault(
        "simulated-gpu break library",
        "simulated-gpu mend library",
        r"libnvidia-ml 999\S+ is of no package: .* remove it first",
        labs.PLAYBOOK,
    ),
    "module_for_the_kernel_missing": Fault(
        "mkdir /srv/modules; mv /lib/modules/*/updates/dkms/nvidia* /srv/modules",
        "mv /srv/modules/* /lib/modules/$(uname -r)/updates/dkms; rmdir /srv/modules",
        r"no NVIDIA module for kernel \S+: install its headers",
    ),
    "driver_not_loaded": Fault(
        "simulated-gpu unload",
        "modprobe nvidia",
        r'no driver is loaded: see "modprobe nvidia"',
    ),
    "a_gpu_fewer": Fault(
        "simulated-gpu break gpu",
        "simulated-gpu mend gpu",
        r"nvidia-smi lists 1 GPUs, 2 are expected: see the kernel log",
    ),
    "a_gpu_fewer_on_the_bus": Fault(
        "true",
        "true",
        r"3 GPUs are expected, the PCI bus has 2: look at the machine, or set nvidia_driver_expected_gpus",
        variables={"nvidia_driver_expected_gpus": 3},
    ),
    "nvidia_smi_hangs": Fault(
        "mv /usr/bin/nvidia-smi /usr/bin/nvidia-smi.away\n"
        "printf '#!/bin/sh\\nexec sleep 1234\\n' >/usr/bin/nvidia-smi; chmod +x /usr/bin/nvidia-smi",
        "mv /usr/bin/nvidia-smi.away /usr/bin/nvidia-smi; ! grep -lz '^123[4]$' /proc/[0-9]*/cmdline",
        r"nvidia-smi: nvidia-smi did not answer within 60 s",
    ),
    "persistenced_stopped": Fault(
        "systemctl stop nvidia-persistenced",
        "systemctl start nvidia-persistenced",
        r'nvidia-persistenced is inactive: see "journalctl -u nvidia-persistenced"',
    ),
    "runtime_removed": Fault(
        "mv /usr/bin/nvidia-container-runtime /usr/bin/away",
        "mv /usr/bin/away /usr/bin/nvidia-container-runtime",
        r"nvidia-container-runtime",
    ),
    # Docker's last line is a hint at its help.
    "image_not_there": Fault(
        "true",
        "true",
        r"0 of 2 GPUs .*in localhost/nobodys:1: \S*.*([Nn]o such|not found|denied|refused)",
        variables={"nvidia_docker_verify_image": "localhost/nobodys:1"},
    ),
    "runtime_gone_from_daemon_json": Fault(
        f"{WITHOUT_RUNTIME}{RESTART}",
        RESTORE,
        r"docker has no runtime named nvidia in effect; run this role",
    ),
    # As a rerun of a cluster tool does.
    "runtime_gone_from_containerds_config": Fault(
        f"containerd config default >/etc/containerd/config.toml; {RESTART}",
        RESTORE,
        r"containerd has no runtime named nvidia in effect; run this role",
    ),
    "key_expired_driver": Fault(
        "true",
        RESTORE,
        r"[Ee]xpired",
        labs.PLAYBOOK,
        {
            **NEWER,
            "nvidia_driver_repository_url": EXPIRED,
            "nvidia_driver_repository_key": f"{EXPIRED}/key.gpg",
        },
        may_change="/etc/apt/",
    ),
    "key_expired_toolkit": Fault(
        "true",
        RESTORE,
        rf"the key {EXPIRED}/key.asc of {EXPIRED} \S+ has expired: set nvidia_docker_repository_key",
        labs.TOOLKIT,
        {
            **OLDER_TOOLKIT,
            "nvidia_docker_repository_url": EXPIRED,
            "nvidia_docker_repository_key": f"{EXPIRED}/key.asc",
        },
        may_change="/etc/apt/",
    ),
    "key_file_not_there_driver": Fault(
        "true",
        "true",
        r"/nowhere/key\.asc",
        labs.PLAYBOOK,
        {"nvidia_driver_repository_key": "/nowhere/key.asc"},
    ),
    "key_file_not_there_toolkit": Fault(
        "true",
        "true",
        r"/nowhere/key\.asc",
        labs.TOOLKIT,
        {"nvidia_docker_repository_key": "/nowhere/key.asc"},
    ),
    "repository_unreachable_driver": Fault(
        "true",
        RESTORE,
        rf"{NOBODY}.*onnect.*nvidia_driver_repository_url",
        labs.PLAYBOOK,
        {**NEWER, "nvidia_driver_repository_url": NOBODY},
        may_change="/etc/apt/",
    ),
    "repository_unreachable_toolkit": Fault(
        "true",
        RESTORE,
        rf"{NOBODY}.*onnect.*nvidia_docker_repository_url",
        labs.TOOLKIT,
        {**OLDER_TOOLKIT, "nvidia_docker_repository_url": NOBODY},
        may_change="/etc/apt/",
    ),
    "daemon_json_not_valid_json": Fault(
        "echo '{\"debug\": yes}' >/etc/docker/daemon.json",
        RESTORE,
        r"/etc/docker/daemon\.json.*line 1",
        labs.TOOLKIT,
    ),
    "containerds_config_not_valid_toml": Fault(
        "printf 'version = 2\\n[plugins\\n' >/etc/containerd/config.toml",
        RESTORE,
        r"/etc/containerd/config\.toml.*line 2",
        labs.TOOLKIT,
    ),
    "no_space_left": Fault(
        f"{WITHOUT_RUNTIME}{FULL}",
        f"umount /etc/docker; rm -rf /run/full; {RESTORE}",
        r"/etc/docker\S*.*No space left on device|No space left on device.*/etc/docker",
        labs.TOOLKIT,
    ),
    "etc_read_only": Fault(
        f"{WITHOUT_RUNTIME}mount --bind /etc /etc; mount -o remount,bind,ro /etc",
        f"umount /etc; {RESTORE}",
        r"/etc/\S+.*Read-only file system|Destination /etc/\S+ is not writable",
        labs.TOOLKIT,
    ),
    "cdi_specification_of_another_driver": Fault(
        "cp -a /var/run/cdi/nvidia.yaml /srv/cdi; sed -i s/535.230.02/535.999.99/g /var/run/cdi/nvidia.yaml",
        "mv /srv/cdi /var/run/cdi/nvidia.yaml",
        r"CDI specification /var/run/cdi/nvidia\.yaml is for driver 535\.999\.99 and 535\.230\.02 is loaded",
    ),
    "docker_stopped": Fault(
        "systemctl stop docker.socket docker.service",
        "systemctl start docker.socket docker.service",
        r"docker does not run; see journalctl -u docker",
    ),
}
