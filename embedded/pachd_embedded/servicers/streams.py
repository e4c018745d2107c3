# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams of ModifyFile requests as changes, and whether a stream came to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import betterproto
from pachyderm_sdk.api.auth import Permission

from ..auth.caller import require
from ..auth.model import repo_resource
from ..errors import cancelled, unknown
from ..pfs.edits import Add, Change, Copy, Delete
from ..pfs.urls import fetch
from .messages import Context, commit_ref

# Between two looks at whether a break of a stream can be known.
BREAK_SECONDS = 0.0005


def confirm(context: Context) -> None:
    """Raise when the client is gone."""
    if not context.is_active():
        raise cancelled("the client went away before the end of its stream")


def whole(changes: Iterator[Change], context: Context) -> Iterator[Change]:
    """The same changes; raises at their end when they are only a part.

    gRPC's Python server ends the requests of a client that broke off like those of one that is done, and
    learns of the break by a later event. So another event is sent through the same queue and waited for:
    behind it, the break is known. The transaction asks once more at its end.
    """
    yield from changes
    confirm(context)
    context.send_initial_metadata(())
    # What is on its way is kept by gRPC under this private name; without it there is only a pause.
    under_way = getattr(getattr(context, "_state", None), "due", None)
    time.sleep(BREAK_SECONDS)
    while under_way is not None and "send_initial_metadata" in under_way and context.is_active():
        time.sleep(BREAK_SECONDS)
    confirm(context)


def changes_of(requests: Iterator[Any], source_dirs: Sequence[Path]) -> Iterator[Change]:
    """What comes after the message that names the commit, or of a file set all that comes.

    `source_dirs` are the directories whose files a file:// URL may name.
    """
    for request in requests:
        kind, body = betterproto.which_one_of(request, "body")
        if kind == "add_file":
            yield from _additions(body, source_dirs)
        elif kind == "delete_file":
            yield Delete(body.path, body.datum)
        elif kind == "copy_file":
            source = commit_ref(body.src.commit)
            require(repo_resource(source.repo), Permission.REPO_READ)
            yield Copy(body.dst, body.datum, source, body.src.path, body.append)
        else:
            raise unknown("cannot set commit")


def _additions(add: Any, source_dirs: Sequence[Path]) -> Iterator[Change]:
    source, value = betterproto.which_one_of(add, "source")
    if source == "url":
        for path, data in fetch(value.url, add.path, value.recursive, source_dirs):
            yield Add(path, add.datum, data)
    else:
        yield Add(add.path, add.datum, value or b"")
