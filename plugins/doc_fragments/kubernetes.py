# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in module_utils/_kubernetes.py. PRIVATE to the collection."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - File that says where the API server is, and who asks.
      - If the option is not set, the environment variable E(K8S_AUTH_KUBECONFIG) is used, then the
        credentials of the pod that the module runs in, then those in E(KUBECONFIG) or C(~/.kube/config).
    type: path
    version_added: 1.0.0
  context:
    description:
      - Context of the kubeconfig to use. Its current context if it is not given.
      - If the option is not set, the environment variable E(K8S_AUTH_CONTEXT) is used.
    type: str
    version_added: 1.0.0
  host:
    description:
      - Address of the API server, such as C(https://cluster.example.com:6443), in place of the kubeconfig's.
      - If the option is not set, the environment variable E(K8S_AUTH_HOST) is used.
    type: str
    version_added: 1.0.0
  api_key:
    description:
      - Token of a user or a service account. Together with O(host) no kubeconfig is needed.
      - If the option is not set, the environment variable E(K8S_AUTH_API_KEY) is used.
    type: str
    version_added: 1.0.0
  ca_cert:
    description:
      - File with the PEM certificates that the API server's own certificate is checked against, in place of
        the kubeconfig's.
      - If the option is not set, the environment variable E(K8S_AUTH_SSL_CA_CERT) is used.
    type: path
    aliases: [ssl_ca_cert]
    version_added: 1.0.0
  validate_certs:
    description:
      - Whether the API server's certificate is checked. As the kubeconfig says if it is not given.
      - If the option is not set, the environment variable E(K8S_AUTH_VERIFY_SSL) is used.
    type: bool
    aliases: [verify_ssl]
    version_added: 1.0.0
requirements:
  - kubernetes >= 24.2 (Python package, on the host where the module runs)
"""

    ACTIONGROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/gpulab.pachyderm.kubernetes) in C(module_defaults) to set the connection once.
    support: full
    membership:
      - gpulab.pachyderm.kubernetes
"""
