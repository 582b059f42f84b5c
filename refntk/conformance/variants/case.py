"""A case's residual and Jacobian in plain NumPy, and what a variant of them is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from ...errors import InvalidInput
from ...kernel.linearization import linearize
from ...kernel.operator import Linearization
from ...vectors.case import Case

Vector = np.ndarray


@dataclass(frozen=True, eq=False)
class Linearized:
    """R as a function of θ, `at`, with its Jacobian J (n, p) at the case's θ; `blocks` are the rows of the terms."""

    case: Case
    at: Callable[[Vector], Vector]
    J: np.ndarray
    blocks: dict[str, slice]

    @cached_property
    def R(self) -> Vector:
        """The residual (n,)."""
        return self.at(self.case.theta)

    @cached_property
    def K(self) -> np.ndarray:
        """J Jᵀ (n, n)."""
        return self.J @ self.J.T


@dataclass(frozen=True)
class Variant:
    """What was differentiated instead, in words; the number of the mistake; `make(case)`, None where it does not apply."""

    words: str
    mistake: int
    make: Callable[[Case], Linearized | None]


@lru_cache(maxsize=256)
def exact(case: Case, /) -> Linearized:
    """The case as it is."""
    lin = _linearize(case, case.theta)
    return Linearized(case, lambda theta: _linearize(case, theta).residual, lin.jacobian.dense(), dict(lin.blocks))


def _linearize(case: Case, theta: Vector) -> Linearization:
    return linearize(case.problem, case.network, theta, case.points, scaling=case.scaling, quadrature=case.quadrature)


RIGHT = Variant("", 0, exact)


@lru_cache(maxsize=2048)
def linearized(variant: Variant, case: Case, /) -> Linearized | None:
    """What a variant makes of a case: None where it makes no difference, or nothing that can be computed."""
    try:
        return variant.make(case)
    except InvalidInput:
        return None
