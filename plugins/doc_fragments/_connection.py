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
      - If the option is not set, the environment variable E(PACHD_ADDRESS) is used.
    type: str
    default: grpc://127.0.0.1:30650
    version_added: 0.1.0
  auth_token:
    description:
      - Token of a user or a robot, where authentication is active in Pachyderm.
      - If the option is not set, the environment variables E(PACH_TOKEN) and then E(PACH_PYTHON_AUTH_TOKEN)
        are used.
    type: str
    version_added: 0.1.0
  ca_cert:
    description:
      - File with the PEM certificates that pachd's own certificate is checked against.
        Without it, those that gRPC brings along are used.
      - If the option is not set, the environment variable E(PACHD_CA_CERT) is used.
    type: path
    version_added: 0.1.0
  timeout:
    description:
      - Seconds to wait for pachd to become reachable, and for each single call to be answered.
      - Listings and uploads have longer limits of their own, which grow with what is sent.
    type: float
    default: 30.0
    version_added: 0.1.0
requirements:
  - pachyderm-sdk >= 2.12 (on the host where the module runs)
"""
