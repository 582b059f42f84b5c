"""Regression with a quadratically parametrised predictor, Hirsch & Pichi, section 5.2.1: no network, everything closed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..arrays import Array, Namespace
from .base import DirectProblem, Term, columns
from .domain import Box, Count
from .parameter import number


@dataclass(frozen=True, kw_only=True)
class Equispaced(Box):
    """Equispaced abscissae with the ends, and data y = πx² + ex + √2 + noise at each: points are the pairs (x, y)."""

    noise: float

    def sample(self, count: Count, *, rng: np.random.Generator) -> np.ndarray:
        """`count` pairs (count, 2)."""
        n = math.prod(count) if isinstance(count, tuple) else count
        x = np.linspace(self.lower[0], self.upper[0], n)
        return np.stack([x, np.pi * x**2 + math.e * x + np.sqrt(2.0) + self.noise * rng.standard_normal(n)], axis=1)


@dataclass(frozen=True, kw_only=True)
class Quadratic(DirectProblem):
    """`R_i = Σ_j θ_j² u_j(x_i) - y_i` with features u = (1, x, x²), so `J_ij = 2 θ_j u_j(x_i)` and ∇²R is constant.

    The paper writes the noise as N(0, 1/√2); we read 1/√2 as its variance, as in the rest of the paper's notation, and leave the
    standard deviation as a parameter.
    """

    name = "quadratic"
    title = "(θ⊙θ)·(1, x, x²) = y"
    source = ("Hirsch & Pichi 2025", "5.2.1")
    coordinates = ("x", "y")
    size = 3

    noise: float = number(2.0**-0.25, "choose a standard deviation, 0 or more", when=lambda noise: noise >= 0)

    @property
    def domain(self) -> Box:
        return Equispaced((-1.0, 0.0), (1.0, 0.0), noise=self.noise)

    @property
    def terms(self) -> tuple[Term, ...]:
        return (Term("data", self.domain, 50, (), self._no_network, self._no_network),)

    def _no_network(self, *args: object, **kwargs: object) -> Array:
        raise NotImplementedError("the residual of a direct problem is a function of θ, not of fields")

    def init(self, *, rng: int | np.random.Generator | None = None) -> np.ndarray:
        """θ ~ N(0, 1)³."""
        return np.random.default_rng(rng).standard_normal(self.size)

    def _features(self, points: Mapping[str, Array], xp: Namespace) -> Array:
        x = points["data"][:, 0]
        return columns(xp.ones_like(x), x, x * x, xp=xp)

    def residual(self, theta: Array, points: Mapping[str, Array], *, xp: Namespace) -> Array:
        return self._features(points, xp) @ (theta * theta) - points["data"][:, 1]

    def jvp(self, theta: Array, points: Mapping[str, Array], directions: Array, *, xp: Namespace) -> Array:
        return self._features(points, xp) @ (2 * theta[:, None] * directions)

    def vjp(self, theta: Array, points: Mapping[str, Array], cotangents: Array, *, xp: Namespace) -> Array:
        return 2 * theta[:, None] * (self._features(points, xp).T @ cotangents)
