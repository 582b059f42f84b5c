"""Poisson's equation on the unit square, Best McKay et al., section 5.2: an elliptic problem with one collapsed channel.

Homogeneity (Zhou & Yan 2024): ∂r/∂(-Δu) = 1, of degree 0: linear, and K converges for s ≥ s₁ = 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array, Namespace
from ..calculus.jet import identity, partials
from .base import Problem, Term, columns
from .domain import Box

dx, dy = partials(2)


@dataclass(frozen=True, kw_only=True)
class Poisson2D(Problem):
    """`-Δu = 2π² sin πx sin πy` on (0, 1)², zero on the boundary; u = sin πx sin πy. (The paper prints -∇u for -Δu.)"""

    name = "poisson2d"
    title = "-Δu = 2π² sin πx sin πy"
    source = ("Best McKay et al. 2025", "5.2")
    coordinates = ("x", "y")

    @property
    def domain(self) -> Box:
        return Box((0.0, 0.0), (1.0, 1.0))

    @property
    def terms(self) -> tuple[Term, ...]:
        return (
            Term.linear("interior", self.domain, 900, -(dx**2) - dy**2, self._source),
            Term.linear("boundary", self.domain.faces(), 120, identity(2)),
        )

    def _source(self, points: Array, *, xp: Namespace) -> Array:
        return 2 * xp.pi**2 * self.solution(points, xp=xp)

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        return columns(xp.sin(xp.pi * points[:, 0]) * xp.sin(xp.pi * points[:, 1]), xp=xp)
