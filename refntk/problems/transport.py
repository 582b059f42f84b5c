"""The transport equation with a periodic boundary, Best McKay et al., section 5.4: one row of the boundary joins two points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import arrays
from ..arrays import Array, Namespace
from ..calculus.jet import identity, partials
from .base import Field, Problem, Term, columns
from .domain import Box

dx, dt = partials(2)
PERIOD = 2 * np.pi


@dataclass(frozen=True, kw_only=True)
class Transport(Problem):
    """`u_t + c u_x = 0` on (0, 2π) × (0, 1), `u(0, t) = u(2π, t)`, `u(x, 0) = sin x`; u = sin(x - c t)."""

    name = "transport"
    title = "u_t + c u_x = 0, periodic"
    source = ("Best McKay et al. 2025", "5.4")
    coordinates = ("x", "t")

    c: float = 30.0

    @property
    def domain(self) -> Box:
        return Box((0.0, 0.0), (PERIOD, 1.0))

    @property
    def terms(self) -> tuple[Term, ...]:
        return (
            Term.linear("interior", self.domain, 900, dt + self.c * dx),
            Term.linear("initial", self.domain.face(1, 0.0), 30, identity(2), self._initial),
            Term("boundary", self.domain.face(0, 0.0), 30, (identity(2),), self._jump, self._jump_partials, sites=self._both_ends),
        )

    def _both_ends(self, points: Array, *, xp: Namespace) -> Array:
        """The point itself, and the same point one period on."""
        return xp.stack([points, points + arrays.like([2 * xp.pi, 0.0], points, xp=xp)])

    def _jump(self, points: Array, u: Field, *, xp: Namespace) -> Array:
        return u[0, ...] - u[1, ...]

    def _jump_partials(self, points: Array, u: Field, *, xp: Namespace) -> Sequence[Array]:
        return (arrays.like([[[[1.0]]], [[[-1.0]]]], u, xp=xp),)

    def _initial(self, points: Array, *, xp: Namespace) -> Array:
        return columns(xp.sin(points[:, 0]), xp=xp)

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        return columns(xp.sin(points[:, 0] - self.c * points[:, 1]), xp=xp)
