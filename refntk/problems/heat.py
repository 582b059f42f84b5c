"""The heat equation of Best McKay et al., section 5.1 (after Müller & Zeinhofer): smooth, linear, a first test of optimisers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Array, Namespace
from ..calculus.jet import identity, partials
from .base import Problem, Term, columns
from .domain import Box
from .parameter import positive

dx, dt = partials(2)


@dataclass(frozen=True, kw_only=True)
class Heat(Problem):
    """`u_t = k u_xx` on (0, 1)², zero at both ends, `u(x, 0) = sin πx`; u = exp(-π² k t) sin πx, k = `diffusivity`.

    The paper's coordinates are (t, x), ours (x, t).
    """

    name = "heat"
    title = "u_t - k u_xx = 0"
    source = ("Best McKay et al. 2025", "5.1")
    coordinates = ("x", "t")

    diffusivity: float = positive(0.25)

    @property
    def domain(self) -> Box:
        return Box((0.0, 0.0), (1.0, 1.0))

    @property
    def terms(self) -> tuple[Term, ...]:
        return (
            Term.linear("interior", self.domain, 900, dt - self.diffusivity * dx**2),
            Term.linear("initial", self.domain.face(1, 0.0), 30, identity(2), self._initial),
            Term.linear("boundary", self.domain.faces(0), 60, identity(2)),
        )

    def _initial(self, points: Array, *, xp: Namespace) -> Array:
        return columns(xp.sin(xp.pi * points[:, 0]), xp=xp)

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        x, t = points[:, 0], points[:, 1]
        return columns(xp.exp(-(xp.pi**2) * self.diffusivity * t) * xp.sin(xp.pi * x), xp=xp)
