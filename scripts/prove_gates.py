# SPDX-License-Identifier: GPL-3.0-or-later
"""Proves that each gate of `make lint` goes red: breaks its rule in a copy of the checkout and runs it there.

prove_gates.py [--slow] [WORD ...]: those whose name holds one of the words; --slow: those that build, too.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "build/prove_gates"
META = "pytest -q -p no:cacheprovider tests/meta/"
ARTIFACT = "scripts/gates.sh artifact && "


def append(path: str, text: str) -> Callable[[], None]:
    def change() -> None:
        file = COPY / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(text)

    return change


def replace(path: str, old: str, new: str) -> Callable[[], None]:
    def change() -> None:
        text = (COPY / path).read_text(encoding="utf-8")
        if old not in text:
            raise SystemExit(f"prove_gates: {path} has no {old!r} any more")
        (COPY / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def remove(path: str) -> Callable[[], None]:
    return lambda: (COPY / path).unlink()


@dataclass(frozen=True)
class Proof:
    """How a rule is broken, the command of the gate, and what it must print of that."""

    gate: str
    broken: Callable[[], None]
    command: str
    says: str
    slow: bool = False


ERRORS = "embedded/pachd_embedded/errors.py"
PROOFS = [
    Proof(
        "mypy", append(ERRORS, "BAD: int = 'text'\n"), "mypy -p pachd_embedded.errors", "Incompatible types"
    ),
    Proof(
        "mypy: tests",
        append("tests/contract/lab.py", "BAD: int = 'text'\n"),
        "mypy tests/contract/lab.py",
        "Incompatible types",
    ),
    Proof(
        "mypy: benchmarks",
        append("benchmarks/figures.py", "BAD: int = 'text'\n"),
        "mypy benchmarks",
        "Incompatible types",
    ),
    Proof("ruff check", append(ERRORS, "import tarfile\n"), "ruff check", "F401"),
    Proof("ruff format", append(ERRORS, "BAD = {  }\n"), "ruff format --check", "BAD = {}"),
    Proof("yamllint", append("site.yml", "# spaces:  \n"), "yamllint --strict .", "trailing-spaces"),
    Proof("shellcheck", append("scripts/stop.sh", "cat $(ls)\n"), "scripts/gates.sh shell", "SC2046"),
    Proof("reuse", append("docs/bad.md", "# No licence\n"), "scripts/gates.sh licences", "* docs/bad.md"),
    Proof(
        "changelog fragments",
        append("changelogs/fragments/bad.yml", "---\nnonsense:\n  - A section that is none.\n"),
        "scripts/gates.sh changelog",
        "bad.yml",
    ),
    Proof(
        "action groups",
        replace("meta/runtime.yml", "    - pachyderm_sync\n", ""),
        META + "test_repository.py -k action_group",
        "connection[pachyderm_sync]",
    ),
    Proof(
        "argument specs",
        remove("roles/helm/meta/argument_specs.yml"),
        META + "test_repository.py -k roles_specify",
        "helm/meta/argument_specs.yml",
    ),
    Proof(
        "argument specs: defaults",
        replace("roles/helm/defaults/main.yml", "helm_state: present", "helm_state: absent"),
        META + "test_repository.py -k roles_specify",
        "helm_state",
    ),
    Proof(
        "dead variables",
        append("roles/helm/vars/main.yml", "__helm_dead: 1\n"),
        META + "test_published.py -k reads_every_variable",
        "__helm_dead",
    ),
    Proof(
        "unpinned download: a file",
        replace("roles/helm/tasks/install.yml", '        checksum: "sha256:{{ __helm_checksum }}"\n', ""),
        META + "test_published.py -k downloads",
        "roles/helm/tasks/install.yml",
    ),
    Proof(
        "unpinned download: a package",
        append("requirements/collection.txt", "requests>=2\n"),
        META + "test_published.py -k one_release",
        "requests>=2",
    ),
    Proof(
        "ansible-lint",
        append("roles/helm/tasks/look.yml", "\n- ansible.builtin.command: date\n"),
        "ansible-lint -q --strict roles/helm",
        "name[missing]",
        slow=True,
    ),
    Proof(
        "artifact",
        replace("galaxy.yml", "  - testlab\n", ""),
        "scripts/gates.sh artifact",
        "see build_ignore",
        slow=True,
    ),
    Proof(
        "ansible-test sanity",
        append("plugins/module_utils/_names.py", "\n\ndef _bad(_: int) -> None:\n    pass\n"),
        ARTIFACT + "scripts/gates.sh sanity --test pylint",
        "disallowed-name",
        slow=True,
    ),
    Proof(
        "galaxy-importer",
        remove("roles/helm/README.md"),
        ARTIFACT + "scripts/gates.sh importer",
        "No role readme found",
        slow=True,
    ),
    Proof(
        "antsibull-docs",
        replace("plugins/modules/pachyderm_chart.py", "pachyderm.pachyderm#role", "pachyderm.nobody#role"),
        ARTIFACT + "scripts/gates.sh documentation",
        "gpulab.pachyderm.nobody",
        slow=True,
    ),
    Proof(
        "site: a link of a document",
        replace("docs/nodes.md", "(compatibility.md#nodes)", "(compatibility.md#no-nodes)"),
        "scripts/gates.sh site",
        "no-nodes",
        slow=True,
    ),
    Proof(
        "site: an option that is none",
        replace("plugins/modules/pachyderm_sync.py", "O(delete", "O(delete_all"),
        "scripts/gates.sh site",
        "delete_all",
        slow=True,
    ),
    Proof(
        "tables of the documents",
        replace("README.md", "| `pachyderm_sync` |", "| `pachyderm_send` |"),
        META + "test_readme.py -k has_a_row",
        "pachyderm_send",
    ),
    Proof(
        "links of the published documents",
        append("docs/nodes.md", "[testlab](../testlab/README.md)\n"),
        META + "test_readme.py -k published_page",
        "testlab/README.md",
    ),
    Proof(
        "execution environment",
        replace("requirements/modules.txt", "pachyderm-sdk==", "pachyderm-sdk==99."),
        ARTIFACT + "scripts/gates.sh environment",
        "No matching distribution",
        slow=True,
    ),
    Proof(
        "empty environment",
        replace("galaxy.yml", "  - testlab\n", "  - testlab\n  - examples/gpu\n"),
        ARTIFACT + "scripts/gates.sh fresh",
        "DIR must be a directory",
        slow=True,
    ),
]


def make_copy() -> None:
    """The checkout's files, as a repository of their own: gates ask git which there are."""
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if os.path.lexists(ROOT / name):
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name, follow_symlinks=False)
    (COPY / ".venv").symlink_to(ROOT / ".venv")
    git("init", "--quiet")
    (COPY / ".git/info/exclude").write_text("/.venv\n", encoding="utf-8")
    git("add", "--all")
    git("-c", "user.name=gates", "-c", "user.email=gates@example.org", "commit", "--quiet", "--message=copy")


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=COPY, check=True, stdout=subprocess.DEVNULL)


