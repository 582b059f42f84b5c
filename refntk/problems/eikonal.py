"""The eikonal equation: beside Zhou & Yan's experiments the nonlinear problem all of whose monomials are of one degree.

Homogeneity: ∂r/∂(u_x, u_y) = (2 u_x, 2 u_y), both of degree 1, and ∂r/∂u = 0: s₁ = 3/4 for K_ff and s₂ = 2/3 for K_bf.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array, Namespace
from ..calculus.jet import identity, partials
from .base import Field, Problem, Term, columns
from .domain import Box
from .parameter import positive

dx, dy = partials(2)


@dataclass(frozen=True, kw_only=True)
class Eikonal(Problem):
    """`u_x² + u_y² = 1` on (0, 1)², u on the boundary that of the distance from (-a, -a), a = `away`."""

    name = "eikonal"
    title = "u_x² + u_y² = 1"
    source = ("Zhou & Yan 2024", "homogeneous, ours")
    coordinates = ("x", "y")

    away: float = positive(0.5)

    @property
    def domain(self) -> Box:
        return Box((0.0, 0.0), (1.0, 1.0))

    @property
    def terms(self) -> tuple[Term, ...]:
        return (
            Term("interior", self.domain, 300, (dx, dy), self._residual, self._partials),
            Term.linear("boundary", self.domain.faces(), 100, identity(2), self.solution),
        )

    def _residual(self, points: Array, u_x: Field, u_y: Field, *, xp: Namespace) -> Array:
        return u_x[0, ...] ** 2 + u_y[0, ...] ** 2 - 1

    def _partials(self, points: Array, u_x: Field, u_y: Field, *, xp: Namespace) -> Sequence[Array]:
        return 2 * u_x[..., None], 2 * u_y[..., None]

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        x, y = points[:, 0] + self.away, points[:, 1] + self.away
        return columns(xp.sqrt(x * x + y * y), xp=xp)
