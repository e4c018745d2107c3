# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role asked of a node, in the shape of the tables that it is compared with."""

from __future__ import annotations

import re
from typing import Any

from .harness import Call, Rendered

# Commands that only ask.
QUESTIONS = ("apt-get indextargets", "grep -", "systemctl is-active")
INSTALLERS = ("apt", "dnf", "dnf5", "package")


def requested(call: Call) -> list[str]:
    """Packages that a call of a package module names; a module stream (@name:stream) is not one."""
    return [name for name in call.items("name", "pkg", "package") if not name.startswith("@")]


def installed(done: Rendered) -> set[str]:
    """Names, without versions, of all packages that were to be there."""
    calls = [call for call in done.of(*INSTALLERS) if call.args.get("state", "present") != "absent"]
    return {bare(name) for call in calls for name in requested(call)}


def bare(name: str) -> str:
    """A package's name out of name=version (apt) or name-version[-release[.arch]] (dnf).

    Of apt's names those of kernels hold a version themselves; there it is part of the name.
    """
    if re.search("=|^linux-", name):
        return name.split("=")[0]
    return re.sub(r"-\d+\.[\w.*]+(-[\w.*]+)?$", "", name)


def versions(done: Rendered) -> dict[str, str]:
    """Versions by package, where a version was asked for."""
    names = [name for call in done.of(*INSTALLERS) for name in requested(call)]
    return {bare(name): name[len(bare(name)) + 1 :] for name in names if bare(name) != name}


def predicted(done: Rendered) -> list[str]:
    """Packages that a run in check mode says it would install."""
    found = re.findall(r"would (?:be installed:|install) ([^;\n]+)", done.said)
    return [name for line in found for name in re.split(r"[ ,]+", line) if name and name != "nothing"]


def acts(done: Rendered) -> list[str]:
    """Commands that are more than questions."""
    return [line for line in done.commands if not line.startswith(QUESTIONS)]


def removed(done: Rendered) -> set[str]:
    calls = [call for call in done.of(*INSTALLERS) if call.args.get("state") == "absent"]
    return {bare(name) for call in calls for name in requested(call)}


def held_by_dpkg(done: Rendered) -> set[str]:
    """Packages that dpkg was told to hold, one by one or as the lines of one command."""
    given = [call.args["stdin"] for call in done.of("command") if call.command == "dpkg --set-selections"]
    lines = [line.split() for text in given for line in text.splitlines()]
    calls = [(call.args["name"], call.args["selection"]) for call in done.of("dpkg_selections")]
    return {name for name, selection in [*lines, *calls] if selection == "hold"}


def streams(done: Rendered) -> set[str]:
    """Module streams of dnf: what its file of enabled streams is to say."""
    return set(re.findall(r"^stream=(\S+)$", "\n".join(done.written), re.MULTILINE))


def repositories(done: Rendered) -> list[dict[str, Any]]:
    """Package repositories with the arguments that say where they are and whom they trust."""
    wanted = {
        "deb822_repository": ("uris", "suites", "components"),
        "yum_repository": ("baseurl", "gpgkey", "gpgcheck"),
    }
    found = []
    for call in done.of(*wanted):
        if call.args.get("state", "present") != "absent":
            found.append({key: call.args.get(key) for key in ("name", *wanted[call.module])})
    return found


def contents(done: Rendered) -> dict[str, str]:
    """Content by path, of files that were written."""
    return {call.args["dest"]: call.args.get("content", "") for call in done.of("copy")}


def services(done: Rendered) -> set[str]:
    """Services that were to run."""
    calls = done.of("systemd_service", "systemd", "service")
    running = [call for call in calls if call.args.get("state") in ("started", "restarted", "reloaded")]
    return {name.removesuffix(".service") for call in running for name in call.items("name")}
