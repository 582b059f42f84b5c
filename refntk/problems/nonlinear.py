"""The nonlinear boundary-value problem of Best McKay et al., section 5.3 (after Müller & Zeinhofer): strong residual, or energy.

The paper minimises the energy `E = ∫ u'²/2 + u⁴/4 - f u`, of which the equation is the stationarity and `u' = 0` the natural
boundary condition. Its Gramian is `∫ v' w' + 3 u² v w`: rows u' with the loss ½ r², rows u with the loss r⁴/4 - f r. The numbers of
points are our choice. The right side is printed as `π² cos(πx) cos³(πx)`: a plus got lost, u = cos πx solves it with the sum.

Homogeneity (Zhou & Yan 2024): ∂r/∂(-u'', u) = (1, 3u²), of the degrees 0 and 2, and ∂r/∂u does not vanish: theirs needs s ≥ 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arrays import Array, Namespace
from ..calculus.jet import identity, partials
from .base import Field, Problem, Term, columns
from .domain import Box
from .parameter import choice

(dx,) = partials(1)


@dataclass(frozen=True, kw_only=True)
class Nonlinear(Problem):
    """`-u'' + u³ = f` on (-1, 1), `f = π² cos πx + cos³ πx`, `u'(±1) = 0`; u = cos πx. `form` is "strong" or "energy"."""

    name = "nonlinear"
    title = "-u'' + u³ = π² cos πx + cos³ πx"
    source = ("Best McKay et al. 2025", "5.3")
    coordinates = ("x",)

    form: str = choice("strong", "energy")

    @property
    def domain(self) -> Box:
        return Box((-1.0,), (1.0,))

    @property
    def terms(self) -> tuple[Term, ...]:
        if self.form == "energy":
            value = Term.linear("value", self.domain, 400, identity(1))
            return Term.linear("slope", self.domain, 400, dx), replace(value, loss=self._potential)
        return (
            Term("interior", self.domain, 400, (-(dx**2), identity(1)), self._residual, self._partials),
            Term.linear("boundary", self.domain.faces(), 2, dx),
        )

    def _residual(self, points: Array, bending: Field, u: Field, *, xp: Namespace) -> Array:
        return bending[0, ...] + u[0, ...] ** 3 - self._source(points, xp=xp)

    def _partials(self, points: Array, bending: Field, u: Field, *, xp: Namespace) -> Sequence[Array]:
        return xp.ones_like(u)[..., None], 3 * (u * u)[..., None]

    def _potential(self, points: Array, u: Array, *, xp: Namespace) -> tuple[Array, Array, Array]:
        """u⁴/4 - f u and its derivatives."""
        f = self._source(points, xp=xp)
        return u**4 / 4 - f * u, u**3 - f, 3 * u * u

    def _source(self, points: Array, *, xp: Namespace) -> Array:
        exact = self.solution(points, xp=xp)
        return xp.pi**2 * exact + exact**3

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        return columns(xp.cos(xp.pi * points[:, 0]), xp=xp)
