# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's runtime in CRI-O, by a drop-in file. PRIVATE to the collection: it may change at any time.

CRI-O merges drop-in files key by key, so that the file holds nothing but the runtime.
Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import os
import shutil

from ._container_runtime_ctk import drop_in, reason
from ._container_runtime_files import read
from ._container_runtime_types import Entry, MissingToolError, Options, Plan, RuntimeConfigError, Tools

HEADER = "# Written by gpulab.pachyderm.nvidia_container_runtime.\n"


def present(options: Options, entry: Entry | None, tools: Tools) -> Plan:
    """The drop-in as nvidia-ctk makes it, tried by `crio config` with the files beside it."""
    source = read(options.config) or ""
    flags = ["--set-as-default"] if options.set_as_default else []
    text = HEADER + drop_in(options, source, tools, *flags)
    _validate(options, tools.write("crio.conf", source), text, tools)
    return Plan({options.drop_in: text}, "restart", entry)


def absent(options: Options, entry: Entry | None, tools: Tools) -> Plan:
    """Without the drop-in."""
    return Plan({options.drop_in: None}, "restart", None)


def _validate(options: Options, config: str, text: str, tools: Tools) -> None:
    folder, name = os.path.split(options.drop_in)
    beside = tools.scratch / "crio.conf.d"
    if os.path.isdir(folder):
        shutil.copytree(folder, beside, ignore_dangling_symlinks=True)
    else:
        beside.mkdir()
    (beside / name).write_text(text, encoding="utf-8")
    try:
        tools.output(options.executable, f"--config={config}", f"--config-dir={beside}", "config")
    except MissingToolError:
        raise
    except RuntimeConfigError as error:
        message = reason(str(error)).replace(str(beside), folder).replace(config, options.config)
        raise RuntimeConfigError(f"{options.drop_in}: refused by {options.executable}: {message}") from error
