# SPDX-License-Identifier: GPL-3.0-or-later
"""nvidia-ctk, on copies only: it sorts what it writes and drops comments. PRIVATE to the collection.

Runs on nodes: Python 3.8, standard library only.
"""

from __future__ import annotations

import re

from ._container_runtime_types import MissingToolError, Options, RuntimeConfigError, Tools


def drop_in(options: Options, source: str, tools: Tools, *flags: str) -> str:
    """The drop-in file for the runtime `nvidia`, made from a configuration with the text `source`."""
    path = tools.scratch / "drop-in.toml"
    command = ["nvidia-ctk", "runtime", "configure", f"--runtime={options.runtime}"]
    command += [f"--config={tools.write('base.toml', source)}", f"--drop-in-config={path}"]
    run(tools, options.config, *command, f"--runtime-path={options.runtime_path}", *flags)
    return path.read_text(encoding="utf-8")


def run(tools: Tools, config: str, *command: str) -> str:
    """What nvidia-ctk prints; its complaint names `config`, of which it has got a copy."""
    try:
        return tools.output(*command)
    except MissingToolError:
        raise
    except RuntimeConfigError as error:
        raise RuntimeConfigError(f"{config}: {reason(str(error))}") from error


def reason(error: str) -> str:
    """What the last line says, without time and level; a place (LINE, COLUMN) in words."""
    line = error.strip().splitlines()[-1]
    message = re.search(r'level=error msg="(.*)"$', line)
    said = message.group(1).replace('\\"', '"') if message else line
    return re.sub(r"\((\d+), (\d+)\)", r"line \1, column \2", said)
