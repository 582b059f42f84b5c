"""The nonlinear boundary-value problem of Best McKay et al., section 5.3 (after Müller & Zeinhofer), as a strong residual.

The paper minimises the energy `∫ u'²/2 + u⁴/4 - f u` instead, of which this equation is the stationarity and `u' = 0` the natural
boundary condition; so the numbers of points here are our choice. It prints the right side as `π² cos(πx) cos³(πx)`: a plus got
lost, u = cos πx solves the equation with the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array, Namespace
from ..calculus.jet import identity, partials
from .base import Field, Problem, Term, columns
from .domain import Box

(dx,) = partials(1)


@dataclass(frozen=True, kw_only=True)
class Nonlinear(Problem):
    """`-u'' + u³ = π² cos πx + cos³ πx` on (-1, 1), `u'(±1) = 0`; u = cos πx."""

    name = "nonlinear"
    title = "-u'' + u³ = π² cos πx + cos³ πx"
    source = ("Best McKay et al. 2025", "5.3")
    coordinates = ("x",)

    @property
    def domain(self) -> Box:
        return Box((-1.0,), (1.0,))

    @property
    def terms(self) -> tuple[Term, ...]:
        return (
            Term("interior", self.domain, 400, (-(dx**2), identity(1)), self._residual, self._partials),
            Term.linear("boundary", self.domain.faces(), 2, dx),
        )

    def _residual(self, points: Array, bending: Field, u: Field, *, xp: Namespace) -> Array:
        exact = self.solution(points, xp=xp)
        return bending[0, ...] + u[0, ...] ** 3 - (xp.pi**2 * exact + exact**3)

    def _partials(self, points: Array, bending: Field, u: Field, *, xp: Namespace) -> Sequence[Array]:
        return xp.ones_like(u)[..., None], 3 * (u * u)[..., None]

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        return columns(xp.cos(xp.pi * points[:, 0]), xp=xp)
