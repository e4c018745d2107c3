#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: contributors of gpulab.pachyderm
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module pachyderm_chart."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pachyderm_chart
short_description: Install, upgrade and remove Pachyderm by its Helm chart
version_added: 1.0.0
description:
  - Brings a release of Pachyderm's chart to the declared version and values.
  - What the chart would roll anew at each render (the cluster's ID, the root token, OAuth secrets,
    passwords of the
    bundled database, the directory on the host) is generated once, kept in the secret C(gpulab-pachyderm)
    of the
    namespace, and passed back on every run.
  - Nothing is upgraded while version and values are equal, since every upgrade replaces the pod of pachd.
  - Keys of values that the chart does not have are refused, with the nearest one that it has.
  - It is what the role P(gpulab.pachyderm.pachyderm#role) calls, and takes the role's variables as
    O(settings).
author:
  - gpulab contributors (@gpulab)
extends_documentation_fragment:
  - gpulab.pachyderm.kubernetes
  - gpulab.pachyderm.kubernetes.actiongroup
  - gpulab.pachyderm._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Of secrets a diff tells only that they are there.
  idempotent:
    support: full
options:
  name:
    description: Name of the release.
    type: str
    default: pachyderm
  namespace:
    description: Namespace of the release. It is made where it is missing.
    type: str
    default: pachyderm
  state:
    description:
      - V(present) makes sure that the release is deployed. It does not wait for pods;
        see M(gpulab.pachyderm.pachyderm_chart_info).
      - V(absent) uninstalls it, with what pachd made for pipelines. Volume claims and the secret stay; see
        O(delete_data).
      - V(images) only returns the images that it needs. No cluster is asked.
    type: str
    choices: [present, absent, images]
    default: present
  chart:
    description:
      - Path of a directory or an archive, URL, OCI reference, or REPOSITORY/CHART of a repository that helm
        knows.
        Paths begin with C(/), C(./), C(../) or C(~).
      - Empty means C(pachyderm) of O(chart_repository).
    type: str
    default: ""
  chart_repository:
    description: URL of the repository.
    type: str
    default: https://helm.pachyderm.com
  version:
    description: Version of the chart. It may be empty where O(chart) is a path.
    type: str
    default: ""
  settings:
    description:
      - Variables of the role P(gpulab.pachyderm.pachyderm#role) that become values, without C(pachyderm_).
      - They hold secrets. The module's result and the system's log do not.
    type: dict
    default: {}
  allow:
    description:
      - Leaves for what is refused otherwise. V(downgrade) of the chart, V(major), another major version, and
        V(auth_off), authentication switched off after it was deactivated in pachd.
    type: list
    elements: str
    choices: [downgrade, major, auth_off]
    default: []
  recover_secret:
    description: Where the secret is missing, make it of what the deployed release was given.
    type: bool
    default: false
  stuck_after:
    description:
      - After how many seconds a release that is pending is taken for stuck, and rolled back before it is
        upgraded.
      - A younger one is refused, since another helm may be at work on it.
    type: int
    default: 300
  history_max:
    description: How many revisions are kept for C(helm rollback).
    type: int
    default: 5
  delete_data:
    description: With O(state=absent), delete the volume claims, the secret, and the namespace if this
      module made it.
    type: bool
    default: false
  helm_binary:
    description: The program helm, version 3.
    type: str
    default: helm
  timeout:
    description: Seconds that helm may take.
    type: int
    default: 300
seealso:
  - module: gpulab.pachyderm.pachyderm_chart_info
  - module: gpulab.pachyderm.pachyderm_endpoint
requirements:
  - helm 3 (on the host where the module runs)
"""

EXAMPLES = r"""
- name: Pachyderm on a small cluster, without console and log store
  gpulab.pachyderm.pachyderm_chart:
    version: 2.12.0
    settings:
      small_cluster: true
      console: false
      loki: false
  environment:
    K8S_AUTH_KUBECONFIG: /etc/kubernetes/admin.conf

- name: List what a mirror has to hold
  gpulab.pachyderm.pachyderm_chart:
    version: 2.12.0
    state: images
  register: mirror

- name: Remove it, and all data with it
  gpulab.pachyderm.pachyderm_chart:
    state: absent
    delete_data: true

- name: Another release, of a chart in a mirror, by a helm of one's own
  gpulab.pachyderm.pachyderm_chart:
    name: vision
    namespace: vision
    chart_repository: https://charts.example.com
    version: 2.12.0
    helm_binary: /opt/lab/bin/helm
    timeout: 600
    history_max: 3

- name: Back to an older chart, after an upgrade that was broken off and a secret that was lost
  gpulab.pachyderm.pachyderm_chart:
    chart: /srv/lab/charts/pachyderm-2.11.4.tgz
    allow: [downgrade]
    recover_secret: true
    stuck_after: 60
"""

RETURN = r"""
actions:
  description: What was written, in that order; in check mode what would be written.
  returned: success
  type: list
  elements: dict
  sample: [{action: upgrade, kind: release, name: pachyderm}]
release:
  description: The release; null if it is absent, or only images were asked for.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
    namespace:
      description: Its namespace.
      type: str
    version:
      description: Version of its chart.
      type: str
      sample: 2.12.0
    revision:
      description: Helm's revision. Null before the first one.
      type: int
    status:
      description: Helm's status.
      type: str
      sample: deployed
    auth:
      description: Whether authentication is on. The token of the root user is in the secret, under
        C(root-token).
      type: bool
    secret:
      description: The secret that keeps what must not change.
      type: str
      sample: gpulab-pachyderm
    cluster_id:
      description: The cluster's ID.
      type: str
    host_path:
      description: The directory on the host that keeps objects, where the storage backend is LOCAL.
      type: str
      sample: /var/pachyderm-x7Kq2/
    openshift_scc:
      description: The SecurityContextConstraints that it runs under. Null on a cluster that is no OpenShift.
      type: str
images:
  description:
    - The images that its pods need, with that of workers, which pachd itself starts. Those of pipelines are
      not among
      them.
  returned: success
  type: list
  elements: str
  sample: ["docker.io/pachyderm/pachd:2.12.0", "docker.io/pachyderm/worker:2.12.0"]
kept:
  description: What stays in the namespace.
  returned: O(state=absent)
  type: list
  elements: str
  sample: ["volume claim etcd-storage-etcd-0", "secret gpulab-pachyderm"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart import Declared, Run, list_images
from ansible_collections.gpulab.pachyderm.plugins.module_utils._chart_helm import Helm
from ansible_collections.gpulab.pachyderm.plugins.module_utils._kubernetes import KUBERNETES_SPEC, Kubernetes
from ansible_collections.gpulab.pachyderm.plugins.module_utils._plan import Outcome
from ansible_collections.gpulab.pachyderm.plugins.module_utils._runner import complete

ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "default": "pachyderm"},
    "namespace": {"type": "str", "default": "pachyderm"},
    "state": {"type": "str", "choices": ["present", "absent", "images"], "default": "present"},
    "chart": {"type": "str", "default": ""},
    "chart_repository": {"type": "str", "default": "https://helm.pachyderm.com"},
    "version": {"type": "str", "default": ""},
    "settings": {"type": "dict", "default": {}},
    "allow": {
        "type": "list",
        "elements": "str",
        "choices": ["downgrade", "major", "auth_off"],
        "default": [],
    },
    "recover_secret": {"type": "bool", "default": False},
    "stuck_after": {"type": "int", "default": 300},
    "history_max": {"type": "int", "default": 5},
    "delete_data": {"type": "bool", "default": False},
    "helm_binary": {"type": "str", "default": "helm"},
    "timeout": {"type": "int", "default": 300},
}


def main() -> None:
    # no_log: nothing of what it was called with goes to the system's log.
    module = AnsibleModule(
        argument_spec={**ARGUMENTS, **KUBERNETES_SPEC}, supports_check_mode=True, no_log=True
    )

    def run() -> Outcome:
        declared = Declared.parse(module.params)
        # Ansible returns the parameters with each result.
        module.params["settings"] = "hidden: may hold secrets"
        module.no_log_values.update(declared.settings.secrets)
        if declared.state == "images":
            return list_images(module.params, declared)
        client = Kubernetes(module.params)
        helm = Helm(declared.helm, module.params, declared.namespace, declared.release)
        work = Run(client, helm, declared, module.check_mode, module.no_log_values.update)
        return work.present() if declared.state == "present" else work.absent()

    complete(module, run)


if __name__ == "__main__":
    main()
