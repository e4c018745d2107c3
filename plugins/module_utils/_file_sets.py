# SPDX-License-Identifier: GPL-3.0-or-later
"""Content sent to pachd as file sets, unseen by others. PRIVATE to the collection: may change at any time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from ._connection import Pachd, pause
from ._errors import PachdError, PachydermError
from ._sdk import sdk

# A file set expires 600 s after it was made, so all are renewed so often while the others are on their way.
_RENEW_SECONDS = 120.0
_KEEP_SECONDS = 600
_ATTEMPTS = 3

Stream = Callable[[], Iterator[bytes]]


@contextlib.contextmanager
def file_sets(pachd: Pachd, streams: Sequence[Stream], seconds: float) -> Iterator[list[str]]:
    """The ids of file sets of these streams of ModifyFile messages, which are sent side by side.

    They are kept for the block. Each stream is made anew for another attempt, and may take `seconds`. Where
    one fails, the others end too. Raises PachydermError.
    """
    made: list[str] = []
    ended = threading.Event()
    broken = threading.Event()

    def send(stream: Stream) -> str:
        try:
            file_set = _create(pachd, stream, seconds, broken)
        except BaseException:
            broken.set()
            raise
        made.append(file_set)
        return file_set

    with ThreadPoolExecutor(len(streams) + 1) as threads:
        renewing = threads.submit(_keep, pachd, made, ended)
        try:
            sending = [threads.submit(send, stream) for stream in streams]
            errors = [error for each in sending if (error := each.exception())]
            # What broke off because of another's error does not say why.
            for error in sorted(errors, key=lambda error: isinstance(error, _BrokenOffError)):
                raise PachydermError(f"{error}; nothing was committed") from error
            yield [each.result() for each in sending]
        finally:
            ended.set()
            renewing.result()


class _BrokenOffError(PachydermError):
    """Another stream failed."""


def _create(pachd: Pachd, stream: Stream, seconds: float, broken: threading.Event) -> str:
    """Nothing comes of a file set that is not used, so one that pachd lost on the way is sent again."""
    create = pachd.calls.stream_unary(
        "/pfs_v2.API/CreateFileSet",
        request_serializer=None,
        response_deserializer=sdk().pfs.CreateFileSetResponse.FromString,
    )
    failures: list[PachydermError] = []

    def requests() -> Iterator[bytes]:
        try:
            for message in stream():
                if broken.is_set():
                    raise _BrokenOffError("the upload was broken off")
                yield message
        except PachydermError as error:
            # gRPC only tells that "something" went wrong in here, so the reason is kept for the caller.
            failures.append(error)
            raise

    attempt = 1
    while True:
        try:
            return str(create(requests, seconds).file_set_id)
        except PachdError as error:
            if failures:
                raise failures[0] from None
            if error.code != "UNAVAILABLE" or attempt == _ATTEMPTS:
                raise
        pause(attempt)
        attempt += 1


def _keep(pachd: Pachd, made: Sequence[str], ended: threading.Event) -> None:
    while not ended.wait(_RENEW_SECONDS):
        for file_set in list(made):
            # Should it be gone for good, the commit says so.
            with contextlib.suppress(PachdError):
                pachd.pfs.renew_file_set(file_set_id=file_set, ttl_seconds=_KEEP_SECONDS)
