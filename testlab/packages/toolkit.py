# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's container toolkit, really built, and packed as the packaging files in its own source say.

libnvidia-container is C and comes from elsewhere; the toolkit needs it for its legacy mode only, so stand-ins
fill the dependency. nvidia-docker2, the predecessor, is a stand-in with the files of the real one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from testlab import cache as keys
from testlab.cache import TestlabError
from testlab.packages import go
from testlab.packages.deb import Content, Package, stand_in

HERE = Path(__file__).resolve().parent
MODULE = "github.com/NVIDIA/nvidia-container-toolkit"
# Each directory holds a go.mod and go.sum that pin one release.
RELEASES = ("toolkit-1.19", "toolkit-1.20")
# What the toolkit's Makefile gives the linker: NVML is looked up when the program runs.
UNRESOLVED = "-Wl,--unresolved-symbols=ignore-in-object-files"
LDFLAGS = (
    "-s -w -X {module}/internal/info.version={version} "
    "'-extldflags=-Wl,--export-dynamic {unresolved} -Wl,-z,lazy'"
)
PACKED = ("nvidia-container-toolkit", "nvidia-container-toolkit-base")

NVIDIA_CONTAINER_CLI = """\
#!/bin/sh
# Stand-in: the toolkit's legacy mode is not there in the tests.
case $1 in
    --version | -V) echo 'cli-version: @VERSION@ (stand-in)' ;;
    *)
        echo 'nvidia-container-cli: a stand-in that sets up nothing: mode must be "cdi" or "auto"' >&2
        exit 1
        ;;
esac
"""
DAEMON_JSON = """\
{
    "runtimes": {
        "nvidia": {
            "path": "nvidia-container-runtime",
            "runtimeArgs": []
        }
    }
}
"""
NVIDIA_DOCKER = """\
#!/bin/sh
# Stand-in of nvidia-docker: docker with the runtime of NVIDIA.
case $1 in
    run | create) command=$1; shift; exec docker "$command" --runtime=nvidia "$@" ;;
    *) exec docker "$@" ;;
esac
"""


def packages(cache: Path) -> list[Package]:
    """The packages of each release, built or from the cache."""
    found = [nvidia_docker2()]
    for release in RELEASES:
        version, source, binaries = build(HERE / release, cache)
        found += packed(version, source, binaries)
        found += libnvidia_container(version)
    return found


def build(directory: Path, cache: Path) -> tuple[str, Path, Path]:
    """Build the commands that a go.mod names: their version (1.20.1), their source and their directory."""
    program = go.command(cache)
    environment = go.environment(CGO_ENABLED="1", CGO_LDFLAGS_ALLOW=UNRESOLVED)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments], cwd=directory, env=environment, capture_output=True, text=True
        )
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["(it said nothing)"])[-1]
            raise TestlabError(f"go {arguments[0]} in {directory.name} failed: {last}")
        return done.stdout

    module = json.loads(run("mod", "download", "-json", MODULE))
    version = module["Version"].removeprefix("v")
    flags = LDFLAGS.format(module=MODULE, version=version, unresolved=UNRESOLVED)
    target = cache / f"toolkit-{keys.key(directory, flags)}"
    if not target.exists():
        print(f"testlab: nvidia-container-toolkit {version}: building its commands", flush=True)
        part = target.with_name(f"{target.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        run("build", "-trimpath", "-ldflags", flags, "-o", f"{part}/", "tool")
        part.rename(target)
    return version, Path(module["Dir"]), target


def packed(version: str, source: Path, binaries: Path) -> list[Package]:
    """The toolkit's packages, after packaging/debian of its source (control, *.install, scripts)."""
    debian = source / "packaging/debian"
    stanzas = [fields(stanza) for stanza in (debian / "control").read_text().split("\n\n")]
    found = []
    for stanza in stanzas:
        if (name := stanza.get("Package")) not in PACKED:
            continue
        files: dict[str, Content] = {}
        for line in (debian / f"{name}.install").read_text().splitlines():
            file, folder = line.split()
            files[f"/{folder.strip('/')}/{file}"] = find(file, binaries, source)
        # Units in /etc are enabled by the package's own script, those in /lib by debhelper.
        units = tuple(Path(place).name for place in files if re.match(r"/lib/systemd/system/[^/]+$", place))
        relations = {
            key: relation(stanza[key], version) for key in ("Depends", "Breaks", "Replaces") if key in stanza
        }
        found.append(
            Package(
                name,
                f"{version}-1",
                stanza["Description"],
                {key: text for key, text in relations.items() if text},
                files,
                own_scripts(debian, name, version),
                units,
            )
        )
    return found


def fields(stanza: str) -> dict[str, str]:
    """The fields of a stanza of a control file, each of one line or folded."""
    return {key: text.strip() for key, text in re.findall(r"^(\S+):(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)}


def relation(text: str, version: str) -> str:
    known = [part.strip() for part in text.replace("@VERSION@", f"{version}-1").split(",")]
    return ", ".join(part for part in known if not part.startswith("${"))


def find(name: str, binaries: Path, source: Path) -> Path:
    """A file that an *.install names: a command that was built, or one that the source ships."""
    for path in (binaries / name, *source.glob(f"deployments/*/{name}")):
        if path.exists():
            return path
    raise TestlabError(f"{source.name} names {name} in its packaging, but neither builds nor ships it")


def own_scripts(debian: Path, name: str, version: str) -> dict[str, str]:
    """The package's maintainer scripts, with its *.maintscript as debhelper would put it in."""
    found = {}
    helpers = debian / f"{name}.maintscript"
    lines = helpers.read_text().replace("@VERSION@", f"{version}-1").splitlines() if helpers.exists() else []
    added = "".join(f'dpkg-maintscript-helper {line} -- "$@"\n' for line in lines)
    for kind in ("preinst", "postinst", "prerm", "postrm"):
        path = debian / f"{name}.{kind}"
        # What debhelper would add is what `deb` adds behind; so the script must not end here.
        body = re.sub(r"#DEBHELPER#\s+exit 0\s*$", "", path.read_text()) if path.exists() else ""
        if text := body + added:
            found[kind] = text
    return found


def libnvidia_container(version: str) -> list[Package]:
    cli = NVIDIA_CONTAINER_CLI.replace("@VERSION@", version)
    needs = {"Depends": f"libnvidia-container1 (>= {version}-1)"}
    return [
        stand_in("libnvidia-container1", f"{version}-1", "NVIDIA container runtime library"),
        stand_in(
            *("libnvidia-container-tools", f"{version}-1", "NVIDIA container runtime library: command"),
            needs,
            {"/usr/bin/nvidia-container-cli": cli},
        ),
    ]


def nvidia_docker2() -> Package:
    """Up to 2.13 the real package brought a daemon.json and a wrapper; from 2.14 on it is empty."""
    return stand_in(
        *("nvidia-docker2", "2.13.0-1", "nvidia-docker CLI wrapper"),
        {"Depends": "nvidia-container-toolkit (>= 1.13.0-1)", "Breaks": "nvidia-docker (<< 2.0.0)"},
        {"/etc/docker/daemon.json": DAEMON_JSON, "/usr/bin/nvidia-docker": NVIDIA_DOCKER},
    )
