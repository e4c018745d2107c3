# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory of an image, laid over the root of a datum."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pachd_embedded.workers.process import ProcessWorker

NAME = "novella/tensorflow-pachyderm:gputest"
HELLO = "#!/bin/sh\necho hello from $0\n"


@pytest.fixture
def laid(datums: Any, image: Any) -> Callable[..., Any]:
    """Makes the datums that follow run on an image of these files."""

    def lay(files: dict[str, str]) -> Callable[..., Any]:
        datums.worker = ProcessWorker({NAME: image(files)})
        return lambda *lines: datums.script(*lines, image=NAME)

    return lay


def test_files_are_where_the_image_has_them(laid: Any) -> None:
    datum = laid({"code/gpu.py": "print('gpu')", "code/lib/x.py": "", "start": HELLO})(
        "python /code/gpu.py", "/start"
    )
    assert (datum.error, datum.lines) == ("", ["gpu", "hello from /start"])


def test_another_image_is_not_there(datums: Any, laid: Any) -> None:
    laid({"code/gpu.py": "print('gpu')"})
    assert datums.script("test -e /code", image="busybox").error == "exit status 1"


def test_directories_merge(laid: Any) -> None:
    script = laid({"usr/local/bin/tool": HELLO, "usr/share/gpulab/data": "x", "etc/gpulab.conf": "y"})
    datum = script(
        "tool",
        "cat /usr/share/gpulab/data /etc/gpulab.conf",
        "echo",
        "cat /etc/passwd",
        "echo x > /etc/passwd",
    )
    assert datum.lines[:2] == ["hello from /usr/local/bin/tool", "xy"]
    assert datum.lines[2 : 2 + len(Path("/etc/passwd").read_text().splitlines())] == (
        Path("/etc/passwd").read_text().splitlines()
    )
    assert "Read-only" in datum.lines[-1]
    for place in ("/usr/local/bin", "/usr/share", "/usr/local"):
        assert set(os.listdir(place)) <= set(script(f"ls -A {place}").lines)


def test_a_file_of_the_image_wins(laid: Any) -> None:
    before = Path("/etc/passwd").read_bytes()
    script = laid({"etc/passwd": "gpu:x:1:1::/:/bin/sh\n", "etc/os-release": "NAME=lab\n"})
    assert script("cat /etc/passwd /etc/os-release").lines == ["gpu:x:1:1::/:/bin/sh", "NAME=lab"]
    assert Path("/etc/passwd").read_bytes() == before


def test_links_are_copied_and_followed_within_the_image(laid: Any) -> None:
    script = laid({"opt/tool-1/run": HELLO, "opt/tool": "-> tool-1", "usr/bin/tool": "-> /opt/tool/run"})
    assert script("tool; readlink /opt/tool").lines == ["hello from /usr/bin/tool", "tool-1"]


def test_a_directory_over_a_link_goes_where_the_link_leads(laid: Any) -> None:
    if not Path("/bin").is_symlink():
        pytest.skip("this system has a /bin of its own")
    script = laid({"bin/tool": HELLO})
    assert script("tool; readlink /bin").lines == ["hello from /usr/bin/tool", "usr/bin"]


def test_what_is_hidden_stays_hidden_beside_a_new_file(laid: Any) -> None:
    datum = laid({"etc/gpulab.conf": "x"})("cat /etc/gpulab.conf; echo; cat /etc/shadow 2>/dev/null; true")
    assert datum.lines == ["x"]


def test_the_image_does_not_replace_what_pachyderm_gives(laid: Any) -> None:
    datum = laid({"pfs/in/a": "x", "proc/self/x": "x", "dev/null": "x", "tmp/x": "x"})(
        "ls /pfs", "cat /dev/null", "test -d /proc/1 && cat /tmp/x"
    )
    assert (datum.error, datum.lines) == ("", ["out", "x"])


def test_image_without_its_directory(datums: Any, tmp_path: Path) -> None:
    datums.worker = ProcessWorker({NAME: tmp_path / "nowhere"})
    assert datums.script("true", image=NAME).error == f"image {NAME}: {tmp_path}/nowhere is not a directory"
