"""All rules side by side on one linearization."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .. import arrays
from ..calculus.jet import identity
from ..errors import InvalidInput, TraceError
from ..kernel.linearization import NetworkLinearization, linearize
from ..kernel.ntk import ntk
from ..kernel.operator import Linearization
from ..problems.base import Problem, Term
from ..problems.domain import Box
from .rules import RULES, RULES_OF_U

EQUATION_5 = "wang_2022"


@dataclass(frozen=True)
class Comparison:
    """Every rule on one linearization: `weights` {rule: {term: λ}}, and in `refused` {rule: why} those that give none there."""

    weights: dict[str, dict[str, float]]
    refused: dict[str, str]

    @property
    def ratios(self) -> dict[str, dict[str, float]]:
        """`{rule: {term: λ / λ of eq. (5)}}`; empty where eq. (5) itself is refused."""
        first = self.weights.get(EQUATION_5)
        if first is None:
            return {}
        return {name: {term: weight / first[term] for term, weight in found.items()} for name, found in self.weights.items()}

    @property
    def imbalance(self) -> dict[str, float]:
        """`{rule: largest / smallest ratio}`: how far the balance of two terms is from eq. (5)'s, whatever their common factor."""
        ends = {name: (max(ratio.values()), min(ratio.values())) for name, ratio in self.ratios.items()}
        return {name: high / low if low > 0 else math.inf for name, (high, low) in ends.items()}


def compare(lin: Linearization, /) -> Comparison:
    """What every rule of `RULES`, and where there is a u of `RULES_OF_U`, makes of one linearization; eq. (5) comes first.

    Raises `InvalidInput` for scaled rows, for which the rules are not written. Cost: K, and the kernel of u at the same points.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d", frequency=1.0)
    >>> points = {"interior": [[0.25], [0.5]], "boundary": [[0.0]]}
    >>> lin = rn.linearize(problem, rn.MLP([1, 1, 1]), np.array([1.0, 1.0, 1.0, 1.0]), points)
    >>> found = compare(lin)
    >>> found.weights["wang_2022"] == rn.weights.trace_ratio(rn.ntk_traces(lin)), list(found.weights) == [*RULES, *RULES_OF_U]
    (True, True)
    >>> round(found.imbalance["bai_2023"], 12)  # means of 2 rows and of 1 for their sums
    2.0
    """
    if not _unscaled(lin):
        raise InvalidInput("lin", "scaled rows", "the rules are written for rows as they are: linearize(..., scaling='sum')")
    weights: dict[str, dict[str, float]] = {}
    refused: dict[str, str] = {}
    for rules, of in ((RULES, lin), (RULES_OF_U, of_u(lin))):
        if of is None:
            continue
        K = ntk(of)
        for name, rule in rules.items():
            try:
                weights[name] = rule(K, of.residual, of.blocks)
            except TraceError as error:
                refused[name] = str(error)
    return Comparison(weights, refused)


def _unscaled(lin: Linearization) -> bool:
    scales = getattr(lin, "scales", 1.0)
    each = scales.values() if isinstance(scales, Mapping) else [scales]
    return all(bool(np.all(arrays.to_numpy(scale) == 1)) for scale in each)


def of_u(lin: Linearization, /) -> Linearization | None:
    """The linearization of u itself where each term holds, which `RULES_OF_U` take for that of R; None where there is no u.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.25]], "boundary": [[0.0], [2.0]]})
    >>> of_u(lin).residual  # u = 2 x + 0.5
    array([1. , 0.5, 4.5])
    """
    if not isinstance(lin, NetworkLinearization):
        return None
    return linearize(Values(of=lin.problem), lin.network, lin.theta, lin.points, engine=lin.engine.name)


@dataclass(frozen=True, kw_only=True)
class Values(Problem):
    """Not a registered problem: `u = 0` where the terms of another one hold."""

    name, title, source = "values", "u = 0", ("refntk", "weights")

    of: Problem

    def __post_init__(self) -> None:
        """Nothing to check."""

    @property
    def coordinates(self) -> tuple[str, ...]:  # type: ignore[override]
        """Those of the other one."""
        return self.of.coordinates

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """Those of the other one."""
        return self.of.outputs

    @property
    def domain(self) -> Box:
        """That of the other one."""
        return self.of.domain

    @property
    def terms(self) -> tuple[Term, ...]:
        """The names and domains of the other one's terms."""
        u = identity(len(self.coordinates))
        return tuple(Term.linear(term.name, term.domain, term.count, u, outputs=self.outputs) for term in self.of.terms)
