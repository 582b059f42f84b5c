"""What is descended, and where a descent stands: a problem on tensor Gauss points, and a walk that counts its passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from .. import natural, problems
from ..calculus.network import MLP
from ..kernel.operator import Linearization
from ..problems.base import Problem
from ..problems.domain import Box, Domain
from ..training.position import Position

WORTH = 0.8  # of the loss: a direction that gets below this is not followed by another
TOL = 1e-13  # the paper's cut, absolute
DENSE = 30_000_000  # entries of J (240 MB) beyond which no method may hold it


@dataclass(frozen=True, eq=False)
class Course:
    """A problem, a network, and tensor Gauss points with their weights: what is descended. The loss is half an integral."""

    problem: Problem
    network: MLP
    points: Mapping[str, np.ndarray]
    quadrature: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, name: str, hidden: Sequence[int], nodes: Sequence[int], *, activation: str = "tanh", **parameters: Any) -> Course:
        """The problem of that name with so many Gauss points along each coordinate, wherever it is free.

        >>> Course.of("heat", [65], [20, 20]).network.size
        261
        """
        problem = problems.get(name, **parameters)
        inputs, outputs = len(problem.coordinates), problem.outputs
        network = MLP([inputs, *hidden, outputs], activation=activation, **problem.normalization)  # type: ignore[arg-type]
        rules = {term.name: gauss(getattr(term.domain, "parts", (term.domain,)), nodes) for term in problem.terms}
        points, weights = ({name: rule[i] for name, rule in rules.items()} for i in (0, 1))
        return cls(problem, network, points, weights)

    def slower(self, c: float) -> Course:
        """The same transport problem at the speed c, with ten Gauss points along x and eight and eight a period in time."""
        nodes = (10, 8 + round(8 * c / (2 * np.pi)))
        activation = self.network.activation.name
        return Course.of(self.problem.name, self.network.sizes[1:-1], nodes, activation=activation, c=c)

    def at(self, theta: np.ndarray) -> Position:
        """R, J and the loss at θ."""
        return Position(self.problem, self.network, theta, self.points, "quadrature", "numba", self.quadrature)


def gauss(boxes: Sequence[Domain], nodes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, dimension) and weights (n,) of the tensor Gauss-Legendre rule on boxes: exact for degree 2 `nodes[i]` - 1 in x_i.

    >>> points, weights = gauss([Box((0.0, 1.0), (2.0, 1.0))], [2, 5])
    >>> round(float(weights @ points[:, 0] ** 3), 12)  # ∫ x³ over (0, 2)
    4.0
    """
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for box in boxes:
        assert isinstance(box, Box)
        lower, upper = np.asarray(box.lower), np.asarray(box.upper)
        rules = [np.polynomial.legendre.leggauss(m if i in box.free else 1) for i, m in enumerate(nodes)]
        grid = np.array(list(product(*(rule[0] for rule in rules))))
        shares = np.array(list(product(*(rule[1] for rule in rules)))).prod(axis=1) / 2 ** len(lower)
        found.append(((lower + upper) / 2 + grid * (upper - lower) / 2, shares * box.measure))
    return np.concatenate([points for points, _ in found]), np.concatenate([weights for _, weights in found])


class Walk:
    """Where a descent stands, and what it has cost."""

    def __init__(self, course: Course, theta: np.ndarray):
        self.course, self.passes, self.rank = course, 0, 0
        self.ones = dict.fromkeys((term.name for term in course.problem.terms), 1.0)
        self.move(theta)

    def move(self, theta: np.ndarray) -> None:
        """Goes there. Cost: one pass, counted."""
        self.at, self.theta = self.course.at(theta), theta
        self.passes += 1

    @property
    def loss_here(self) -> float:
        """The loss at θ."""
        return self.at.loss(self.ones)

    def loss(self, theta: np.ndarray) -> float:
        """The loss elsewhere. Cost: one pass, counted."""
        self.passes += 1
        return self.course.at(theta).loss(self.ones)

    def gradient(self) -> np.ndarray:
        """The gradient at θ. Cost: one pass, counted."""
        self.passes += 1
        return np.asarray(self.at.gradient(self.ones))

    @property
    def lin(self) -> Linearization:
        """R and J of the loss as half a sum of squares, or of what curves like it."""
        return self.at.weighted(self.ones)

    def search(self, directions: Sequence[np.ndarray], ranks: Sequence[int]) -> bool:
        """Moves to the lowest loss along the first direction that gets below `WORTH`, or the best; whether any is lower at all."""
        here, best = self.loss_here, (self.loss_here, self.theta, self.rank)
        for direction, rank in zip(directions, ranks, strict=True):
            step, loss = natural.line_search(self.loss, self.theta, direction, start=here, exhaustive=False)
            if loss < best[0]:
                best = (loss, self.theta - step * direction, rank)
            if best[0] < here - (1 - WORTH) * abs(here):
                break
        if best[0] < here:
            self.rank = best[2]
            self.move(best[1])
        return best[0] < here

    def final(self) -> int:
        """How many eigenvalues of G exceed `TOL`, from the singular values of J."""
        lin = self.lin
        if lin.shape[0] * lin.shape[1] > DENSE:
            return 0
        return int(np.sum(np.linalg.svd(lin.jacobian.dense(), compute_uv=False) ** 2 > TOL))


def width(hidden: str) -> list[int]:
    """The hidden layers that a configuration names.

    >>> width("50-50-50")
    [50, 50, 50]
    """
    return [int(layer) for layer in hidden.split("-")]
