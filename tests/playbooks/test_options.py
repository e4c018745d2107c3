# SPDX-License-Identifier: GPL-3.0-or-later
"""Each option: set, again, changed, omitted, absent, absent again, each with its check-mode twin.

The cases are data, in cases/. tests/meta/test_options.py sees to it that no option lacks one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jmespath
import pytest

from ansible_collections.gpulab.pachyderm.plugins.module_utils import _hash_cache

from .cases import OF_ALL, OF_MODULES, Case, Step, Table
from .conftest import Lab


class CaseLab(Lab):
    """A lab whose modules are all given `common`. In options "{name}" stands for the text of that name."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str], table: Table) -> None:
        super().__init__(directory, capsys, **table.settings(directory))
        self.common = table.common
        self.texts = {"directory": str(directory)}

    def run(self, module: str, check: bool = False, **options: Any) -> dict[str, Any]:
        return super().run(module, check, **self.filled({**self.common, **options}))

    def filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self.filled(key): self.filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.filled(inner) for inner in value]
        if isinstance(value, str):
            for name, text in self.texts.items():
                value = value.replace(f"{{{name}}}", text)
        return value

    def written(self) -> dict[Path, tuple[int, bytes]]:
        """What modules have written on this machine."""
        paths = sorted((self.directory / "out").rglob("*"))
        return {path: (path.stat().st_mode, path.read_bytes() if path.is_file() else b"") for path in paths}


class Life:
    """The life of one option in a lab of its own."""

    def __init__(self, lab: CaseLab, table: Table, case: Case) -> None:
        self.lab, self.table, self.case = lab, table, case

    def live(self) -> None:
        self.prepare(self.case.world)
        for name, step in self.case.steps.items():
            if isinstance(step, Step):
                self.prepare(step.before)
                (self.fail if step.fails else self.succeed)(name, step)

    def prepare(self, world: Any) -> None:
        if world:
            self.lab.texts.update(world(self.lab) or {})

    def run(self, name: str, check: bool) -> dict[str, Any]:
        result = self.lab.run(self.table.module, check=check, **self.case.options(name))
        if self.case.secret:
            values = [step.value for step in self.case.steps.values() if isinstance(step, Step)]
            assert not [text for text in leaves(values) if text in str(result)]
        return result

    def predicted(self, name: str) -> dict[str, Any]:
        """What a check-mode run says, which changes nothing, here or in pachd."""
        before = self.lab.written()
        result = self.run(name, check=True)
        assert self.lab.written() == before
        return result

    def known(self, result: dict[str, Any]) -> dict[str, Any]:
        """What check mode can know of a result."""
        return {key: value for key, value in result.items() if key not in self.table.varies}

    def fail(self, name: str, step: Step) -> None:
        predicted = self.predicted(name)
        seen = self.lab.mutations()
        message = self.run(name, check=False)["msg"]
        assert step.fails in message
        assert step.unforeseen or (predicted["msg"], self.lab.mutations()) == (message, seen)

    def succeed(self, name: str, step: Step) -> None:
        result = self.once(name, step.changed)
        if step.sees is not None:
            assert self.seen(result) == self.lab.filled(step.sees)
        if not self.case.again:
            seen, written = self.lab.mutations(), self.lab.written()
            self.once(name, False)
            assert (self.lab.mutations(), self.lab.written()) == (seen, written)

    def once(self, name: str, changed: bool) -> dict[str, Any]:
        """The result of a run that check mode has told beforehand."""
        predicted, result = self.predicted(name), self.run(name, check=False)
        assert self.known(predicted) == self.known(result)
        assert result.get("changed") is changed, result
        diff = result.get("diff") or {"before": None, "after": None}
        assert (diff["before"] != diff["after"]) is changed
        return result

    def seen(self, result: dict[str, Any]) -> Any:
        look = self.case.look
        return jmespath.search(look, result) if isinstance(look, str) else look(self.lab)


def leaves(value: Any) -> Iterator[str]:
    """Each text in a value of an option."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from leaves(inner)
    elif value is not None:
        yield str(value)


@pytest.fixture
def lab(table: Table, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[CaseLab]:
    made = CaseLab(tmp_path, capsys, table)
    yield made
    made.server.stop(grace=0)


@pytest.mark.parametrize(
    ("table", "case"),
    [
        pytest.param(table, case, id=f"{table.module}-{case.option}")
        for table in (*OF_ALL, *OF_MODULES)
        for case in table.complete()
    ],
)
def test_life_of_an_option(lab: CaseLab, table: Table, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    # The files of a case are younger than what the cache of hashes trusts.
    monkeypatch.setattr(_hash_cache, "SETTLE_SECONDS", -60)
    Life(lab, table, case).live()
