# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of the documents hold what the code has; what is published links to what is published."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from pachd_embedded import __doc__ as embedded_pachd
from testlab import image
from testlab.cluster import commands

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted(path for pattern in ("*.md", "docs/*.md", "examples/*/*.md") for path in ROOT.glob(pattern))
IGNORED = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]


def names(*patterns: str) -> list[str]:
    return [path.stem for pattern in patterns for path in ROOT.glob(pattern)]


def paths(pattern: str) -> set[str]:
    return {str(path.relative_to(ROOT)) for path in ROOT.glob(pattern)}


TABLES = {
    "modules": names(*(f"plugins/{kind}/*.py" for kind in ("modules", "lookup", "filter", "callback"))),
    "roles": names("roles/*"),
    "playbooks": (paths("playbooks/*.yml") - {"playbooks/site.yml"}) | {"site.yml"},
    "inventories": paths("inventories/*"),
    "examples": {str(Path(path).parent) for path in paths("examples/*/README.md")},
}


def rows(page: Path, header: str, second: str = "") -> list[list[str]]:
    """The cells of the table whose first columns have headers that are, and begin with, these."""
    text = page.read_text(encoding="utf-8")
    found = re.search(
        rf"^\| *{re.escape(header)} *\| *{second}.*\n\|[ |-]+\|\n((?:\|.*\n)+)", text, re.MULTILINE
    )
    assert found, header
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[1].splitlines()]


@pytest.mark.parametrize("header", TABLES)
def test_the_readme_has_a_row_for_each_and_for_nothing_else(header: str) -> None:
    listed = [re.findall(r"`([^`]+)`", cells[0])[0] for cells in rows(README, header)]
    assert sorted(listed) == sorted(TABLES[header])


def test_the_modules_of_an_action_group_are_those_of_its_row() -> None:
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    for _, cell, group in rows(ROOT / "docs/architecture.md", "they talk to"):
        first, *others = re.findall(r"`(\w+)`", cell)
        listed = [first + other for other in others] if first.endswith("_") else [first, *others]
        assert sorted(listed) == groups.pop(group.strip("`| "))
    assert groups == {"controller": ["lab_report"]}


def pin(file: str, package: str) -> str:
    found = re.search(rf"^{package}==(\S+)$", (ROOT / f"requirements/{file}.txt").read_text(), re.MULTILINE)
    assert found, package
    return found[1]


def versions() -> dict[str, set[str]]:
    """What each row of the table of versions has to name."""
    oldest = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"]
    return {
        "ansible-core": {
            re.findall(r"\d+\.\d+", oldest)[0],
            pin("demo", "ansible-core"),
            pin("newest", "ansible-core"),
        },
        "Debian of GPU nodes": set(image.RELEASES),
        "Kubernetes, Helm": {commands.KUBERNETES, commands.HELM},
        "Pachyderm's API and SDK": {
            re.findall(r"\d+\.\d+", embedded_pachd or "")[0],
            pin("modules", "pachyderm-sdk"),
        },
    }


@pytest.mark.parametrize(("row", "wanted"), versions().items())
def test_the_versions_of_the_readme_are_those_of_the_tests(row: str, wanted: set[str]) -> None:
    (cells,) = [cells for cells in rows(README, "") if cells[0] == row]
    named = re.findall(r"\d+\.\d+(?:\.\d+)?|\b(?:bookworm|trixie)\b", " ".join(cells[1:]))
    assert set(named) == wanted


CLUSTER = {
    "Kubernetes": [commands.KUBERNETES],
    "Helm": [commands.HELM],
    "CoreDNS, etcd, local-path-provisioner": [
        commands.COREDNS,
        commands.ETCD,
        commands.LOCAL_PATH_PROVISIONER,
    ],
    "kwok": [commands.KWOK],
}


@pytest.mark.parametrize("row", CLUSTER)
def test_the_versions_of_a_cluster_are_those_that_are_built(row: str) -> None:
    table = {name: version for name, version, _ in rows(ROOT / "docs/compatibility.md", "what", "version")}
    assert table[row].split(", ") == CLUSTER[row]


def published(path: Path) -> bool:
    """As ansible-galaxy decides: neither the file nor a directory above it is left out."""
    parts = path.resolve().relative_to(ROOT).parts
    above = ["/".join(parts[:number]) for number in range(1, len(parts) + 1)]
    return not any(fnmatch(name, pattern) for name in above for pattern in IGNORED)


@pytest.mark.parametrize("page", [page for page in PAGES if published(page)], ids=lambda page: str(page.name))
def test_a_published_page_links_to_what_is_published(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:\s]+)[^):]*\)", page.read_text(encoding="utf-8"))
    lost = {link for link in links if not published(page.parent / link)}
    # Each rule of docs/compatibility.md names its test, for those who have a checkout.
    assert {link for link in lost if not link.startswith("../tests/")} == set()
