"""Where training stands: θ and the points of one step, and what is asked about them, each computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from .. import arrays
from ..arrays import Array
from ..calculus.network import MLP
from ..estimation.difference import slopes
from ..kernel import ntk as kernel
from ..kernel.linearization import linearize
from ..kernel.operator import Linearization
from ..kernel.residual import row_scales
from ..natural import Curved
from ..problems.base import Problem


@dataclass(frozen=True)
class Position:
    """A problem's residual at `theta` (p,) and `points`; nothing is computed before it is asked for, nothing twice.

    Whoever asks for `traces` opens the row space: one adjoint pass, seeded with R, from which any Jᵀ v then costs a matrix product.
    Otherwise Jᵀ v is an adjoint pass seeded with v. The two agree up to rounding.
    """

    problem: Problem
    network: MLP | None
    theta: Array
    points: Mapping[str, Array]
    scaling: str
    engine: str
    quadrature: Mapping[str, Array] | None = None

    def moved(self, theta: Array) -> Position:
        """The same points at other parameters."""
        return replace(self, theta=theta)

    @cached_property
    def lin(self) -> Linearization:
        """R and J."""
        how: dict[str, Any] = {"scaling": self.scaling, "quadrature": self.quadrature, "engine": self.engine}
        return linearize(self.problem, self.network, self.theta, self.points, **how)

    @cached_property
    def rows(self) -> kernel.RowSpace:
        """One adjoint pass, kept."""
        return kernel.RowSpace(self.lin)

    @cached_property
    def traces(self) -> dict[str, float]:
        """Tr K_kk of the full kernel; opens the row space."""
        return self.rows.traces

    def traces_aside(self) -> dict[str, float]:
        """The same traces without opening the row space, so that looking at them does not change the last bits of training."""
        return self.traces if "rows" in vars(self) else kernel.ntk_traces(self.lin)

    @cached_property
    def losses(self) -> dict[str, float]:
        """`½ ‖r_k‖²` for every term, or what its rows count for."""
        xp, r = arrays.namespace(self.lin.residual), self.lin.residual
        found = {name: float(xp.sum(values)) for name, (values, _, _) in self.potentials.items()}
        return {name: found[name] if name in found else float(xp.sum(r[b] ** 2)) / 2 for name, b in self.lin.blocks.items()}

    @cached_property
    def potentials(self) -> dict[str, tuple[Array, Array, Array]]:
        """The loss of every scaled row and its two derivatives by it, (n_k,) each, for terms whose rows do not count with ½ r²."""
        found: dict[str, tuple[Array, Array, Array]] = {}
        for term in self.problem.terms:
            if term.loss is not None:
                xp, points = arrays.namespace(self.lin.residual), self.points[term.name]
                scale = row_scales(self.problem, self.points, self.scaling, self.quadrature)[term.name]  # s r with the loss s² ℓ(r)
                s = scale if isinstance(scale, float) else scale[:, None]
                r = xp.reshape(self.lin.residual[self.lin.blocks[term.name]], (points.shape[0], -1)) / s
                values, slopes, curvatures = term.loss(points, r, xp=xp)
                found[term.name] = tuple(xp.reshape(a, (-1,)) for a in (s * s * values, s * slopes, curvatures))
        return found

    def cotangent(self, weights: Mapping[str, float]) -> Array:
        """The derivative of the loss by R, (n,): `Λ R` but for terms with a loss of their own."""
        xp, r = arrays.namespace(self.lin.residual), self.lin.residual
        return xp.concat(
            [weights[k] * (self.potentials[k][1] if k in self.potentials else r[b]) for k, b in self.lin.blocks.items()]
        )

    def loss(self, weights: Mapping[str, float]) -> float:
        """`½ Σ λ_k ‖r_k‖²`."""
        return sum(weights[name] * half for name, half in self.losses.items())

    def spread(self, values: Mapping[str, float]) -> Array:
        """One number per term, repeated over its rows, (n,)."""
        xp = arrays.namespace(self.lin.residual)
        parts = [arrays.zeros((b.stop - b.start,), self.lin.residual, xp=xp) + values[name] for name, b in self.lin.blocks.items()]
        return xp.concat(parts)

    def weighted(self, weights: Mapping[str, float]) -> Linearization:
        """R and J for the weighted loss: rows scaled by the roots of its curvature."""
        if not self.potentials and all(weight == 1 for weight in weights.values()):
            return self.lin
        xp, curvature = arrays.namespace(self.lin.residual), self.spread(weights)
        parts = [curvature[b] * self.potentials[k][2] if k in self.potentials else curvature[b] for k, b in self.lin.blocks.items()]
        return Curved(self.lin, xp.concat(parts), self.cotangent(weights))

    def pull(self, vector: Array) -> Array:
        """Jᵀ v for v (n,): (p,)."""
        return self.rows.combine(vector) if "rows" in vars(self) else self.lin.jacobian.T @ vector

    def push(self, direction: Array, dt: float | None) -> Array:
        """J d (n,) for a direction d (p,): exact, or Algorithm 2's `(R(θ + Δt d) - R(θ)) / Δt`, which costs a forward pass."""
        if dt is None:
            return self.lin.jacobian @ direction
        start = self.lin.residual
        return slopes(lambda theta: self.moved(theta).lin.residual, self.theta, direction[:, None], dt, start=start)[:, 0]

    def gradient(self, weights: Mapping[str, float]) -> Array:
        """`∇ ½ Σ λ_k ‖r_k‖² = Jᵀ Λ R`, (p,)."""
        if self.potentials:
            return self.pull(self.cotangent(weights))
        return (self.rows if "rows" in vars(self) else self.lin).gradient(weights)
