# SPDX-License-Identifier: GPL-3.0-or-later
"""How a full disk shows: to the operating system's calls, and to SQLite."""

from __future__ import annotations

import errno
import sqlite3

# No space, no quota, no more than the process may write into one file.
_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# SQLite does not tell a failed write that is a matter of a limit from others.
_CODES = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)


def is_full(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, means that there is no room for what was to be written."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _ERRNOS:
            return True
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", None) in _CODES:
            return True
        error = error.__cause__ or error.__context__
    return False
