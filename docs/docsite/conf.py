# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx: the documents and what antsibull-docs makes, as a site. scripts/gates.sh lays its sources out."""

from __future__ import annotations

project = "gpulab.pachyderm"
project_copyright = "gpulab contributors"

extensions = ["myst_parser", "sphinx_antsibull_ext"]
exclude_patterns = [".github", "docs/docsite", "roles", "tests"]
nitpicky = True
# Ansible's own site has these.
nitpick_ignore_regex = [
    ("std:ref", r"ansible_collections\.(ansible|kubernetes)\..*"),
    ("std:ref", "ansible_configuration_settings|callback_plugins|common_return_values"),
]
# Headings have the anchors that forges give them.
myst_heading_anchors = 4

# Nothing of a page is loaded from elsewhere.
html_theme = "sphinx_ansible_theme"
html_title = project
html_copy_source = False
pygments_style = "ansible"
# What is indented in the documents: commands and what they print.
highlight_language = "text"
