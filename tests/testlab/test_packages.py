# SPDX-License-Identifier: GPL-3.0-or-later
"""How the testlab writes packages and signs a repository of them."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest

from testlab.cache import TestlabError
from testlab.packages import deb, driver, go, kernel, repository, toolkit
from testlab.packages.deb import Link, Package

CONTROL = """\
Source: nvidia-container-toolkit
Build-Depends: debhelper

Package: nvidia-container-toolkit-base
Architecture: any
Depends: ${misc:Depends}
Breaks: nvidia-container-runtime (<= 3.5.0-1), nvidia-container-toolkit (<< @VERSION@)
Description: Base
 Provides tools.

Package: nvidia-container-toolkit
Architecture: any
Depends: ${misc:Depends}, nvidia-container-toolkit-base (= @VERSION@)
Description: Toolkit
"""
POSTINST = "#!/bin/sh\nset -e\n: its own\n#DEBHELPER#\n\nexit 0\n"


def run(*command: str | Path, **more: str) -> str:
    environment = {**os.environ, **more}
    return subprocess.run(
        [*map(str, command)], check=True, capture_output=True, text=True, env=environment
    ).stdout


def write(directory: Path, **more: object) -> Path:
    return deb.write(Package("sample", "1.0-1", "A sample\nof two lines", **more), directory)  # type: ignore[arg-type]


def unpack(archive: Path, target: Path) -> Path:
    run("dpkg-deb", "-R", archive, target)
    return target


def test_a_package_holds_files_modes_links_and_conffiles(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("binary")
    program.chmod(0o755)
    archive = write(
        tmp_path,
        relations={"Depends": "kmod"},
        files={
            "/usr/bin/program": program,
            "/usr/bin/script": "#!/bin/sh\n",
            "/usr/bin/link": Link("program"),
            "/etc/sample.conf": "text\n",
            "/etc/link.conf": Link("sample.conf"),
        },
        triggers="ldconfig",
    )
    root = unpack(archive, tmp_path / "root")
    assert os.access(root / "usr/bin/program", os.X_OK)
    assert os.access(root / "usr/bin/script", os.X_OK)
    assert not os.access(root / "etc/sample.conf", os.X_OK)
    assert (root / "usr/bin/link").readlink() == Path("program")
    # A link is no conffile; dpkg would refuse it.
    assert (root / "DEBIAN/conffiles").read_text() == "/etc/sample.conf\n"
    assert (root / "DEBIAN/triggers").read_text() == "activate-noawait ldconfig\n"
    assert run("dpkg-deb", "-f", archive, "Depends").strip() == "kmod"
    assert run("dpkg-deb", "-f", archive, "Description").strip() == "A sample\n of two lines"


def test_units_are_enabled_after_and_stopped_before_what_the_package_does_itself(tmp_path: Path) -> None:
    own = {"postinst": ": own\n", "prerm": ": own\n"}
    root = unpack(write(tmp_path, scripts=own, units=("a.service",)), tmp_path / "root")
    postinst, prerm = ((root / "DEBIAN" / name).read_text() for name in ("postinst", "prerm"))
    assert postinst.index(": own") < postinst.index("deb-systemd-helper enable")
    assert prerm.index("deb-systemd-invoke stop") < prerm.index(": own")
    for script in (root / "DEBIAN").glob("p*"):
        run("sh", "-n", script)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("apt")
    (root / "pool").mkdir()
    write(root / "pool")
    repository.publish(root)
    return root


def verify(place: Path) -> subprocess.CompletedProcess[str]:
    command = [
        "gpgv",
        "--status-fd",
        "1",
        "--keyring",
        str(place / "key.gpg"),
        str(place / "dists/testlab/InRelease"),
    ]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_repository_leads_from_a_signed_release_to_the_packages(published: Path) -> None:
    assert "[GNUPG:] GOODSIG " in verify(published).stdout
    release = (published / "dists/testlab/InRelease").read_text()
    index = published / "dists/testlab/main/binary-amd64/Packages"
    assert f" {hashlib.sha256(index.read_bytes()).hexdigest()} {index.stat().st_size} main/" in release
    name = re.search(r"^Filename: (.*)$", index.read_text(), re.MULTILINE)
    assert name
    digest = hashlib.sha256((published / name[1]).read_bytes()).hexdigest()
    assert f"SHA256: {digest}" in index.read_text()


def test_the_key_of_the_expired_repository_had_expired_before_it_signed(published: Path) -> None:
    expired = published / "expired"
    # What apt goes by; gpgv's exit status does not say.
    assert "[GNUPG:] EXPKEYSIG " in verify(expired).stdout
    assert "[GNUPG:] GOODSIG " not in verify(expired).stdout
    # Its packages are all there, so that nothing but the key stops an installation.
    assert (expired / "pool").resolve() == (published / "pool").resolve()


def test_another_key_does_not_verify_the_repository(published: Path, tmp_path: Path) -> None:
    (tmp_path / "dists").symlink_to(published / "dists")
    (tmp_path / "key.gpg").write_bytes((published / "expired/key.gpg").read_bytes())
    assert verify(tmp_path).returncode != 0


def test_no_agent_stays_after_signing(published: Path) -> None:
    commands = [
        path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)
    ]
    assert not [command for command in commands if b"testlab-gpg-" in command]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    debian = tmp_path / "source/packaging/debian"
    debian.mkdir(parents=True)
    (debian / "control").write_text(CONTROL)
    (debian / "nvidia-container-toolkit.install").write_text("nvidia-container-runtime-hook /usr/bin\n")
    (debian / "nvidia-container-toolkit-base.install").write_text(
        "nvidia-ctk /usr/bin\nrefresh.service /lib/systemd/system/\n"
    )
    (debian / "nvidia-container-toolkit-base.postinst").write_text(POSTINST)
    (debian / "nvidia-container-toolkit-base.maintscript").write_text("rm_conffile /etc/x @VERSION@~ base\n")
    units = tmp_path / "source/deployments/systemd"
    units.mkdir(parents=True)
    (units / "refresh.service").write_text("[Service]\n")
    (tmp_path / "binaries").mkdir()
    for name in ("nvidia-ctk", "nvidia-container-runtime-hook"):
        (tmp_path / "binaries" / name).touch()
    return tmp_path / "source"


def test_the_toolkit_is_packed_as_its_own_packaging_says(source: Path, tmp_path: Path) -> None:
    base, rest = toolkit.packed("1.20.1", source, tmp_path / "binaries")
    assert (base.name, base.version) == ("nvidia-container-toolkit-base", "1.20.1-1")
    # debhelper's own variables are not relations.
    assert "Depends" not in base.relations
    assert base.relations["Breaks"].endswith("nvidia-container-toolkit (<< 1.20.1-1)")
    assert rest.relations["Depends"] == "nvidia-container-toolkit-base (= 1.20.1-1)"
    assert set(base.files) == {"/usr/bin/nvidia-ctk", "/lib/systemd/system/refresh.service"}
    assert base.units == ("refresh.service",)
    # The script goes on to what the unit needs, and old conffiles go.
    postinst = deb.scripts(base)["postinst"]
    assert "exit 0" not in postinst
    assert ": its own" in postinst
    assert "enable" in postinst
    assert 'dpkg-maintscript-helper rm_conffile /etc/x 1.20.1-1~ base -- "$@"' in deb.scripts(base)["preinst"]


def test_a_file_that_the_packaging_names_and_nobody_has_is_told(source: Path, tmp_path: Path) -> None:
    (tmp_path / "binaries/nvidia-ctk").unlink()
    with pytest.raises(TestlabError, match="source names nvidia-ctk in its packaging"):
        toolkit.packed("1.20.1", source, tmp_path / "binaries")


def test_both_pins_of_the_toolkit_name_one_release_and_its_commands() -> None:
    for release in toolkit.RELEASES:
        module = (toolkit.HERE / release / "go.mod").read_text()
        assert f"{toolkit.MODULE} v{release.removeprefix('toolkit-')}." in module
        assert f"{toolkit.MODULE}/cmd/nvidia-ctk\n" in module


def stand_ins() -> list[Package]:
    return [*kernel.packages(), *driver.packages(Path("/none"))]


def test_every_relation_of_a_stand_in_can_be_fulfilled() -> None:
    """By name; the versions are equal ones of the same stand-ins. kmod is Debian's."""
    found = stand_ins()
    provided = {"kmod", *(package.name for package in found)}
    for package in found:
        provided |= set(
            re.findall(r"[a-z][a-z0-9.+-]+", re.sub(r"\(.*?\)", "", package.relations.get("Provides", "")))
        )
    for package in found:
        for choice in re.sub(r"\(.*?\)", "", package.relations.get("Depends", "")).split(","):
            names = {name.strip() for name in choice.split("|")} - {""}
            assert not names or names & provided, f"{package.name} depends on {choice}"


