# SPDX-License-Identifier: GPL-3.0-or-later
"""The images, made FROM scratch: Kubernetes' own, under the names that kubeadm expects, and ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from testlab import cache, host
from testlab.cache import TestlabError
from testlab.cluster import archive
from testlab.cluster.archive import Image
from testlab.cluster.commands import COREDNS, ETCD, KUBE, KUBERNETES, LOCAL_PATH_PROVISIONER
from testlab.engine import Engine
from testlab.image import step

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
REGISTRY = "registry.k8s.io"
PAUSE = f"{REGISTRY}/pause:3.10.1"
BUSYBOX = "localhost/testlab/busybox:1"
PLUGIN = "localhost/testlab/simulated-device-plugin:1"
PACHD = "localhost/testlab/pachd:2.12.0"
# `kubeadm config images list` names these of Kubernetes', with -0 for the first build of that etcd.
COMMAND_IMAGES = {
    "pause": PAUSE,
    "etcd": f"{REGISTRY}/etcd:{ETCD}-0",
    "coredns": f"{REGISTRY}/coredns/coredns:v{COREDNS}",
    "local-path-provisioner": f"localhost/testlab/local-path-provisioner:v{LOCAL_PATH_PROVISIONER}",
    **{name: f"{REGISTRY}/{name}:v{KUBERNETES}" for name in KUBE},
}
# Their pods start a program by its place, or give an image's own program arguments.
PLACES = {
    "pause": "/pause",
    "coredns": "/coredns",
    "local-path-provisioner": "/usr/bin/local-path-provisioner",
}
# Without these names nft tells a restarted kube-proxy numbers, which it takes for leftovers: it deletes what
# it has just set, and no Service answers.
PROTOCOLS = "tcp 6 TCP\nudp 17 UDP\nsctp 132 SCTP\n"
PYTHON = "/usr/local/lib/python3.11/dist-packages"
# Read by pip for the Python of the images, whatever the Python is that runs this.
GLIBC = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014")
PIP = (
    *("--only-binary=:all:", "--implementation=cp", "--python-version=3.11"),
    *(f"--platform={name}_x86_64" for name in GLIBC),
)
PLUGIN_PROGRAM = "/usr/local/bin/nvidia-device-plugin"


def key(commands: dict[str, Path], node: str, base: str) -> str:
    """What the images are made of: `node` is the node image, `base` a bare Debian bookworm."""
    sources = (HERE / "device_plugin", HERE / "archive.py", HERE / "images.py")
    ours = (ROOT / "embedded/pachd_embedded", ROOT / "examples/gpu/docker", *_requirements())
    return cache.key(*(str(path) for path in commands.values()), node, base, *sources, *ours)


def write(engine: Engine, made: Path, commands: dict[str, Path], node: str, base: str) -> None:
    """All images in one archive, all.tar in the directory `made`.

    `node` lends busybox and what kube-proxy calls; `base` is the Debian below those with Python.
    """
    with step("kubernetes: its images"):
        found = [_of_command(made, name, commands[name]) for name in COMMAND_IMAGES if name != "kube-proxy"]
        found += [_kube_proxy(engine, made, commands["kube-proxy"], node), _busybox(engine, made, node)]
    with step("kubernetes: images with Python"):
        found += _with_python(engine, made, base)
        archive.write(made / "all.tar", found)


def _of_command(made: Path, name: str, program: Path) -> Image:
    place = PLACES.get(name, f"/usr/local/bin/{name}")
    path = archive.layer(made / f"{name}.tar", {place: program})
    return Image(COMMAND_IMAGES[name], (path,), (place,))


def _kube_proxy(engine: Engine, made: Path, program: Path, node: str) -> Image:
    """With nft and its libraries, out of the node's Debian."""
    libraries = "$(ldd /usr/sbin/nft | grep -o '/[^ ]*')"
    path = _taken(engine, made / "nft.tar", node, f"exec tar -ch /usr/sbin/nft {libraries}")
    files: dict[str, Path | str] = {"/usr/local/bin/kube-proxy": program, "/etc/protocols": PROTOCOLS}
    own = archive.layer(made / "kube-proxy.tar", files)
    return Image(COMMAND_IMAGES["kube-proxy"], (path, own), ("/usr/local/bin/kube-proxy",))


def _busybox(engine: Engine, made: Path, node: str) -> Image:
    links = 'for name in $(busybox --list | grep -vx busybox); do ln -s busybox "/x/bin/$name"; done'
    script = f"mkdir -p /x/bin; cp /bin/busybox /x/bin; {links}; exec tar -C /x -c bin"
    path = _taken(engine, made / "busybox-programs.tar", node, script)
    own = archive.layer(made / "busybox.tar", {"/etc/passwd": "root:x:0:0:root:/:/bin/sh\n"})
    return Image(BUSYBOX, (own, path), ("/bin/sh",))


def _taken(engine: Engine, target: Path, image: str, script: str) -> Path:
    """The tar that a shell script writes in an image of ours."""
    with target.open("wb") as file:
        command = engine.command(
            "run", "--rm", "--privileged", "--network=none", "--entrypoint=", image, "sh", "-ec", script
        )
        done = subprocess.run(command, stdout=file, stderr=subprocess.PIPE, text=False)
    if done.returncode != 0:
        raise TestlabError(f"{target.stem} failed: {host.last_line(done.stderr.decode())}")
    return target


def _with_python(engine: Engine, made: Path, base: str) -> list[Image]:
    """A bare Debian, Python packages for both, and a layer of its own for each."""
    debian = _taken(engine, made / "debian.tar", base, "exec tar -C / --one-file-system -c .")
    shared = archive.layer(
        made / "python.tar",
        {PYTHON: _packages(made / "packages")},
        {"/usr/local/bin/python": "/usr/bin/python3"},
    )
    source = HERE / "device_plugin"
    plugin = archive.layer(
        made / "plugin.tar",
        {PLUGIN_PROGRAM: source / "nvidia-device-plugin", f"{PYTHON}/device_plugin": source},
    )
    pachd = archive.layer(
        made / "pachd.tar",
        {
            f"{PYTHON}/pachd_embedded": ROOT / "embedded/pachd_embedded",
            # What the image of the tutorial's pipeline holds: --image NAME=/images/gputest
            "/images/gputest": ROOT / "examples/gpu/docker",
        },
    )
    return [
        Image(PLUGIN, (debian, shared, plugin), (PLUGIN_PROGRAM,)),
        Image(PACHD, (debian, shared, pachd), ("/usr/bin/python3", "-m", "pachd_embedded")),
    ]


def _requirements() -> tuple[Path, ...]:
    return tuple(ROOT / "requirements" / name for name in ("modules.txt", "constraints.txt"))


def _packages(target: Path) -> Path:
    """What the embedded pachd needs, which the device plugin uses as well, and a reader of YAML."""
    needed, pins = map(str, _requirements())
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--target",
        str(target),
        *PIP,
    ]
    done = subprocess.run([*command, "-r", needed, "-c", pins, "PyYAML"], capture_output=True, text=True)
    if done.returncode != 0:
        raise TestlabError(f"pip failed: {host.last_line(done.stderr)}")
    shutil.rmtree(target / "bin", ignore_errors=True)
    return target
