"""A candidate's answers computed ahead in other processes: what is compiled when first used is compiled on every core."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from types import TracebackType

from ..vectors.case import Case
from .protocol import Answer, Candidate, questions


class Ahead:
    """The same candidate, which must be one that can be sent to a process; one problem's cases go to one process. Use in a `with`.

    The numba engine's kernels are of a problem and take longer to compile than to run: on two cores they take half as long.
    """

    def __init__(self, candidate: Candidate, cases: Sequence[Case], /, *, processes: int | None = None):
        self.candidate, self.name = candidate, candidate.name
        by_problem: dict[str, list[Case]] = {}
        for case in cases:
            by_problem.setdefault(case.problem.name, []).append(case)
        count = min(processes or os.cpu_count() or 1, len(by_problem))
        self.pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
        self.found: dict[str, Future[dict[str, Mapping[str, Answer]]]] = {
            problem: self.pool.submit(_answers, candidate, own) for problem, own in by_problem.items()
        }

    def __enter__(self) -> Ahead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.pool.shutdown(cancel_futures=True)

    def answers(self, case: Case, quantities: Iterable[str], /) -> Mapping[str, Answer]:
        """What was found, when it is there."""
        return self.found[case.problem.name].result()[case.name]


def _answers(candidate: Candidate, cases: Sequence[Case]) -> dict[str, Mapping[str, Answer]]:
    return {case.name: candidate.answers(case, questions(case)) for case in cases}
