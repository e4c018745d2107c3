# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of containerd's configuration, and what containerd makes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _container_runtime_ctk as ctk
from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_containerd import explain
from ansible_collections.gpulab.pachyderm.plugins.module_utils._container_runtime_types import (
    RuntimeConfigError,
)

SAMPLES = Path(__file__).parent / "samples"
NodeMaker = Callable[..., Any]
V2 = "io.containerd.grpc.v1.cri"
V3 = "io.containerd.cri.v1.runtime"
# Sample, release of containerd, its name of the CRI plugin.
CONFIGURATIONS = [
    ("debian.toml", "1.6", V2),
    ("debian.toml", "1.7", V2),
    ("containerd-1.6-default.toml", "1.6", V2),
    ("containerd-1.7-default.toml", "1.7", V2),
    ("containerd-2.0-default.toml", "2.0", V3),
    ("kubespray.toml", "1.7", V2),
    ("k3s.toml", "2.0", V3),
]


def sample(name: str) -> str:
    # k3s imports a folder of its own, beside the file.
    return (SAMPLES / name).read_text().replace("config-v3.toml.d", "conf.d")


def added(before: str, after: str) -> list[str]:
    return [line for line in after.splitlines() if line not in before.splitlines()]


@pytest.mark.parametrize(("name", "release", "cri"), CONFIGURATIONS)
def test_runtime_is_added_and_all_else_stays(node: NodeMaker, name: str, release: str, cri: str) -> None:
    text = sample(name)
    containerd = node("containerd", text, release=release)
    before = containerd.dump()
    result = containerd.run()
    after = containerd.dump()

    runtimes = after["plugins"][cri]["containerd"]["runtimes"]
    assert runtimes.pop("nvidia")["options"]["BinaryName"] == "/usr/bin/nvidia-container-runtime"
    assert "runc" in runtimes
    assert after == before
    assert (result["pending"], result["apply"]) == (True, "restart")
    # Comments, order and every other line of the user's file stay.
    lines = containerd.config.read_text().splitlines()
    assert [line for line in lines if not line.startswith("imports")] == [
        line for line in text.splitlines() if not line.startswith("imports")
    ]

    files = containerd.files()
    assert not containerd.run()["changed"]
    assert containerd.files() == files
    containerd.absent()
    assert containerd.files() == {"config.toml": text}
    assert not containerd.absent()["changed"]


def test_import_is_one_line_below_the_version(node: NodeMaker) -> None:
    containerd = node("containerd", sample("kubespray.toml"))
    containerd.run()
    text = containerd.config.read_text()
    assert added(sample("kubespray.toml"), text) == [f'imports = ["{containerd.drop_in.parent}/*.toml"]']
    assert text.splitlines()[1].startswith("imports")


def test_an_import_that_covers_the_drop_in_is_enough(node: NodeMaker) -> None:
    containerd = node("containerd", sample("k3s.toml"), release="2.0")
    assert containerd.run()["files"] == [str(containerd.drop_in)]
    assert containerd.config.read_text() == sample("k3s.toml")


def test_options_of_runc_are_taken_over(node: NodeMaker) -> None:
    containerd = node("containerd", sample("kubespray.toml"))
    containerd.run()
    runtimes = containerd.dump()["plugins"][V2]["containerd"]["runtimes"]
    assert runtimes["nvidia"]["options"]["SystemdCgroup"] is True


def test_a_later_edit_by_hand_takes_effect_and_survives(node: NodeMaker) -> None:
    containerd = node("containerd", sample("debian.toml"))
    containerd.run()
    edited = containerd.config.read_text().replace("/usr/lib/cni", "/opt/own")
    containerd.config.write_text(edited)
    assert containerd.dump()["plugins"][V2]["cni"]["bin_dir"] == "/usr/lib/cni"  # masked by the drop-in
    assert containerd.run()["files"] == [str(containerd.drop_in)]
    assert containerd.dump()["plugins"][V2]["cni"]["bin_dir"] == "/opt/own"
    assert containerd.config.read_text() == edited
    containerd.absent()
    assert containerd.files() == {"config.toml": sample("debian.toml").replace("/usr/lib/cni", "/opt/own")}


def test_a_cluster_tool_that_wrote_its_file_anew(node: NodeMaker) -> None:
    """kubespray 12277: a rerun of the cluster tool wiped the runtime from containerd's configuration."""
    containerd = node("containerd", sample("kubespray.toml"))
    containerd.run()
    containerd.config.write_text(sample("kubespray.toml"))
    assert containerd.run()["files"] == [str(containerd.config)]
    assert "nvidia" in containerd.dump()["plugins"][V2]["containerd"]["runtimes"]