def test_stand_ins_say_that_they_are() -> None:
    for package in [*stand_ins(), *toolkit.libnvidia_container("1.0"), toolkit.nvidia_docker2()]:
        assert "stand-in" in package.description
        assert re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package.name)


def test_each_version_of_the_driver_has_the_same_packages() -> None:
    found: dict[str, set[str]] = {}
    for package in driver.packages(Path("/none")):
        name = re.sub(r"^(nvidia-fabricmanager)-\d+$", r"\1", package.name)
        found.setdefault(package.version, set()).add(name)
    assert len(found) == len(driver.VERSIONS)
    assert len({frozenset(names) for names in found.values()}) == 1


def fake_go(directory: Path, version: str) -> None:
    directory.mkdir()
    (directory / "go").write_text(f"#!/bin/sh\necho go version {version} linux/amd64\n")
    (directory / "go").chmod(0o755)


def test_an_own_go_is_used_if_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", "go1.26.0")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    assert go.command(tmp_path) == f"{tmp_path}/bin/go"


def test_a_fetched_go_must_have_the_pinned_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(tmp_path / "bin", "go1.19.8")
    proxy = tmp_path / "proxy/golang.org/toolchain/@v"
    proxy.mkdir(parents=True)
    (proxy / f"v0.0.1-go{go.VERSION}.linux-amd64.zip").write_text("something else")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setenv("GOPROXY", f"file://{tmp_path}/proxy,direct")
    with pytest.raises(TestlabError, match="has the checksum"):
        go.command(tmp_path)
    assert not (tmp_path / f"go-{go.VERSION}").exists()
