# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the tables of docs/compatibility.md, between its markers, from docs/compatibility/*.toml.

Usage: compatibility.py [--check]

rpcs.toml has a table for each service and in it a line for each method of the API:
    Method = "done" | "partial: what is missing" | "refused CODE" | "refused CODE: why"
rules/AREA.toml has `title`, and for each rule that is checked:
    [[rule]]
    rule = "a sentence"
    state = "verified" (measured on a real 2.12) | "differs: reason" | "not verified"
    test = "tests/contract/test_x.py::test_name"
--check writes nothing, and ends with exit code 1 when the document is not as the tables have it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs/compatibility.md"
TABLES = ROOT / "docs/compatibility"
RPC = re.compile(r"done|partial: (?P<missing>.+)|refused (?P<code>[A-Z_]+)(: (?P<why>.+))?")
STATE = re.compile(r"verified|not verified|differs: .+")


class TableError(Exception):
    """A table cannot be read; the text names the file and the entry."""


def load(path: Path) -> dict[str, Any]:
    """One TOML file. Raises TableError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{path.relative_to(ROOT)}: {error}") from None


def rpcs() -> dict[str, dict[str, str]]:
    """What there is of each method, by service. Raises TableError."""
    services: dict[str, dict[str, str]] = load(TABLES / "rpcs.toml")
    for service, methods in services.items():
        for method, state in methods.items():
            if not RPC.fullmatch(state):
                raise TableError(f"rpcs.toml: {service}/{method}: {state!r} is none of the states")
    return services


def rules() -> list[dict[str, Any]]:
    """The areas with their rules, in the order of their files' names. Raises TableError."""
    areas = [load(path) for path in sorted((TABLES / "rules").glob("*.toml"))]
    for area in areas:
        for rule in area["rule"]:
            if set(rule) != {"rule", "state", "test"} or not STATE.fullmatch(rule["state"]):
                raise TableError(f"rules of {area['title']!r}: {rule} lacks rule, state or test")
    return areas


def rpc_lines() -> Iterator[str]:
    """Each service: what is done in a sentence, what is not in a table."""
    for service, methods in rpcs().items():
        yield f"### {service}"
        yield ""
        done = [method for method, state in methods.items() if state == "done"]
        if done:
            yield f"Done: {', '.join(done)}."
            yield ""
        others: dict[tuple[str, str], list[str]] = {}
        for method, state in methods.items():
            if state != "done":
                found = RPC.fullmatch(state)
                assert found
                kind = f"refused, {found['code']}" if found["code"] else "partial"
                others.setdefault((kind, found["missing"] or found["why"] or ""), []).append(method)
        if others:
            yield "| methods | | |"
            yield "| --- | --- | --- |"
            for (kind, text), names in others.items():
                yield f"| {', '.join(names)} | {kind} | {cell(text)} |"
            yield ""


def rule_lines() -> Iterator[str]:
    """A table for each area, and how many of its rules are held against a real 2.12."""
    for area in rules():
        yield f"### {area['title']}"
        yield ""
        yield "| rule | against 2.12 | shown by |"
        yield "| --- | --- | --- |"
        for rule in area["rule"]:
            path, _, name = rule["test"].partition("::")
            yield f"| {cell(rule['rule'])} | {cell(rule['state'])} | [`{name}`](../{path}) |"
        yield ""


def cell(text: str) -> str:
    """A text that does not end its column."""
    return text.replace("|", "\\|")


def rendered(document: str) -> str:
    """The document with its tables as they should be. Raises TableError."""
    for name, lines in (("rpcs", rpc_lines()), ("rules", rule_lines())):
        start, end = f"<!-- {name}: scripts/compatibility.py writes this -->\n", f"<!-- end of {name} -->"
        if start not in document or end not in document:
            raise TableError(f"{DOCUMENT.relative_to(ROOT)} lacks the markers of its {name}")
        before, _, rest = document.partition(start)
        document = before + start + "\n" + "\n".join(lines) + "\n" + end + rest.partition(end)[2]
    return document


def main() -> None:
    """Write or check; one line and exit code 1 when something is wrong."""
    document = DOCUMENT.read_text(encoding="utf-8")
    try:
        wanted = rendered(document)
    except TableError as error:
        sys.exit(f"compatibility: {error}")
    if sys.argv[1:] == ["--check"]:
        if document != wanted:
            sys.exit("compatibility: docs/compatibility.md is out of date; run scripts/compatibility.py")
    else:
        DOCUMENT.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