def test_default_and_cdi(node: NodeMaker) -> None:
    containerd = node("containerd", sample("debian.toml"))
    containerd.run(set_as_default=True, cdi=True)
    section = containerd.dump()["plugins"][V2]
    assert (section["containerd"]["default_runtime_name"], section["enable_cdi"]) == ("nvidia", True)
    containerd.run(cdi=False)
    section = containerd.dump()["plugins"][V2]
    assert (section["containerd"]["default_runtime_name"], section["enable_cdi"]) == ("runc", False)


def test_cdi_of_others_is_left_or_switched_off(node: NodeMaker) -> None:
    containerd = node("containerd", sample("containerd-2.0-default.toml"), release="2.0")
    containerd.run()
    assert containerd.dump()["plugins"][V3]["enable_cdi"] is True
    containerd.run(cdi=False)
    assert containerd.dump()["plugins"][V3]["enable_cdi"] is False


def test_default_of_others_stays(node: NodeMaker) -> None:
    text = sample("kubespray.toml").replace(
        'default_runtime_name = "runc"', 'default_runtime_name = "nvidia"'
    )
    containerd = node("containerd", text)
    containerd.run()
    assert containerd.dump()["plugins"][V2]["containerd"]["default_runtime_name"] == "nvidia"


def test_containerd_without_cdi(node: NodeMaker) -> None:
    containerd = node("containerd", sample("debian.toml"), release="1.6")
    with pytest.raises(RuntimeConfigError, match=r"cdi needs containerd 1\.7"):
        containerd.run(cdi=True)


@pytest.mark.parametrize(("release", "version"), [("1.7", 2), ("2.0", 3)])
@pytest.mark.parametrize("text", [None, "", "# nothing is set here\n"])
def test_no_settings_yet(node: NodeMaker, text: str | None, release: str, version: int) -> None:
    containerd = node("containerd", text, release=release)
    containerd.run()
    assert containerd.config.read_text() == (
        f'version = {version}\nimports = ["{containerd.drop_in.parent}/*.toml"]\n{text or ""}'
    )
    cri = V2 if version == 2 else V3
    assert set(containerd.dump()["plugins"][cri]["containerd"]["runtimes"]) == {"runc", "nvidia"}
    containerd.absent()
    assert containerd.files() == ({} if text is None else {"config.toml": text})


def test_a_file_of_ours_goes_although_somebody_touched_it(node: NodeMaker) -> None:
    containerd = node("containerd", None)
    containerd.run()
    containerd.config.write_text(containerd.config.read_text() + "\n")
    containerd.absent()
    assert containerd.files() == {}
    containerd.run()
    containerd.config.write_text(containerd.config.read_text() + "oom_score = 1\n")
    containerd.absent()
    assert containerd.files() == {"config.toml": "version = 2\noom_score = 1\n"}


def test_other_files_in_the_folder_are_not_taken_up(node: NodeMaker) -> None:
    containerd = node("containerd", sample("debian.toml"))
    containerd.drop_in.parent.mkdir()
    (containerd.drop_in.parent / "not-imported.toml").write_text("oom_score = 7\n")
    containerd.run()
    assert f'"{containerd.drop_in.parent}/99-nvidia*.toml"' in containerd.config.read_text()
    assert containerd.dump()["oom_score"] == 0


def test_a_later_import_that_hides_the_drop_in_is_named(node: NodeMaker) -> None:
    containerd = node("containerd", sample("k3s.toml").replace("version = 3", "version = 2"))
    containerd.drop_in.parent.mkdir()
    (containerd.drop_in.parent / "zz.toml").write_text(f'[plugins."{V2}"]\nsandbox_image = "x"\n')
    with pytest.raises(RuntimeConfigError, match=r"does not take effect: a file that .* imports after it"):
        containerd.run()
    assert not containerd.drop_in.exists()


