"""The sine-Gordon equation, of Zhou & Yan's two experiments the first: its operator is not homogeneous, so K_ff needs s ≥ 1.

The paper's domain, data and numbers of points are not public. Ours: (-5, 5) × (0, 5), a kink or a breather, 300 points inside and
100 on each condition.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array, Namespace
from ..calculus.jet import identity, partials
from .base import Field, Problem, Term, columns
from .domain import Box
from .parameter import choice, number

dx, dt = partials(2)


@dataclass(frozen=True, kw_only=True)
class SineGordon(Problem):
    """`u_tt - u_xx + sin u = 0`; u, u_t at the start and u on both sides are those of an exact solution.

    `data="kink"`: u = 4 arctan exp(γ (x - v t)), γ = 1/√(1 - v²), v = `speed`.
    `data="breather"`: u = 4 arctan (ρ/ω · sin ωt / cosh ρx), ρ = √(1 - ω²), ω = `frequency`.
    """

    name = "sine_gordon"
    title = "u_tt - u_xx + sin u = 0"
    source = ("Zhou & Yan 2024", "experiment 1")
    coordinates = ("x", "t")

    data: str = choice("kink", "breather")
    speed: float = number(0.5, "a kink is slower than light: choose -1 < speed < 1", when=lambda v: abs(v) < 1)
    frequency: float = number(0.6, "a breather needs 0 < frequency < 1", when=lambda w: 0 < w < 1)

    @property
    def domain(self) -> Box:
        return Box((-5.0, 0.0), (5.0, 5.0))

    @property
    def terms(self) -> tuple[Term, ...]:
        start = self.domain.face(1, 0.0)
        return (
            Term("interior", self.domain, 300, (dt**2 - dx**2, identity(2)), self._residual, self._partials),
            Term.linear("initial", start, 100, identity(2), self.solution),
            Term.linear("velocity", start, 100, dt, self._velocity),
            Term.linear("boundary", self.domain.faces(0), 100, identity(2), self.solution),
        )

    def _residual(self, points: Array, wave: Field, u: Field, *, xp: Namespace) -> Array:
        return wave[0, ...] + xp.sin(u[0, ...])

    def _partials(self, points: Array, wave: Field, u: Field, *, xp: Namespace) -> Sequence[Array]:
        return xp.ones_like(u)[..., None], xp.cos(u)[..., None]

    @property
    def _rate(self) -> float:
        """How fast the solution decays in x: γ of the kink, ρ of the breather."""
        return 1 / math.sqrt(1 - self.speed**2) if self.data == "kink" else math.sqrt(1 - self.frequency**2)

    def _velocity(self, points: Array, *, xp: Namespace) -> Array:
        """u_t at t = 0, for both solutions a hyperbolic secant."""
        height = -2 * self.speed * self._rate if self.data == "kink" else 4 * self._rate
        return columns(height / xp.cosh(self._rate * points[:, 0]), xp=xp)

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        x, t = points[:, 0], points[:, 1]
        if self.data == "kink":
            return columns(4 * xp.atan(xp.exp(self._rate * (x - self.speed * t))), xp=xp)
        swing = self._rate / self.frequency * xp.sin(self.frequency * t)
        return columns(4 * xp.atan(swing / xp.cosh(self._rate * x)), xp=xp)
