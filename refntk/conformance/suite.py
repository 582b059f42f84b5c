"""The checks as tests of pytest: one test for each check, with expected failures that must be told and must still fail.

from refntk.conformance.suite import parametrize_with_checks

@parametrize_with_checks(Mine(), expected={"spectrum": "no eigenvalues for n > 1000"}, problems=["wave"])
def test_mine(check):
    check()
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from ..errors import MissingDependency, UnknownNameError
from ..report import plain
from ..vectors import plan, read
from .checks import Result, checks, examine, selection
from .diagnosis import diagnose
from .protocol import Candidate, Functions
from .told import table, verdict


def parametrize_with_checks(
    candidate: object, /, *, expected: Mapping[str, str] | None = None, problems: Sequence[str] | None = None, every: bool = False
) -> Callable[..., Any]:
    """A decorator: the test gets `check`, which raises `AssertionError` with table and diagnosis if the check fails.

    `candidate` is an object with functions as in `protocol.py`, or a `Candidate`. `expected` names checks that fail, with the
    reason; one that passes all the same fails as stale. `problems` restricts the cases, `every` takes all and not the selection.
    A check that is not offered is skipped. Raises `UnknownNameError` for a name in `expected`, `MissingDependency` without pytest.

    >>> from refntk.conformance import Engine
    >>> parametrize_with_checks(Engine("reference"), problems=["quadratic"]).name
    'parametrize'
    """
    try:
        import pytest
    except ImportError as error:
        raise MissingDependency("pytest is not installed: pip install pytest") from error
    names = [check.name for check in checks()]
    for name in expected or {}:
        if name not in names:
            raise UnknownNameError("expected", name, names)
    asked: Candidate = candidate if hasattr(candidate, "answers") else Functions(type(candidate).__name__, candidate)  # type: ignore[assignment]

    @cache
    def results() -> dict[str, Result]:
        """All checks at once, when the first is run."""
        cases = [case for name in problems or plan.names() for case in read(only=name)]
        return {result.check.name: result for result in examine(asked, cases if every else selection(cases)).results}

    def run(name: str) -> Callable[[], None]:
        def check() -> None:
            result = results()[name]
            if not result.judged:
                pytest.skip(f"{name} is not offered")
            judge(result, asked.name, (expected or {}).get(name))

        return check

    decorator: Any = pytest.mark.parametrize("check", [pytest.param(run(name), id=name) for name in names])
    return decorator


def judge(result: Result, candidate: str, reason: str | None, /) -> None:
    """Raises `AssertionError` for a failure without a reason and for a pass with one; xfails a failure that has one."""
    import pytest

    from .checks import Examination

    if result.failures and reason is not None:
        pytest.xfail(reason)
    if result.failures:
        examination = Examination(candidate, [f.case for f in result.findings], [result])
        lines = [verdict(examination), plain(table(examination)), *map(str, diagnose(examination))]
        raise AssertionError("\n".join(lines))
    if reason is not None:
        raise AssertionError(f"{result.check.name} passes, though it is expected to fail ({reason}): take it out of `expected`")
