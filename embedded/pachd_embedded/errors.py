# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors as a pachd 2.12 words them: a gRPC status code and a text, named once.

Most semantic errors of the real pachd are plain Go errors and reach the client as UNKNOWN;
only a few are typed. Domain code raises these; the gRPC layer turns them into a status.
"""

from __future__ import annotations

import grpc


class PachError(Exception):
    """An error that a client sees: `code` is the gRPC status code, `text` its message."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def unknown(text: str) -> PachError:
    """A plain error of the real pachd, which gRPC reports as UNKNOWN."""
    return PachError(grpc.StatusCode.UNKNOWN, text)


def not_found(text: str) -> PachError:
    return PachError(grpc.StatusCode.NOT_FOUND, text)


def already_exists(text: str) -> PachError:
    return PachError(grpc.StatusCode.ALREADY_EXISTS, text)


def invalid_argument(text: str) -> PachError:
    return PachError(grpc.StatusCode.INVALID_ARGUMENT, text)


def failed_precondition(text: str) -> PachError:
    return PachError(grpc.StatusCode.FAILED_PRECONDITION, text)


def aborted(text: str) -> PachError:
    return PachError(grpc.StatusCode.ABORTED, text)


def internal(text: str) -> PachError:
    return PachError(grpc.StatusCode.INTERNAL, text)


def unimplemented(text: str) -> PachError:
    return PachError(grpc.StatusCode.UNIMPLEMENTED, text)


def unavailable(text: str) -> PachError:
    """The server ends; a client may try again when it is back."""
    return PachError(grpc.StatusCode.UNAVAILABLE, text)


def cancelled(text: str) -> PachError:
    """The client went away in the middle of a call."""
    return PachError(grpc.StatusCode.CANCELLED, text)


def resource_exhausted(text: str) -> PachError:
    return PachError(grpc.StatusCode.RESOURCE_EXHAUSTED, text)


def data_loss(text: str) -> PachError:
    """Something that was stored is not there any more, or is not what it was."""
    return PachError(grpc.StatusCode.DATA_LOSS, text)
