"""The Korteweg-de Vries equation, of Zhou & Yan's two experiments the second: a third derivative and a product of fields.

Homogeneity: ∂r/∂(u_t + u_xxx, u_x, u) = (1, 6 u, 6 u_x), of the degrees 0, 1, 1, and ∂r/∂u = 6 u_x does not vanish, so their
theorem asks for s ≥ 1.

The paper's domain, data and numbers of points are not public. Ours: (-10, 10) × (0, 6), one soliton or two that meet at x = 0,
t = 3, 300 points inside. On an interval the equation is well-posed with u at both ends and u_x at the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array, Namespace
from ..calculus.jet import identity, partials
from ..errors import InvalidInput
from .base import Field, Problem, Term, columns
from .domain import Box
from .parameter import choice, positive

dx, dt = partials(2)
MEETING = 3.0


@dataclass(frozen=True, kw_only=True)
class KdV(Problem):
    """`u_t + 6 u u_x + u_xxx = 0` with solitons of wave numbers k = `slow` < `fast`, speeds k² and heights k²/2.

    Two solitons are `u = 2 (log τ)_xx` with `τ = d cosh S + s cosh D`, `S, D = (η₂ ± η₁)/2`, `s, d = (k₂ ± k₁)/2`,
    `η_i = k_i x - k_i³ (t - 3)` (Hirota 1971). `data="one"` leaves the fast one alone: k₁ = 0, u = k²/2 sech²(η₂/2).
    """

    name = "kdv"
    title = "u_t + 6 u u_x + u_xxx = 0"
    source = ("Zhou & Yan 2024", "experiment 2")
    coordinates = ("x", "t")

    data: str = choice("one", "two")
    slow: float = positive(1.0)
    fast: float = positive(1.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data == "two" and self.slow >= self.fast:
            raise InvalidInput("slow", self.slow, f"choose a wave number below fast={self.fast}")

    @property
    def domain(self) -> Box:
        return Box((-10.0, 0.0), (10.0, 2 * MEETING))

    @property
    def terms(self) -> tuple[Term, ...]:
        right = self.domain.face(0, self.domain.upper[0])
        return (
            Term("interior", self.domain, 300, (dt + dx**3, dx, identity(2)), self._residual, self._partials),
            Term.linear("initial", self.domain.face(1, 0.0), 100, identity(2), self.solution),
            Term.linear("boundary", self.domain.faces(0), 100, identity(2), self.solution),
            Term.linear("slope", right, 50, dx, self._slope),
        )

    def _residual(self, points: Array, flow: Field, slope: Field, u: Field, *, xp: Namespace) -> Array:
        return flow[0, ...] + 6 * u[0, ...] * slope[0, ...]

    def _partials(self, points: Array, flow: Field, slope: Field, u: Field, *, xp: Namespace) -> Sequence[Array]:
        return xp.ones_like(u)[..., None], 6 * u[..., None], 6 * slope[..., None]

    def _solitons(self, points: Array, xp: Namespace) -> tuple[Array, Array]:
        """The pair u, u_x (n,). τ τ'' - τ'² is written as a sum `s d N` of positive terms, so that the tails keep their digits."""
        k = self.slow if self.data == "two" else 0.0
        s, d = (self.fast + k) / 2, (self.fast - k) / 2
        x, t = points[:, 0], points[:, 1] - MEETING
        S, D = s * x - (self.fast**3 + k**3) / 2 * t, d * x - (self.fast**3 - k**3) / 2 * t
        tau, tau_x = d * xp.cosh(S) + s * xp.cosh(D), s * d * (xp.sinh(S) + xp.sinh(D))
        N = 2 * s * d * (1 + xp.cosh(S - D)) + k**2 * xp.cosh(S) * xp.cosh(D)
        N_x = 2 * s * d * k * xp.sinh(S - D) + k**2 * (s * xp.sinh(S) * xp.cosh(D) + d * xp.cosh(S) * xp.sinh(D))
        u = 2 * s * d * N / tau**2
        return u, u * (N_x / N - 2 * tau_x / tau)

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        return columns(self._solitons(points, xp)[0], xp=xp)

    def _slope(self, points: Array, *, xp: Namespace) -> Array:
        return columns(self._solitons(points, xp)[1], xp=xp)
