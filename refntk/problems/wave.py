"""The wave equation of Hirsch & Pichi, section 5.2.2 (after Wang, Yu & Perdikaris): two frequencies, hard without weights."""

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
class Wave(Problem):
    """`u_tt = c² u_xx` on (0, 1)², zero at both ends, released at rest."""

    name = "wave"
    title = "u_tt - c² u_xx = 0"
    source = ("Hirsch & Pichi 2025", "5.2.2")
    coordinates = ("x", "t")

    c: float = positive(2.0)

    @property
    def domain(self) -> Box:
        return Box((0.0, 0.0), (1.0, 1.0))

    @property
    def terms(self) -> tuple[Term, ...]:
        start = self.domain.face(1, 0.0)
        return (
            Term.linear("interior", self.domain, 300, dt**2 - self.c**2 * dx**2),
            Term.linear("initial", start, 100, identity(2), self._initial),
            Term.linear("velocity", start, 300, dt),
            Term.linear("boundary", self.domain.faces(0), 200, identity(2)),
        )

    def _initial(self, points: Array, *, xp: Namespace) -> Array:
        x = points[:, 0]
        return columns(xp.sin(xp.pi * x) + xp.sin(4 * xp.pi * x) / 2, xp=xp)

    def solution(self, points: Array, *, xp: Namespace = np) -> Array:
        x, t = points[:, 0], self.c * points[:, 1]
        slow = xp.sin(xp.pi * x) * xp.cos(xp.pi * t)
        fast = xp.sin(4 * xp.pi * x) * xp.cos(4 * xp.pi * t)
        return columns(slow + fast / 2, xp=xp)
