# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness itself: what a role sends is what is recorded, and what is answered is what the role sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from .harness import Case, Rendered, render

TASKS = """
- name: Install
  ansible.builtin.apt:
    name: [one, "two={{ ansible_facts['distribution_version'] }}"]
  register: installed

- name: Write
  ansible.builtin.copy:
    content: "options nvidia a=1\\n"
    dest: /etc/modprobe.d/nvidia.conf
    mode: "0644"

- name: Run
  ansible.builtin.command:
    argv: [modprobe, nvidia]
  register: loading

- name: Reboot
  ansible.builtin.reboot:
    reboot_timeout: 30
  when: installed is changed

- name: Look again
  ansible.builtin.command: uname -r
  register: looked
  changed_when: false

- name: Keep
  ansible.builtin.set_fact:
    result: "{{ [loading.stdout, looked.stdout] }}"
"""


def probe(directory: Path, tasks: str = TASKS) -> str:
    """A role of these tasks."""
    (directory / "probe/tasks").mkdir(parents=True)
    (directory / "probe/tasks/main.yml").write_text(f"---\n{tasks}")
    return str(directory / "probe")


def modules(rendered: Rendered) -> list[str]:
    return [call.module for call in rendered.calls if call.module not in ("setup", "stat", "find")]


def test_a_role_runs_and_all_it_asks_for_is_recorded(tmp_path: Path) -> None:
    role = probe(tmp_path)
    answers = (
        {"module": "command", "with": "uname", "result": {"rc": 0, "stdout": "old"}},
        {
            "module": "command",
            "with": "uname",
            "after": {"module": "shutdown"},
            "result": {"rc": 0, "stdout": "new"},
        },
    )
    done = render(
        {
            "real": Case(role, "debian12", answers=answers),
            "check": Case(role, "ubuntu24", answers=answers[:1], check=True),
        }
    )
    real, check = done["real"], done["check"]
    assert modules(real) == ["apt", "copy", "command", "shutdown", "command"]
    assert real.of("apt")[0].items("name", "pkg") == ["one", "two=12.12"]
    assert real.of("copy")[0].args["content"] == "options nvidia a=1\n"
    assert real.commands == ["modprobe nvidia", "uname -r"]
    assert real.facts["result"] == ["", "new"]

    assert modules(check) == ["apt", "command", "command"]
    assert all(call.check for call in check.calls)
    assert check.of("apt")[0].items("name", "pkg") == ["one", "two=24.04"]
    assert check.facts["result"] == ["", "old"]
    assert check.written == ["options nvidia a=1\n"]


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ("- ansible.builtin.debug: {msg: no}\n  when: \"'a string'\"", "boolean"),
        ("- ansible.builtin.debug: {msg: '{{ ansible_distribution }}'}", "undefined"),
    ],
)
def test_what_core_2_19_refuses_is_a_failure(tmp_path: Path, tasks: str, words: str) -> None:
    done = render({"node": Case(probe(tmp_path, tasks), "debian12")})
    assert words in done["node"].failure


def test_a_warning_is_a_failure(tmp_path: Path) -> None:
    role = probe(tmp_path, "- ansible.builtin.command: 'true'\n")
    warned = {"module": "command", "result": {"rc": 0, "warnings": ["this goes away"]}}
    with pytest.raises(AssertionError, match="this goes away"):
        render({"node": Case(role, "debian12", answers=(warned,))})
