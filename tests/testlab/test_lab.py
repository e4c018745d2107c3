# SPDX-License-Identifier: GPL-3.0-or-later
"""What the testlab computes without starting anything: keys, names, addresses, inventories, refusals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from testlab import bare, cache, host, lab
from testlab.cache import TestlabError
from testlab.engine import Engine


def tree(top: Path, **files: str) -> Path:
    for name, content in files.items():
        top.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        top.joinpath(name).write_text(content)
    return top


def test_the_cache_is_where_the_user_wants_it(tmp_path: Path) -> None:
    assert cache.directory({"TESTLAB_CACHE": str(tmp_path)}) == tmp_path
    assert cache.directory({"XDG_CACHE_HOME": "/var/cache"}) == Path("/var/cache/gpulab-testlab")
    # An empty variable is one that is not set.
    assert (
        cache.directory({"TESTLAB_CACHE": "", "XDG_CACHE_HOME": ""}) == Path.home() / ".cache/gpulab-testlab"
    )


def test_a_key_is_the_same_for_the_same_content(tmp_path: Path) -> None:
    one, two = tree(tmp_path / "one", a="1", b="2"), tree(tmp_path / "two", b="2", a="1")
    assert cache.key("x", one) == cache.key("x", two)
    tree(two / "__pycache__", c="compiled")
    assert cache.key("x", one) == cache.key("x", two)


def test_a_key_changes_with_content_name_mode_and_link(tmp_path: Path) -> None:
    top = tree(tmp_path, a="1", b="2")
    keys = [cache.key(top), cache.key("x", top), cache.key("xy"), cache.key("x", "y")]
    (top / "a").write_text("2")
    keys.append(cache.key(top))
    (top / "a").rename(top / "c")
    keys.append(cache.key(top))
    (top / "c").chmod(0o755)
    keys.append(cache.key(top))
    (top / "d").symlink_to("c")
    keys.append(cache.key(top))
    (top / "d").unlink()
    (top / "d").symlink_to("b")
    keys.append(cache.key(top))
    assert len(set(keys)) == len(keys)


def test_a_directory_that_is_not_there_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert cache.key(tmp_path / "none") == cache.key(tmp_path / "empty")


def test_an_unfinished_directory_is_empty_and_does_not_stay(tmp_path: Path) -> None:
    tree(tmp_path / "part", left="by a run that was killed")
    with cache.unfinished(tmp_path / "part") as path:
        assert list(path.iterdir()) == []
        tree(path, a="1")
    assert not path.exists()
    with pytest.raises(TestlabError), cache.unfinished(path):
        raise TestlabError
    assert not path.exists()


def test_nodes_are_named_with_their_release_and_gpus() -> None:
    assert lab.parse("gpu1=trixie:2") == lab.Wanted("gpu1", "trixie", 2)
    assert lab.parse("n01=bookworm") == lab.Wanted("n01", "bookworm", 0)


@pytest.mark.parametrize(
    "text", ["trixie", "n1=", "n1=trixie:", "n1=trixie:two", "N1=trixie", "-n=trixie", "a_b=trixie"]
)
def test_a_node_that_is_badly_named_is_refused(text: str) -> None:
    with pytest.raises(TestlabError, match="a node is NAME=RELEASE or NAME=RELEASE:GPUS"):
        lab.parse(text)


def test_a_release_without_an_image_is_refused() -> None:
    with pytest.raises(TestlabError, match="n1=sid: there is no image of sid, only of bookworm, trixie"):
        lab.parse("n1=sid")


def test_the_inventory_reaches_root_of_every_node(tmp_path: Path) -> None:
    members = [
        lab.Node("a", "n1", "trixie", "10.1.2.3", "running"),
        lab.Node("a", "n2", "trixie", "10.1.2.4", "running"),
    ]
    group = lab.inventory(Engine(tmp_path), "a", members)["gpu_nodes"]
    assert group["hosts"] == {"n1": {"ansible_host": "10.1.2.3"}, "n2": {"ansible_host": "10.1.2.4"}}
    assert group["vars"]["ansible_user"] == "root"
    assert group["vars"]["ansible_ssh_private_key_file"] == f"{tmp_path}/ssh/id_ed25519"


def test_labs_do_not_share_connections(tmp_path: Path) -> None:
    engine = Engine(tmp_path)
    one, two = (lab.inventory(engine, name, [])["gpu_nodes"]["vars"] for name in ("a", "b"))
    assert one["ansible_ssh_common_args"] != two["ansible_ssh_common_args"]
    path = one["ansible_ssh_common_args"].rpartition("ControlPath=")[2]
    # ssh adds a suffix of 17 characters; a socket's path has at most 107.
    assert len(path.replace("%h", "255.255.255.255")) < 90


def test_an_address_gives_a_card_that_is_local_and_no_group() -> None:
    assert lab.mac("10.150.126.2") == "02:00:0a:96:7e:02"
    assert lab.mac("10.150.126.2") != lab.mac("10.150.126.3")


def test_caches_have_namespaces_and_networks_of_their_own() -> None:
    one, two = Engine(Path("/var/cache/one")), Engine(Path("/var/cache/two"))
    assert one.run_directory != two.run_directory
    assert one.subnet != two.subnet
    numbers = [int(number) for number in one.subnet.split(".")]
    assert numbers[0] == 10
    assert 128 <= numbers[1] < 192  # apart from podman's and Kubernetes' own networks


def test_nodes_use_the_mirrors_of_their_host() -> None:
    assert host.mirrors([]) == host.DEBIAN
    assert host.mirrors(["http://mirror.test/debian/", "https://mirror.test/debian-security/"]) == {
        "debian": "http://mirror.test/debian",
        "security": "https://mirror.test/debian-security",
    }
    # Of an Ubuntu host, and of a directory on a disk, nodes can make no use.
    assert host.mirrors(["http://archive.ubuntu.com/ubuntu/", "file:/media/debian/"]) == host.DEBIAN


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "testlab", *arguments]
    return subprocess.run(command, cwd=lab.ROOT, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["up", "n1=trixie"], "--lab"),
        (["up", "--lab", "A B", "n1=trixie"], "A B: a lab's name is made of a-z, 0-9, - and _"),
        (["up", "--lab", "a"], "NAME=RELEASE"),
        (["down"], "one of the arguments --lab --all is required"),
        (["fly"], "invalid choice: 'fly'"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments: list[str], message: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_who_cannot_run_nodes_is_told_why_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    reason = host.refusal(tmp_path) or ""
    assert "root" in reason
    assert "\n" not in reason


@pytest.fixture
def root_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], None]:
    """Pretend to be root, where `mount` ends with that status and `stat` names that file system."""

    def pretend(status: int, system: str) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 0)
        done = subprocess.CompletedProcess([], status, f"{system}\n", "")
        monkeypatch.setattr("subprocess.run", lambda *_, **__: done)

    return pretend


def test_a_container_without_rights_is_refused(root_with: Callable[[int, str], None], tmp_path: Path) -> None:
    root_with(32, "ext2/ext3")
    assert "the right to mount it" in (host.refusal(tmp_path) or "")


def test_nodes_on_an_overlayfs_are_refused(root_with: Callable[[int, str], None], tmp_path: Path) -> None:
    root_with(0, "overlayfs")
    assert f"TESTLAB_CACHE is {tmp_path}/cache" in (host.refusal(tmp_path / "cache") or "")


def test_a_machine_without_apt_is_told_what_to_install(
    root_with: Callable[[int, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root_with(0, "ext2/ext3")
    monkeypatch.setattr("shutil.which", lambda *_: None)
    assert "podman" in (host.refusal(tmp_path) or "")


@pytest.mark.parametrize(("before", "after"), [(128, 8192), (65536, 65536)])
def test_there_are_watchers_of_files_for_many_nodes(before: int, after: int, tmp_path: Path) -> None:
    file = (
        tree(tmp_path, **{"fs/inotify/max_user_instances": f"{before}\n"}) / "fs/inotify/max_user_instances"
    )
    host.lift_limits(tmp_path)
    assert int(file.read_text()) == after


def test_a_copy_of_the_checkout_holds_what_git_would_take(tmp_path: Path) -> None:
    files = {".gitignore": "*.pyc\n", "known": "new", "gone": "1", "made/new": "1", "made/new.pyc": "1"}
    root = tree(tmp_path / "root", **files)
    (root / "link").symlink_to("..")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    subprocess.run(["git", "-C", str(root), "add", "known", "gone"], check=True)
    (root / "gone").unlink()
    bare.copy_checkout(root, tmp_path / "copy")
    copied = sorted(str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*"))
    assert copied == [".gitignore", "known", "link", "made", "made/new"]
    assert (tmp_path / "copy/link").readlink() == Path("..")
