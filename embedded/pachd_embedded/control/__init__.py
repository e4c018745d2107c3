# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's doors beside gRPC, HTTP with JSON: one for its owner, and one for tests, off by default.

The owner's is a socket in the data directory, which only the user who started the server may open. The
tests' is a port of loopback (`--control`), for playbooks that want an empty server, data, faults, a journal.
"""
