"""How far u is from the exact solution, on one fixed grid."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .. import arrays
from ..arrays import Array
from ..calculus.network import MLP
from ..problems.base import Problem

POINTS = 2500  # about as many on the whole grid: 2500, 50², 13³


def relative_error(problem: Problem, network: MLP | None) -> Callable[[Array], float]:
    """A function of θ (p,): `‖u - u*‖ / ‖u*‖` over the midpoints of a grid on the problem's domain, all outputs together.

    It is NaN where no solution is known, or where that is zero. Cost: one forward pass without derivatives at 2500 points.

    >>> import refntk as rn
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 1])
    >>> relative_error(problem, network)(np.zeros(2))  # u = 0
    1.0
    """
    free = problem.domain.free
    side = math.floor(POINTS ** (1 / max(1, len(free))) + 1e-9)
    points = problem.domain.sample((side,) * len(free), rng=np.random.default_rng(0)) if network is not None else None
    exact = problem.solution(points) if points is not None else None
    size = 0.0 if exact is None else float(np.linalg.norm(exact))

    def distance(theta: Array) -> float:
        if network is None or size == 0.0:
            return math.nan
        xp = arrays.namespace(theta)
        found = arrays.to_numpy(network(theta, arrays.like(points, theta, xp=xp)))
        return float(np.linalg.norm(found - exact)) / size

    return distance
