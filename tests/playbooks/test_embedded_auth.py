# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded role with a certificate and a root token, and modules that work against what it starts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pachyderm_sdk import Client

from tests.ansible_runs import LOCAL, ROOT, checkout_playbook
from tests.embedded.tls import Authority

PROCESS = ROOT / "roles/pachyderm_embedded/files/pachd_process.py"
TOKEN = "root-token-of-this-test"

PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  vars:
    ansible_python_interpreter: "{{ ansible_playbook_python }}"
  tasks:
    - ansible.builtin.include_role:
        name: gpulab.pachyderm.pachyderm_embedded
    - gpulab.pachyderm.pachyderm_repo:
        repos: [{name: made-with-the-token}]
        pachd_address: "grpcs://{{ (lookup('file', ready) | split('address='))[1] | split(' ') | first }}"
        auth_token: "{{ pachyderm_embedded_auth_root_token }}"
        ca_cert: "{{ authority }}"
      when: not ansible_check_mode
"""


class Lab:
    """The role's directory, and a play that has it serve with TLS and auth."""

    def __init__(self, directory: Path) -> None:
        self.state = directory / "lab"
        self.play = directory / "play.yml"
        self.play.write_text(PLAY)
        self.authority = Authority(directory / "authority", "the lab's")
        self.certificate, self.key = self.authority.issue("127.0.0.1")

    def run(self, *arguments: str, **variables: Any) -> str:
        """What Ansible said, which must be well."""
        given = {
            "pachyderm_embedded_data_dir": str(self.state),
            "pachyderm_embedded_address": "127.0.0.1:0",
            "pachyderm_embedded_gpus": "0",
            "pachyderm_embedded_private_pfs": True,
            "pachyderm_embedded_tls_cert": str(self.certificate),
            "pachyderm_embedded_tls_key": str(self.key),
            "pachyderm_embedded_auth_root_token": TOKEN,
            "ready": str(self.state / "pachd.ready"),
            "authority": str(self.authority.file),
        }
        extra = self.play.with_name("variables.json")
        extra.write_text(json.dumps(given | variables))
        done = checkout_playbook(*LOCAL, "--extra-vars", f"@{extra}", str(self.play), *arguments)
        extra.unlink()
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def pid(self) -> int:
        return int((self.state / "pachd.pid").read_text())

    def who(self, token: str = TOKEN) -> str:
        address = (self.state / "pachd.ready").read_text().partition("address=")[2].split()[0]
        host, _, port = address.rpartition(":")
        client = Client(host, int(port), auth_token=token, root_certs=self.authority.pem)
        return str(client.auth.who_am_i().username)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    subprocess.run([sys.executable, str(PROCESS), "stop", str(made.state), "60"], check=True, timeout=120)


def test_a_server_with_tls_and_auth_and_modules_that_use_it(lab: Lab) -> None:
    said = lab.run("-vvv", "--diff")
    assert "made-with-the-token" in said
    assert lab.who() == "pach:root"
    assert TOKEN not in said
    for file in (*lab.state.glob("*"), Path(f"/proc/{lab.pid()}/cmdline")):
        if file.is_file() and file.name != "root-token":
            assert TOKEN.encode() not in file.read_bytes(), file
    assert (lab.state / "root-token").stat().st_mode & 0o777 == 0o600


def test_a_second_run_changes_nothing_and_a_check_neither(lab: Lab) -> None:
    assert "changed=0" not in lab.run("--check")
    assert not lab.state.exists()
    lab.run()
    first = lab.pid()
    assert "changed=0" in lab.run()
    assert "changed=0" in lab.run("--check")
    assert lab.pid() == first


def test_another_root_token_takes_effect(lab: Lab) -> None:
    lab.run()
    lab.run(pachyderm_embedded_auth_root_token="second")
    assert lab.who("second") == "pach:root"


def test_a_renewed_certificate_takes_effect(lab: Lab) -> None:
    lab.run()
    first = lab.pid()
    lab.certificate, lab.key = lab.authority.issue("127.0.0.1")
    assert "changed=0" not in lab.run()
    assert lab.pid() != first
    assert lab.who() == "pach:root"


def test_all_of_it_is_deleted(lab: Lab) -> None:
    lab.run()
    lab.play.write_text(PLAY.partition("    - gpulab.pachyderm.pachyderm_repo")[0])
    lab.run(pachyderm_embedded_state="absent")
    assert not lab.state.exists()
