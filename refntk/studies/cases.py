"""What studies of estimators look at: a problem at some θ with few enough rows that its kernel is at hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from .. import problems
from ..calculus.network import MLP
from ..kernel.linearization import linearize
from ..kernel.ntk import ntk
from ..kernel.operator import Linearization
from ..problems.base import DirectProblem, Problem


@dataclass(frozen=True, eq=False)
class Case:
    """A problem, the network (None for a direct problem), θ and points: the first four arguments of `sketch.products`."""

    problem: Problem
    network: MLP | None
    theta: np.ndarray
    points: dict[str, np.ndarray]

    @property
    def arguments(self) -> tuple[Problem, MLP | None, np.ndarray, dict[str, np.ndarray]]:
        """All four, in order."""
        return self.problem, self.network, self.theta, self.points

    @cached_property
    def lin(self) -> Linearization:
        """R and J there."""
        return linearize(*self.arguments)

    @cached_property
    def K(self) -> np.ndarray:
        """The kernel (n, n) of the rows as they are."""
        return ntk(self.lin)


@cache
def case(name: str, rows: int, hidden: tuple[int, ...], seed: int) -> Case:
    """A problem of the registry with about `rows` rows, as many points in every term, at its usual random start.

    >>> case("wave", 8, (3,), 17).K.shape, case("quadratic", 8, (3,), 17).network
    ((8, 8), None)
    """
    problem, rng = problems.get(name), np.random.default_rng(seed)
    points = problem.sample(rng=rng, counts={term.name: max(1, rows // len(problem.terms)) for term in problem.terms})
    if isinstance(problem, DirectProblem):
        return Case(problem, None, problem.init(rng=rng), points)
    network = MLP([len(problem.coordinates), *hidden, problem.outputs], **problem.normalization)  # type: ignore[arg-type]
    return Case(problem, network, network.init(rng=rng), points)
