# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options in module_utils/_options.py. PRIVATE to the collection."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  pachd_address:
    description:
      - Where pachd listens, as C(grpc://host:port), C(grpcs://host:port) for TLS, or C(host:port).
        C(http://) and C(https://) mean the same as C(grpc://) and C(grpcs://).
      - The port is 30650 where none is given.
      - If the option is not set, the environment variable E(PACHD_ADDRESS) is used, then the address in the
        O(context), then C(grpc://127.0.0.1:30650).
      - For a Pachyderm in Kubernetes, M(gpulab.pachyderm.pachyderm_endpoint) finds the address.
    type: str
    version_added: 1.0.0
  auth_token:
    description:
      - Token of a user or a robot, where authentication is active in Pachyderm.
      - If the option is not set, the environment variables E(PACH_TOKEN) and then E(PACH_PYTHON_AUTH_TOKEN)
        are used, then the C(session_token) of the O(context).
    type: str
    version_added: 1.0.0
  ca_cert:
    description:
      - File with the PEM certificates that pachd's own certificate is checked against.
      - If the option is not set, the environment variable E(PACHD_CA_CERT) is used, then the C(server_cas) of
        the O(context), then the certificates that gRPC brings along.
    type: path
    version_added: 1.0.0
  server_name:
    description:
      - The host that pachd's certificate is for, where that is not the one in O(pachd_address), behind
        a forwarded port for example.
      - If the option is not set, the environment variable E(PACHD_SERVER_NAME) is used.
    type: str
    version_added: 1.0.0
  pach_config:
    description:
      - The config file of pachctl. It is read for what neither an option nor an environment variable gives.
      - If the option is not set, it is the file that the environment variable E(PACH_CONFIG) names, or
        C(~/.pachyderm/config.json) if there is one.
      - Where O(pachd_address) is given and neither this nor O(context) is, no file is read. So a token in it
        goes to the address beside it and to no other, unless that is asked for.
    type: path
    version_added: 1.0.0
  context:
    description:
      - Which context of O(pach_config). If it is not set, the active one.
      - Its C(project) is that of tasks which name none, as in pachctl.
    type: str
    version_added: 1.0.0
  timeout:
    description:
      - Seconds to wait for pachd to become reachable, and for each single call to be answered.
      - Listings and uploads have longer limits of their own, which grow with what is sent.
    type: float
    default: 30.0
    version_added: 1.0.0
requirements:
  - pachyderm-sdk >= 2.12 (on the host where the module runs)
"""

    # Beside the above, for plugins that run in Ansible itself: there the variables are named so.
    PLUGIN = r"""
options:
  pachd_address:
    env:
      - name: PACHD_ADDRESS
  auth_token:
    env:
      - name: PACH_TOKEN
      - name: PACH_PYTHON_AUTH_TOKEN
  ca_cert:
    env:
      - name: PACHD_CA_CERT
  server_name:
    env:
      - name: PACHD_SERVER_NAME
"""
