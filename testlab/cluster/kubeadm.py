# SPDX-License-Identifier: GPL-3.0-or-later
"""What the nodes are told before they start: kubeadm's configuration, and the network of pods."""

from __future__ import annotations

import json
from typing import Any

import yaml

from testlab.cluster.commands import KUBERNETES
from testlab.lab import Node

PODS = "10.244"
API = "kubeadm.k8s.io/v1beta4"
AUDIT_POLICY = "/etc/kubernetes/audit-policy.yaml"
AUDIT_LOG = "/var/log/kubernetes/audit.log"
# The nodes' cgroups have no memory and no cpu, which the machine's older hierarchy has, so kubelet keeps no
# limits, and kubeadm's check of them must be passed over.
KUBELET: dict[str, Any] = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "cgroupDriver": "cgroupfs",
    "cgroupsPerQOS": False,
    # kubeadm drops an empty list, and kubelet's default cannot be without cgroupsPerQOS.
    "enforceNodeAllocatable": ["none"],
    "failSwapOn": False,
    "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
    # A machine whose disk is rather full evicts nobody and drops no image: no registry would give it again.
    "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    "imageGCHighThresholdPercent": 100,
    # A node that is gone is NotReady after 20 s, not 50.
    "nodeLeaseDurationSeconds": 20,
}
KUBE_PROXY: dict[str, Any] = {
    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
    "kind": "KubeProxyConfiguration",
    "mode": "nftables",
    # Parameters of the machine's kernel, which a node cannot set.
    "conntrack": {"maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"},
}


def control_plane(node: Node, token: str) -> str:
    """The configuration of `kubeadm init` on a node that runs pods of users as well."""
    cluster = {
        "apiVersion": API,
        "kind": "ClusterConfiguration",
        "kubernetesVersion": f"v{KUBERNETES}",
        "controlPlaneEndpoint": f"{node.address}:6443",
        "networking": {"podSubnet": f"{PODS}.0.0/16"},
        "apiServer": {
            "extraArgs": _arguments({"audit-policy-file": AUDIT_POLICY, "audit-log-path": AUDIT_LOG}),
            "extraVolumes": [
                _host_path("audit-policy", AUDIT_POLICY, "File", read_only=True),
                _host_path("audit-log", AUDIT_LOG.rpartition("/")[0], "DirectoryOrCreate", read_only=False),
            ],
        },
        # There is no other to elect, so nobody waits for the lease of one that was killed.
        "controllerManager": {
            "extraArgs": _arguments({"leader-elect": "false", "node-monitor-grace-period": "20s"})
        },
        "scheduler": {"extraArgs": _arguments({"leader-elect": "false"})},
        # Its data are worth nothing after a crash of the machine.
        "etcd": {"local": {"extraArgs": _arguments({"unsafe-no-fsync": "true"})}},
    }
    init = {
        "apiVersion": API,
        "kind": "InitConfiguration",
        "bootstrapTokens": [{"token": token}],
        "localAPIEndpoint": {"advertiseAddress": node.address},
        "nodeRegistration": _registration(node),
    }
    return yaml.safe_dump_all([init, cluster, KUBELET, KUBE_PROXY], sort_keys=False)


def worker(node: Node, control: Node, token: str) -> str:
    """The configuration of `kubeadm join`. The token was made for this one cluster, a moment ago."""
    discovery = {
        "token": token,
        "apiServerEndpoint": f"{control.address}:6443",
        "unsafeSkipCAVerification": True,
    }
    join = {
        "apiVersion": API,
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": discovery},
        "nodeRegistration": _registration(node),
    }
    return yaml.safe_dump(join, sort_keys=False)


def _registration(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "taints": [],
        "imagePullPolicy": "Never",
        "ignorePreflightErrors": ["SystemVerification"],
        "kubeletExtraArgs": _arguments({"node-ip": node.address}),
    }


def _arguments(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _host_path(name: str, path: str, kind: str, read_only: bool) -> dict[str, Any]:
    return {"name": name, "hostPath": path, "mountPath": path, "pathType": kind, "readOnly": read_only}


def network(members: list[Node]) -> dict[str, dict[str, str]]:
    """The files of each node, by its name, that give its pods a subnet and lead to those of the others."""
    subnets = {node.name: f"{PODS}.{number}.0/24" for number, node in enumerate(members)}
    return {
        node.name: {
            "/etc/cni/net.d/10-testlab.conflist": json.dumps(_bridge(subnets[node.name]), indent=2) + "\n",
            "/etc/testlab/pod-routes": "".join(
                f"route replace {subnets[peer.name]} via {peer.address}\n" for peer in members if peer != node
            ),
        }
        for node in members
    }


def _bridge(subnet: str) -> dict[str, Any]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "testlab", "plugins": [bridge, portmap]}
