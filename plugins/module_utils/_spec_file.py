# SPDX-License-Identifier: GPL-3.0-or-later
"""Pipeline specs out of JSON and YAML files. PRIVATE to the collection: it may change at any time.

A file holds what pachctl takes: one spec, a list of them, several YAML documents, or JSON texts in a row.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ._errors import LibraryMissingError, PachydermError

Spec = dict[str, Any]

_SPACE = re.compile(r"\s*")


def load_specs(path: str) -> list[Spec]:
    """The specs of a file. Raises PachydermError with file, line and column where it is not JSON or YAML."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise PachydermError(f"src: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise PachydermError(f"src: {path}: is not a text in UTF-8 (byte {error.start})") from error
    except ValueError as error:
        raise PachydermError(f"src: {path}: is no path, since it holds a NUL") from error
    return parse_specs(text, path)


def parse_specs(text: str, name: str) -> list[Spec]:
    """The specs of a text. `name` is that of its file: it appears in messages, and its suffix tells the form.

    Without a suffix that tells it, a text that starts with a bracket is JSON. Raises PachydermError.
    """
    is_json = name.endswith(".json") or (
        not name.endswith((".yaml", ".yml")) and text.lstrip().startswith(("{", "["))
    )
    documents = list(_json_documents(text, name) if is_json else _yaml_documents(text, name))
    specs = [spec for one in documents for spec in (one if isinstance(one, list) else [one])]
    for number, spec in enumerate(specs, start=1):
        if not isinstance(spec, dict):
            kind = type(spec).__name__
            raise PachydermError(f"{name}: spec {number} is a {kind}; a pipeline spec is a mapping")
    if not specs:
        raise PachydermError(f"{name}: holds no pipeline spec")
    return specs


def _json_documents(text: str, name: str) -> Iterator[Any]:
    def mapping(pairs: list[tuple[str, Any]]) -> Spec:
        keys = [key for key, _value in pairs]
        if twice := next((key for key in keys if keys.count(key) > 1), None):
            raise PachydermError(f'{name}: "{twice}" is there twice in one mapping; remove one')
        return dict(pairs)

    def constant(word: str) -> Any:
        raise PachydermError(f"{name}: {word} is not JSON")

    decoder = json.JSONDecoder(object_pairs_hook=mapping, parse_constant=constant)
    at = _after_space(text, 0)
    while at < len(text):
        try:
            document, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise PachydermError(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from error
        yield document
        at = _after_space(text, at)


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _yaml_documents(text: str, name: str) -> Iterator[Any]:
    yaml, loader = _yaml_loader()
    try:
        for document in yaml.load_all(text, Loader=loader):
            if document is not None:
                json.dumps(document, allow_nan=False)
                yield document
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise PachydermError(f"{where}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise PachydermError(f"{name}: not YAML: {error}") from error
    except (TypeError, ValueError) as error:
        raise PachydermError(f"{name}: holds a value that JSON has no form for: {error}") from error


@functools.cache
def _yaml_loader() -> tuple[Any, Any]:
    """PyYAML, and a safe loader that refuses a key given twice and leaves dates as text, as in JSON."""
    try:
        import yaml
    except ImportError as error:
        raise LibraryMissingError("PyYAML", str(error)) from error

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _value in node.value:
                if key.value in seen:
                    problem = f'"{key.value}" is there twice in one mapping; remove one'
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value if isinstance(key.value, str) else id(key))
            return super().construct_mapping(node, deep)

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return yaml, Loader
