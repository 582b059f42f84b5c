"""Small cases of every registered problem: a network that fits it, parameters and a few points, the same on every call."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import refntk as rn
from refntk import problems
from refntk.problems.base import DirectProblem


@dataclass(frozen=True, eq=False)
class Case:
    problem: Any
    network: Any
    theta: np.ndarray
    points: dict[str, np.ndarray]

    def linearize(self, **options):
        return rn.linearize(self.problem, self.network, self.theta, self.points, **options)


@cache
def case(name, activation="tanh", each=3, hidden=(4, 3)):
    """`each` points a term; every parameter drawn from N(0, 1/4), so that no bias is zero."""
    problem = problems.get(name)
    points = problem.sample(rng=5, counts={term.name: each for term in problem.terms})
    if isinstance(problem, DirectProblem):
        return Case(problem, None, problem.init(rng=6), points)
    network = rn.MLP([len(problem.coordinates), *hidden, problem.outputs], activation=activation, **problem.normalization)
    return Case(problem, network, network.init(rng=6, scheme="normal", std=0.5), points)


NETWORK_PROBLEMS = [name for name in problems.names() if not isinstance(problems.get(name), DirectProblem)]
