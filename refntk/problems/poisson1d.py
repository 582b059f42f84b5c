"""Poisson's equation on an interval, Hirsch & Pichi, section 5.1: few points, so that every claim about K can be checked.

Homogeneity (Zhou & Yan 2024): ∂r/∂u'' = 1, of degree 0: linear, and K converges for s ≥ s₁ = 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array, Namespace
from ..calculus.jet import identity, partials
from .base import Problem, Term, columns
from .domain import Box
from .parameter import number

(dx,) = partials(1)


@dataclass(frozen=True, kw_only=True)
class Poisson1D(Problem):
    """`u'' = -(kπ)² sin kπx` on (0, 1), zero at both ends; u = sin kπx, k = `frequency`."""

    name = "poisson1d"
    title = "u'' = -(kπ)² sin kπx"
    source = ("Hirsch & Pichi 2025", "5.1")
    coordinates = ("x",)

    frequency: float = number(4.0, "choose a whole number, or u is not zero at x = 1", when=lambda k: k == round(k))

    @property
    def domain(self) -> Box:
        return Box((0.0,), (1.0,))

    @property
    def terms(self) -> tuple[Term, ...]:
        return (
            Term.linear("interior", self.domain, 2, dx**2, self._source),
            Term.linear("boundary", self.domain.faces(0), 2, identity(1)),
        )

    def _source(self, points: Array, *, xp: Namespace) -> Array:
        return -((self.frequency * xp.pi) ** 2) * self.solution(points, xp=xp)

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        return columns(xp.sin(self.frequency * xp.pi * points[:, 0]), xp=xp)