def prove(proof: Proof) -> bool:
    """Whether the gate went red for the right reason."""
    git("reset", "--quiet", "--hard")
    git("clean", "--quiet", "-fd")
    proof.broken()
    # New files as well: gates look at what git knows.
    git("add", "--all")
    started = time.monotonic()
    run = subprocess.run(
        ["bash", "-c", proof.command],
        cwd=COPY,
        env={
            **os.environ,
            "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}",
            "GATES_CACHE": str(ROOT / "build/gates/home"),
            "ANSIBLE_CONFIG": str(COPY / "ansible.cfg"),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    red = run.returncode != 0 and proof.says in run.stdout
    print(f"{'red' if red else 'NOT RED'}  {proof.gate} ({time.monotonic() - started:.0f} s)", flush=True)
    if not red:
        print(run.stdout[-3000:])
    return red


def main(arguments: list[str]) -> int:
    words = [word for word in arguments if word != "--slow"]
    chosen = [
        proof
        for proof in PROOFS
        if (not proof.slow or "--slow" in arguments)
        and (not words or any(word in proof.gate for word in words))
    ]
    COPY.parent.mkdir(exist_ok=True)
    with COPY.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another run's copy is broken on purpose, and goes at its end
        make_copy()
        failed = [proof.gate for proof in chosen if not prove(proof)]
        shutil.rmtree(COPY)
    print(f"{len(chosen) - len(failed)} of {len(chosen)} gates went red")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
