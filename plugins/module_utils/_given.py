# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible lets through in a module's options and no module takes. PRIVATE: it may change at any time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ._errors import PachydermError

_Spec = Mapping[str, Mapping[str, Any]]


def refuse_null(spec: _Spec, one_of: Iterable[Sequence[str]], params: Mapping[str, Any]) -> None:
    """Raises PachydermError for an option that has to be there and is null, which Ansible counts as given."""
    for name, option in spec.items():
        if option.get("required") and params[name] is None:
            raise PachydermError(f"{name}: must not be null")
    for names in one_of:
        if all(params[name] is None for name in names):
            raise PachydermError(f"{names[0]}: must not be null; give {' or '.join(names)}")
