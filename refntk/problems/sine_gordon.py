"""The sine-Gordon equation, of Zhou & Yan's two experiments the first: an initial-value problem with a term that is no monomial.

Homogeneity: ∂r/∂(u_tt - u_xx, u) = (1, cos u). cos u is no polynomial and multiplies u itself, so their theorem asks for s ≥ 1.

The paper's domain, data and numbers of points are not public. Ours: (-5, 5) × (0, 5), a kink or a breather, 300 points inside and
100 on each condition.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import arrays
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

    def _rate(self, points: Array, xp: Namespace) -> Array:
        """How fast the solution decays in x, without axes: γ of the kink, ρ of the breather."""
        if self.data == "kink":
            speed = arrays.like(self.speed, points, xp=xp)
            return 1 / xp.sqrt(1 - speed * speed)
        frequency = arrays.like(self.frequency, points, xp=xp)
        return xp.sqrt(1 - frequency * frequency)

    def _velocity(self, points: Array, *, xp: Namespace) -> Array:
        """u_t at t = 0, for both solutions a hyperbolic secant."""
        rate = self._rate(points, xp)
        height = -2 * self.speed * rate if self.data == "kink" else 4 * rate
        return columns(height / xp.cosh(rate * points[:, 0]), xp=xp)

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        x, t, rate = points[:, 0], points[:, 1], self._rate(points, xp)
        if self.data == "kink":
            return columns(4 * xp.atan(xp.exp(rate * (x - self.speed * t))), xp=xp)
        swing = rate / self.frequency * xp.sin(self.frequency * t)
        return columns(4 * xp.atan(swing / xp.cosh(rate * x)), xp=xp)
