# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible's own importer finds the collection, as it does in a playbook.

Installed before the first test module is imported: a test that asks Ansible for it later would leave two
importers with one package between them.
"""

from __future__ import annotations

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()