def test_a_drop_in_that_changes_something_else_is_refused(node: NodeMaker) -> None:
    """Were nvidia-ctk to make it from the user's file, not from what is in force, runc would be lost."""
    containerd = node("containerd", sample("debian.toml"))
    made = ctk.drop_in
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ctk, "drop_in", lambda *given: made(*given).replace("runtimes.runc", "runtimes.lost"))
        with pytest.raises(
            RuntimeConfigError, match=r"left alone, since the drop-in would also change: .*runtimes.lost"
        ):
            containerd.run()
    assert containerd.files() == {"config.toml": sample("debian.toml")}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version = 2\nx = }\n", "line 2, column 5: "),
        ('disabled_plugins = ["cri"]\n', 'disabled_plugins switches the CRI plugin off; remove "cri"'),
        ((SAMPLES / "version-1.toml").read_text(), "has no `version = 2`"),
    ],
)
def test_a_file_that_is_not_valid_is_refused(node: NodeMaker, text: str, message: str) -> None:
    containerd = node("containerd", text)
    with pytest.raises(RuntimeConfigError) as caught:
        containerd.run()
    assert str(caught.value).startswith(f"{containerd.config}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert containerd.files() == {"config.toml": text}
    assert not containerd.marker.exists()


@pytest.mark.parametrize(
    ("said", "explained"),
    [
        (
            "containerd: failed to load TOML: /etc/conf.d/a.toml: (3, 1): unterminated array\n",
            "/etc/conf.d/a.toml: line 3, column 1: failed to load TOML: /etc/conf.d/a.toml: (3, 1): "
            "unterminated array",
        ),
        (
            "containerd: (3, 2): Can't convert 3(int64) to string",
            "C or a file that it imports: line 3, column 2: (3, 2): Can't convert 3(int64) to string",
        ),
        (
            'time="2026-11-23T07:54:43Z" level=error msg="Failure unmarshaling TOML" column=3 error="toml:'
            ' expected character ]" file=C row=2\n'
            "containerd: failed to unmarshal TOML at row 2 column 3: toml: expected character ]",
            "C: line 2, column 3: failed to unmarshal TOML at row 2 column 3: toml: expected character ]",
        ),
    ],
)
def test_what_releases_of_containerd_say_of_a_bad_file(said: str, explained: str) -> None:
    assert explain(said, "C") == explained


@pytest.mark.parametrize("program", ["containerd", "nvidia-ctk", "nvidia-container-runtime"])
def test_program_is_not_installed(node: NodeMaker, program: str) -> None:
    containerd = node("containerd", sample("debian.toml"), missing=(program,))
    predicted = containerd.run(check=True)
    assert (predicted["changed"], predicted["pending"]) == (True, True)
    assert f"{program} is not installed yet" in predicted["msg"]
    with pytest.raises(RuntimeConfigError, match=f"{program} is not installed"):
        containerd.run()
    assert containerd.files() == {"config.toml": sample("debian.toml")}
    assert not containerd.marker.exists()


def test_absent_needs_no_program(node: NodeMaker) -> None:
    containerd = node("containerd", sample("debian.toml"))
    containerd.run()
    containerd.tools["missing"] = ("containerd", "nvidia-ctk")
    assert containerd.absent()["changed"]
    assert containerd.files() == {"config.toml": sample("debian.toml")}


@pytest.mark.parametrize("others", [(), ("10-registry.toml",)])
def test_absent_removes_the_folder_that_was_made_for_the_drop_in(
    node: NodeMaker, others: tuple[str, ...]
) -> None:
    containerd = node("containerd", sample("debian.toml"))
    containerd.run()
    for name in others:
        (containerd.drop_in.parent / name).write_text("version = 2\n")
    containerd.absent()
    assert containerd.drop_in.parent.exists() == bool(others)


def test_absent_keeps_a_folder_that_was_there(node: NodeMaker) -> None:
    containerd = node("containerd", sample("debian.toml"))
    containerd.drop_in.parent.mkdir()
    containerd.run()
    containerd.absent()
    assert containerd.drop_in.parent.is_dir()


def test_crio_gets_a_drop_in(node: NodeMaker) -> None:
    text = '[crio.runtime]\ndefault_runtime = "crun"\n'
    crio = node("crio", text)
    assert crio.run()["files"] == [str(crio.drop_in)]
    assert 'runtime_path = "/usr/bin/nvidia-container-runtime"' in crio.drop_in.read_text()
    assert "default_runtime" not in crio.drop_in.read_text()
    assert not crio.run()["changed"]
    crio.run(set_as_default=True)
    assert 'default_runtime = "nvidia"' in crio.drop_in.read_text()
    assert crio.absent()["apply"] == "restart"
    assert crio.files() == {"crio.conf": text}
    assert not crio.absent()["changed"]


def test_crio_tries_it_with_the_files_beside_it(node: NodeMaker) -> None:
    crio = node("crio", "")
    crio.drop_in.parent.mkdir()
    (crio.drop_in.parent / "10-crio.conf").write_text("x = [")
    message = f"refused by crio: loading {crio.drop_in.parent}/10-crio.conf: bad TOML"
    with pytest.raises(RuntimeConfigError, match=message):
        crio.run()
    assert not crio.drop_in.exists()
