# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be asked for at the doors, and the checks of what comes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields as fields_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PachError
from ..faults import Fault, FaultError
from ..transfer.layout import TransferError
from .door import RefusedError

if TYPE_CHECKING:
    from ..operations import Operations

Route = Callable[[dict[str, Any]], Any]


class Routes:
    """`owner` is what the owner of the data directory may ask; `control` is that and what tests ask for."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._owner: dict[tuple[str, str], Route] = {
            ("GET", "/status"): self._status,
            ("POST", "/gc"): self._gc,
            ("POST", "/fsck"): self._fsck,
        }
        self._control: dict[tuple[str, str], Route] = {
            **self._owner,
            ("POST", "/reset"): self._reset,
            ("POST", "/seed"): self._seed,
            ("GET", "/faults"): self._list_faults,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): self._clear_faults,
            ("GET", "/journal"): self._journal,
        }

    def owner(self, method: str, path: str, fields: dict[str, Any]) -> Any:
        return _dispatch(self._owner, method, path, fields)

    def control(self, method: str, path: str, fields: dict[str, Any]) -> Any:
        return _dispatch(self._control, method, path, fields)

    def _status(self, fields: dict[str, Any]) -> Any:
        _take(fields)
        return self._operations.status()

    def _gc(self, fields: dict[str, Any]) -> Any:
        _take(fields)
        return self._operations.collect_garbage()

    def _fsck(self, fields: dict[str, Any]) -> Any:
        (fix,) = _take(fields, fix=False)
        return {"findings": self._operations.fsck(fix)}

    def _reset(self, fields: dict[str, Any]) -> Any:
        _take(fields)
        self._operations.reset()
        return {"reset": True}

    def _seed(self, fields: dict[str, Any]) -> Any:
        (directory,) = _take(fields, directory="")
        if not Path(directory).is_absolute():
            raise RefusedError(400, f"directory: {directory!r} is no absolute path on the server's machine")
        return self._operations.seed(Path(directory))

    def _list_faults(self, fields: dict[str, Any]) -> Any:
        _take(fields)
        return {"faults": [_shown(fault) for fault in self._operations.faults.list()]}

    def _add_fault(self, fields: dict[str, Any]) -> Any:
        try:
            return _shown(self._operations.faults.add(fields))
        except FaultError as error:
            raise RefusedError(400, str(error)) from None

    def _clear_faults(self, fields: dict[str, Any]) -> Any:
        """One fault with ?id=N, else all."""
        (text,) = _take(fields, id="")
        removed = self._operations.faults.clear(_number("id", text) if text else None)
        if text and not removed:
            raise RefusedError(404, f"id: there is no fault {text}")
        return {"removed": removed}

    def _journal(self, fields: dict[str, Any]) -> Any:
        """The calls after number ?since=N."""
        (text,) = _take(fields, since="0")
        return {"calls": self._operations.journal.since(_number("since", text))}


def _dispatch(routes: dict[tuple[str, str], Route], method: str, path: str, fields: dict[str, Any]) -> Any:
    route = routes.get((method, path))
    if route is None:
        known = [known for known, of in routes if of == path]
        if known:
            raise RefusedError(405, f"{path} takes {' and '.join(known)}, not {method}")
        raise RefusedError(404, f"{path} is none of {', '.join(sorted({of for _method, of in routes}))}")
    try:
        return route(fields)
    except (PachError, TransferError) as error:
        raise RefusedError(409, str(error)) from None


def _take(fields: dict[str, Any], **defaults: Any) -> list[Any]:
    """The fields' values in the order of the defaults, each of its default's type. Raises RefusedError."""
    for name, value in fields.items():
        if name not in defaults:
            raise RefusedError(400, f"{name}: no such field; there are {', '.join(defaults) or 'none'}")
        if type(value) is not type(defaults[name]):
            kind = {bool: "true or false", str: "a text"}[type(defaults[name])]
            raise RefusedError(400, f"{name}: {value!r} is not {kind}")
    return [fields.get(name, default) for name, default in defaults.items()]


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise RefusedError(400, f"{name}: {text!r} is no number")
    return int(text)


def _shown(fault: Fault) -> dict[str, Any]:
    """As it was ordered, without what was left out; `times` is how often it will still happen."""
    shown = {
        each.name: value for each in fields_of(fault) if (value := getattr(fault, each.name)) != each.default
    }
    if shown.pop("lose_answer_of_call", None):
        shown["lose_answer"] = True
    return {**shown, "hits": fault.hits}
