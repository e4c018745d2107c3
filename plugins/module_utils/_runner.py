# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's options to its result. PRIVATE to the collection: it may change at any time.

Only this file and main() of a module know AnsibleModule; only this file ends the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from ansible.module_utils.basic import AnsibleFallbackNotFound, AnsibleModule, missing_required_lib

from ._connection import Pachd
from ._errors import LibraryMissingError, PachydermError
from ._given import refuse_null
from ._kubernetes import KUBERNETES_SPEC, Kubernetes
from ._options import CONNECTION_SPEC, ConnectionOptions
from ._plan import Outcome

Declared = TypeVar("Declared")
_PASSWORD = re.compile(r"://[^/@:\s]*:([^/@\s]+)@")


def run_module(
    argument_spec: Mapping[str, Any],
    parse: Callable[[Mapping[str, Any]], Declared],
    work: Callable[[Pachd, Declared, bool], Outcome],
    **rules: Any,
) -> None:
    """Runs a module to its end.

    `parse` turns options into what is declared, before any connection is made; `work` gets the connection,
    what is declared, and whether this is a check-mode run. `rules` are AnsibleModule's own.
    """
    unnamed: list[str] = []
    spec = {**argument_spec, **CONNECTION_SPEC}
    if spec.get("project", {}).get("default"):
        spec["project"] = spec["project"] | {"fallback": (_noting("project", unnamed), [])}
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True, **rules)

    def run() -> Outcome:
        module.no_log_values.update(_passwords(module.params))
        refuse_null(spec, rules.get("required_one_of", ()), module.params)
        try:
            options = ConnectionOptions.parse(module.params)
        except PachydermError:
            # Its own errors come first; and what it hides from the result must be hidden.
            parse(module.params)
            raise
        if options.auth_token:
            module.no_log_values.add(options.auth_token)
        if unnamed and options.project:
            module.params["project"] = options.project
        declared = parse(module.params)
        with Pachd(options) as pachd:
            return work(pachd, declared, module.check_mode)

    complete(module, run)


def _passwords(value: Any) -> Iterator[str]:
    """Those in URLs, wherever in the options."""
    if isinstance(value, str):
        yield from _PASSWORD.findall(value)
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _passwords(inner)


def _noting(option: str, unnamed: list[str]) -> Callable[[], Any]:
    """A fallback that has no value, and notes that a task left the option out."""

    def note() -> Any:
        unnamed.append(option)
        raise AnsibleFallbackNotFound

    return note


def run_kubernetes_module(
    argument_spec: Mapping[str, Any],
    parse: Callable[[Mapping[str, Any]], Declared],
    work: Callable[[Kubernetes, Declared, bool], Outcome],
    **rules: Any,
) -> None:
    """As run_module, with a connection to Kubernetes' API server."""
    module = AnsibleModule(
        argument_spec={**argument_spec, **KUBERNETES_SPEC}, supports_check_mode=True, **rules
    )

    def run() -> Outcome:
        declared = parse(module.params)
        return work(Kubernetes(module.params), declared, module.check_mode)

    complete(module, run)


def complete(module: AnsibleModule, run: Callable[[], Outcome]) -> None:
    """Ends the process with what `run` returns, or with the error that it raises."""
    try:
        outcome = run()
    except LibraryMissingError as error:
        module.fail_json(msg=missing_required_lib(error.library), exception=str(error))
    except PachydermError as error:
        for text in error.details.pop("warnings", []):
            module.warn(text)
        module.fail_json(msg=str(error), **error.details)
    plan = outcome.plan
    for text in dict.fromkeys([*(plan.warnings if plan else ()), *outcome.warnings]):
        module.warn(text)
    done = plan.result if plan else {"changed": False}
    module.exit_json(**done, **outcome.values)
