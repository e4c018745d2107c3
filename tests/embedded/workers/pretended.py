# SPDX-License-Identifier: GPL-3.0-or-later
"""A container engine that only pretends, for what a real one does not do on this machine."""

from __future__ import annotations

from pathlib import Path

from tests.embedded.workers.programs import write_program

# Notes each call; answers as docker (or podman) would that has an image `there`, but for what the file
# `said` beside it, a script of sh, says otherwise.
PRETENDED = """\
#!/bin/sh
here={here}
printf '%s\\n' "$*" >> $here/calls
. $here/said
case $1 in
    --version) echo '{version}' ;;
    info) echo '{info}' ;;
    image) [ "$5" = there ] || {{ echo 'Error: no such image' >&2; exit 1; }}; echo '{{}}' ;;
    pull) echo 'Error: registry: connection refused' >&2; exit 125 ;;
    start) cat; exit $code ;;
    container) echo "$state" ;;
    cp) tar -C $here -c out ;;
esac
"""
DOCKER = ("Docker version 28.2.2, build e6534b4", '{"memory":true,"cpu":true}')
PODMAN = ("podman version 5.4.0", '["cpuset","cpu","memory","pids"]')


class Pretended:
    def __init__(self, directory: Path, name: str, version: str, info: str) -> None:
        self.program = directory / name
        self._directory = directory
        (directory / "out").mkdir()
        write_program(self.program, PRETENDED.format(here=directory, version=version, info=info))
        self.says("")

    def says(self, script: str) -> None:
        (self._directory / "said").write_text(f"code=0 state=\n{script}\n")

    def calls(self, verb: str) -> list[str]:
        lines = (self._directory / "calls").read_text().splitlines()
        return [line for line in lines if line.split()[0] == verb]
