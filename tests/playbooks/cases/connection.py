# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the options that all modules share, shown by pachyderm_repo, with TLS and authentication."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.embedded.tls import Authority

from .case import Case, Left, Step, Table

TOKEN = "the-root-token-of-the-connection"
NOWHERE = "grpcs://127.0.0.1:1"
SAME = Step(changed=False)


def settings(directory: Path) -> dict[str, Any]:
    """A pachd with a certificate of an authority of our own, that wants a token."""
    authority = Authority(directory / "ours", "our lab")
    certificate, key = authority.issue("127.0.0.1", "pachd.example.org")
    token_file = directory / "token"
    token_file.touch(mode=0o600)
    token_file.write_text(TOKEN)
    return {"tls_cert": certificate, "tls_key": key, "auth_root_token_file": token_file}


def world(lab: Any) -> dict[str, str]:
    """Config files of pachctl, and another authority."""
    ours = next((lab.directory / "ours").glob("*.pem"))
    theirs = Authority(lab.directory / "theirs", "somebody else").file
    address = f"grpcs://127.0.0.1:{lab.server.port}"
    common = {"server_cas": base64.b64encode(ours.read_bytes()).decode(), "session_token": TOKEN}
    contexts = {"lab": {**common, "pachd_address": address}, "away": {**common, "pachd_address": NOWHERE}}
    for name, active in (("config", "lab"), ("other", "away")):
        config = {"v2": {"active_context": active, "contexts": contexts}}
        (lab.directory / f"{name}.json").write_text(json.dumps(config))
    return {"address": address, "ours": str(ours), "theirs": str(theirs)}


DATA = {"name": "data"}
# In place of an address that is given: no file is read beside one.
FROM_FILE = {**DATA, "pachd_address": None, "pach_config": "{directory}/config.json"}
UNREACHED = f"cannot reach pachd at {NOWHERE} within 0.5 s: "
CASES = [
    Case(
        "pachd_address",
        Step("{address}"),
        Step(NOWHERE, given={"timeout": 0.5}, fails=UNREACHED),
        SAME,
        given={**FROM_FILE, "ca_cert": None, "auth_token": None},
    ),
    Case(
        "auth_token",
        Step(TOKEN),
        Step("a-wrong-token", fails="it does not accept auth_token"),
        Step(fails="it wants a token", given={"auth_token": None}),
        given=DATA,
        secret=True,
    ),
    Case(
        "ca_cert",
        Step("{ours}"),
        Step("{theirs}", fails="its certificate is of no authority in ca_cert"),
        Step(fails="its certificate is of no authority", given={"ca_cert": None}),
        given=DATA,
    ),
    Case(
        "server_name",
        Step("pachd.example.org"),
        Step("elsewhere.example.org", fails="its certificate is for another host"),
        SAME,
        given=DATA,
    ),
    Case(
        "pach_config",
        Step("{directory}/config.json"),
        Step("{directory}/other.json", given={"timeout": 0.5}, fails=UNREACHED),
        Step(fails="it wants a token", given={"pachd_address": "{address}", "ca_cert": "{ours}"}),
        given={**DATA, "pachd_address": None, "ca_cert": None, "auth_token": None},
    ),
    Case(
        "context",
        Step("lab"),
        Step("away", given={"timeout": 0.5}, fails=UNREACHED),
        SAME,
        given={**FROM_FILE, "ca_cert": None, "auth_token": None},
    ),
    Case(
        "timeout",
        Step(20.0),
        Step(0.5, given={"pachd_address": NOWHERE}, fails=UNREACHED),
        SAME,
        given=DATA,
    ),
]
TABLES = [
    Table(
        "repo",
        CASES,
        world=world,
        absent=Left("the way to pachd leaves nothing there"),
        settings=settings,
        common={"pachd_address": "{address}", "auth_token": TOKEN, "ca_cert": "{ours}"},
    )
]
