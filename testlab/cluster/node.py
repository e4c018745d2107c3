# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of a cluster's nodes, and the store of container images that each of them starts with."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from testlab import cache
from testlab.cluster import images
from testlab.engine import Engine
from testlab.image import step
from testlab.packages import kernel

HERE = Path(__file__).resolve().parent
PACKAGES = (
    *("busybox-static", "conntrack", "containerd", "containernetworking-plugins", "ethtool", "iptables"),
    *("nftables", "runc", "socat"),
)
FILLER = "unfinished-containerd"
COMMANDS = ("kubeadm", "kubectl", "kubelet")
# Volumes, since neither overlayfs nor etcd should lie on a container's own overlayfs. They go with the node.
CONTAINERFILE = """\
FROM {base}
COPY --chown=0:0 packages/ /srv/packages/
RUN export DEBIAN_FRONTEND=noninteractive && apt-get update -qq && \\
    apt-get install -qq --yes --no-install-recommends {packages} /srv/packages/*.deb && \\
    apt-get clean && rm -r /srv/packages
COPY --chown=0:0 rootfs/ /
RUN systemctl enable --quiet containerd.service kubelet.service pod-network.service
VOLUME ["/var/lib/etcd", "/var/lib/kubelet"]
"""
# Images of the namespace `default` are those that `ctr run` finds, by which nodes are verified.
FILL = f"""
containerd >/tmp/log 2>&1 &
until ctr version >/dev/null 2>&1; do
    kill -0 $! || {{ tail -n 1 /tmp/log >&2; exit 1; }}
    sleep 0.1
done
ctr --namespace k8s.io images import --local /images/all.tar >/dev/null
ctr --namespace k8s.io images export /tmp/one.tar {images.BUSYBOX}
ctr --namespace default images import --local /tmp/one.tar >/dev/null
kill $!
wait
"""


def build(engine: Engine, base: str, archive: Path, commands: dict[str, Path]) -> str:
    """The node image: `base` (trixie) with containerd, kubelet and kubeadm, and nothing of NVIDIA's.

    `archive` is the apt repository of the testlab.
    """
    # What a machine has before roles come, as stand-ins: a kernel's package, and the maker of its initramfs.
    running = [package.file_name for package in (kernel.initramfs(), *kernel.kernel(os.uname().release)[:1])]
    stand_ins = [archive / "pool" / name for name in running]
    programs = [commands[name] for name in COMMANDS]
    key = cache.key(base, archive.name, CONTAINERFILE, *PACKAGES, *map(str, programs), HERE / "rootfs")
    image = f"localhost/testlab-kubernetes-trixie:{key}"
    with cache.lock(engine.directory / "locks/kubernetes"):
        if engine.podman("image", "exists", image, check=False).returncode != 0:
            with (
                step("kubernetes: node image"),
                cache.unfinished(engine.directory / "unfinished-kubernetes") as context,
            ):
                file = _context(context, base, stand_ins, programs)
                command = ("build", "--quiet", "--pull-never", "--isolation=chroot", "--network=host")
                engine.podman(*command, "--file", str(file), "--tag", image, str(context))
    return image


def _context(context: Path, base: str, packages: list[Path], programs: list[Path]) -> Path:
    """Lay out what the image is built from: its Containerfile."""
    shutil.copytree(HERE / "rootfs", context / "rootfs", symlinks=True)
    for directory, files in {"packages": packages, "rootfs/usr/bin": programs}.items():
        (context / directory).mkdir()
        for file in files:
            shutil.copy(file, context / directory)
    containerfile = context / "Containerfile"
    containerfile.write_text(CONTAINERFILE.format(base=base, packages=" ".join(PACKAGES)))
    return containerfile


def store(engine: Engine, commands: dict[str, Path], node: str, base: str) -> Path:
    """A directory for /var/lib/containerd that holds all images, unpacked. `base` is a bare bookworm."""
    with cache.lock(engine.directory / "locks/containerd"):
        target = engine.directory / f"containerd-{cache.key(images.key(commands, node, base), FILL)}"
        if not target.exists():
            # One of a killed run may still be writing.
            engine.podman("rm", "--force", "--ignore", FILLER)
            part = engine.directory / "unfinished-containerd"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            with cache.unfinished(engine.directory / "unfinished-images") as made:
                images.write(engine, made, commands, node, base)
                with step("kubernetes: images unpacked for the nodes"):
                    volumes = ("--volume", f"{part}:/var/lib/containerd", "--volume", f"{made}:/images:ro")
                    run = ("run", "--rm", "--name", FILLER, "--privileged", "--network=none", *volumes)
                    engine.podman(*run, "--entrypoint=", node, "sh", "-ec", FILL)
            part.rename(target)
            # Nodes that were made of older ones hold what they use by links of their own.
            for old in set(engine.directory.glob("containerd-*")) - {target}:
                shutil.rmtree(old)
    return target
