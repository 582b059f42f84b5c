"""The Q-tensor flow of liquid crystals, Hirsch & Pichi, section 5.2.3: two outputs, two components per point, nonlinear.

Q = [[q₁, q₂], [q₂, -q₁]] is symmetric and trace-free, so Tr(Q²) = 2 |q|² and the equation acts on q = (q₁, q₂). The paper names
no values of L, a and c; these follow earlier public code of one of its authors and are parameters for that reason.
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
from .parameter import positive

dx, dy, dt = partials(3)


@dataclass(frozen=True, kw_only=True)
class QTensor(Problem):
    """`Q_t = L ΔQ - a Q - c Tr(Q²) Q` on (-2, 2)² × (0, end), zero on the sides."""

    name = "qtensor"
    title = "Q_t = L ΔQ - a Q - c Tr(Q²) Q"
    source = ("Hirsch & Pichi 2025", "5.2.3")
    coordinates = ("x", "y", "t")
    outputs = 2

    L: float = positive(0.1)
    a: float = -0.2
    c: float = 1.0
    end: float = positive(2.0)

    @property
    def domain(self) -> Box:
        return Box((-2.0, -2.0, 0.0), (2.0, 2.0, self.end))

    @property
    def terms(self) -> tuple[Term, ...]:
        flow = dt - self.L * (dx**2 + dy**2)
        return (
            Term("interior", self.domain, 300, (flow, identity(3)), self._residual, self._partials, components=2),
            Term.linear("initial", self.domain.face(2, 0.0), 300, identity(3), self._initial, outputs=2),
            Term.linear("boundary", self.domain.faces(0, 1), 40, identity(3), outputs=2),
        )

    def _residual(self, points: Array, flow: Field, q: Field, *, xp: Namespace) -> Array:
        """R = q_t - L Δq + (a + 2c |q|²) q."""
        q = q[0, ...]
        return flow[0, ...] + (self.a + 2 * self.c * xp.sum(q * q, axis=-1, keepdims=True)) * q

    def _partials(self, points: Array, flow: Field, q: Field, *, xp: Namespace) -> Sequence[Array]:
        """∂r/∂flow = I and ∂r/∂q = (a + 2c |q|²) I + 4c q qᵀ."""
        unit = arrays.like(np.eye(2), q, xp=xp)
        square = xp.sum(q * q, axis=-1)[..., None, None]
        return unit, (self.a + 2 * self.c * square) * unit + 4 * self.c * q[..., :, None] * q[..., None, :]

    def _initial(self, points: Array, *, xp: Namespace) -> Array:
        """Q₀ = d dᵀ - |d|²/2 I, so q₁ = (d₁² - d₂²)/2 and q₂ = d₁ d₂."""
        x, y = points[:, 0], points[:, 1]
        bump, ripple = (4 - x * x) * (4 - y * y), xp.sin(xp.pi * x) * xp.sin(xp.pi * y)
        norm = 1 + bump * bump + ripple * ripple
        return columns((bump * bump - ripple * ripple) / (2 * norm), bump * ripple / norm, xp=xp)
