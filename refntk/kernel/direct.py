"""Residuals that are no network: anything with R, J V and Jᵀ W is linearized, weighted and sketched like the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .. import arrays
from .. import engine as engines
from ..arrays import Array
from ..engine import Engine
from ..errors import InvalidInput
from ..problems.base import DirectProblem
from .gram import RowFactors
from .operator import Jacobian, Seeds, pair
from .residual import blocks, row_scales


@dataclass(frozen=True, eq=False)
class DirectLinearization:
    """A residual map at θ, from functions of θ: `residual(theta)` (n,), `jvp(theta, V)` (n, k), `vjp(theta, W)` (p, k).

    `blocks` gives every term its rows, one behind the other from row 0 on; `scales` multiplies the rows, by one number or (n,).
    Raises `InvalidInput` for blocks with gaps and `ShapeError` for a residual that they do not cover.

    >>> import numpy as np, refntk as rn
    >>> A = np.array([[1.0, 2.0], [0.0, 3.0]])
    >>> lin = DirectLinearization(
    ...     lambda theta: A @ theta, lambda theta, V: A @ V, lambda theta, W: A.T @ W, np.ones(2), {"data": slice(0, 2)})
    >>> rn.ntk(lin)
    array([[5., 6.],
           [6., 9.]])
    """

    residual_at: Callable[[Array], Array]
    jvp_at: Callable[[Array, Array], Array]
    vjp_at: Callable[[Array, Array], Array]
    theta: Array
    blocks: Mapping[str, slice]
    scales: Array | float = 1.0

    def __post_init__(self) -> None:
        """Checks the blocks."""
        rows = list(self.blocks.values())
        if not rows or [block.start for block in rows] != [0, *(block.stop for block in rows[:-1])]:
            raise InvalidInput("blocks", self.blocks, "give the terms' slices in the order of the rows, from 0 and without gaps")

    @cached_property
    def engine(self) -> Engine:
        """The reference engine: there is nothing to speed up here."""
        return engines.get("reference", xp=arrays.namespace(self.theta))

    @cached_property
    def residual(self) -> Array:
        """R(θ), scaled rows, (n,)."""
        residual = self.residual_at(self.theta)
        arrays.check_shape("residual", residual, (max(block.stop for block in self.blocks.values()),))
        return residual * self.scales

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p)."""
        return self.residual.shape[0], self.theta.shape[0]

    @property
    def jacobian(self) -> Jacobian:
        """J as an operator."""
        return Jacobian(self)

    @property
    def _columns(self) -> Array | float:
        scales: Any = self.scales  # a number, an array without axes, or one per row
        return scales[:, None] if getattr(scales, "shape", ()) else scales

    def jvp(self, directions: Array) -> Array:
        """J V, (n, k)."""
        return self.jvp_at(self.theta, directions) * self._columns

    def vjp(self, cotangents: Array) -> Array:
        """Jᵀ W, (p, k)."""
        return self.vjp_at(self.theta, cotangents * self._columns)

    def dense(self) -> Array:
        """J, (n, p), from p directions."""
        xp = arrays.namespace(self.theta)
        return self.jvp(
            arrays.like([[float(i == j) for j in range(self.shape[1])] for i in range(self.shape[1])], self.theta, xp=xp)
        )

    @property
    def compact(self) -> bool:
        """J is small enough to be held."""
        return True

    def gradient(self, weights: Mapping[str, float]) -> Array:
        """`Jᵀ Λ R` (p,) with one weight a term."""
        xp = arrays.namespace(self.theta)
        weighted = xp.concat([weights[name] * self.residual[rows] for name, rows in self.blocks.items()])
        return self.vjp(weighted[:, None])[:, 0]

    def factors(
        self, after: int = 0, *, seeds: Seeds | None = None, then: Callable[[slice, list[RowFactors]], Any] = pair
    ) -> Iterable[Any]:
        """J itself as the bias of an affine map without inputs; the Gram products then say K = J Jᵀ."""
        dense = self.dense()
        for rows in self.blocks.values():
            if rows.stop > after:
                J = dense[rows, :] if seeds is None else dense[rows, :] * seeds(rows, self.residual[rows])[:, None]
                J = J[None, None, ...]
                yield then(rows, [RowFactors(J[0, ..., :0], J, J[0, ...], 1.0)])


def linearize(
    problem: DirectProblem,
    network: object,
    theta: Array,
    points: Mapping[str, Array],
    *,
    scaling: str,
    quadrature: Mapping[str, Array] | None,
) -> DirectLinearization:
    """A direct problem at `theta`; the public door is `refntk.linearize`."""
    if network is not None:
        raise InvalidInput("network", type(network).__name__, f"problem {problem.name!r} is no network; pass None")
    arrays.check_shape("theta", theta, (problem.size,))
    checked = problem.check_points(points)
    xp = arrays.namespace(theta, *checked.values())
    arrays.check_finite("theta", theta, xp=xp)
    theta, *widened = arrays.widen(theta, *checked.values(), xp=xp)
    checked = dict(zip(checked, widened, strict=True))
    found = blocks(problem, checked)
    scales = row_scales(problem, checked, scaling, quadrature)
    column = xp.concat([arrays.zeros((rows.stop - rows.start,), theta, xp=xp) + scales[name] for name, rows in found.items()])
    return DirectLinearization(
        lambda t: problem.residual(t, checked, xp=xp),
        lambda t, V: problem.jvp(t, checked, V, xp=xp),
        lambda t, W: problem.vjp(t, checked, W, xp=xp),
        theta,
        found,
        column,
    )
