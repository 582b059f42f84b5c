"""Gram products of an affine map: how K is had without J (primitives of the reference engine).

With the jet A that enters an affine map and the adjoints D behind it, row (i, r) of J restricted to W is `s Σ_c A_c,i ⊗ D_c,r,i`,
and to b it is `B_r,i`, the adjoint on the value channel. So its share of the kernel is

    s² Σ_c,e (A_c,i · A_e,j) (D_c,r,i · D_e,q,j)  +  B_r,i · B_q,j,

where c and e run over the channels (and over the sites of a row that joins several points). For networks without derivatives this
is Goodfellow's per-example-norm trick (2015).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..arrays import Array, Namespace


@dataclass(frozen=True)
class RowFactors:
    """The rows of J that belong to one affine map and a stretch of points, unmultiplied.

    A is (C, n, in), D is (C, m, n, out), B is (m, n, out); m components per point, rows in the order point, component.
    """

    A: Array
    D: Array
    B: Array
    scale: float

    def __getitem__(self, points: slice) -> RowFactors:
        """The factors of some of the points."""
        return RowFactors(self.A[:, points, :], self.D[:, :, points, :], self.B[:, points, :], self.scale)

    @property
    def points(self) -> int:
        """How many points these factors cover."""
        return self.A.shape[1]

    def dense(self, *, xp: Namespace) -> Array:
        """The rows multiplied out, (n m, in·out + out)."""
        a = xp.permute_dims(self.A, (1, 2, 0))[:, None, :, :]  # (n, 1, in, C)
        d = xp.permute_dims(self.D, (2, 1, 0, 3))  # (n, m, C, out)
        W = self.scale * xp.matmul(a, d)  # (n, m, in, out)
        n, m, fan_in, fan_out = W.shape
        b = xp.reshape(xp.permute_dims(self.B, (1, 0, 2)), (n * m, fan_out))
        return xp.concat([xp.reshape(W, (n * m, fan_in * fan_out)), b], axis=1)


def tile(points: int, size: int) -> int:
    """How many points of a term, `size` bytes each, to carry through the network at once: all, if memory allows."""
    return points


def weigh(factors: RowFactors, weights: Array, *, xp: Namespace) -> RowFactors:
    """The factors of `Σ_r weights_(i,r) row_(i,r)` at every point i, weights (n m,): one combination instead of m rows."""
    m = factors.D.shape[1]
    w = xp.reshape(weights, (factors.points, m)).T[..., None]  # (m, n, 1)
    D = xp.sum(factors.D * w, axis=1, keepdims=True)
    return RowFactors(factors.A, D, xp.sum(factors.B * w, axis=0, keepdims=True), factors.scale)


def combine(stretches: Sequence[Sequence[RowFactors]], shares: Sequence[float | Array] | None = None, *, xp: Namespace) -> Array:
    """The sums over all points of S combinations of rows, (S, p): `W_l: s_l Σ_c A_cᵀ D_c`, `b_l: Σ B`.

    A stretch counts with its share: a number, or one for each row (n m,), which makes one combination of its m rows a point.
    Cost: one matrix product per affine map and stretch; no row is multiplied out.
    """
    total = 0.0
    for factors, share in zip(stretches, [1.0] * len(stretches) if shares is None else shares, strict=True):
        if isinstance(share, float):
            total = total + share * xp.concat([_summed(f, xp) for f in factors], axis=1)
        else:
            total = total + xp.concat([_summed(weigh(f, share, xp=xp), xp) for f in factors], axis=1)
    return total


def _summed(factors: RowFactors, xp: Namespace) -> Array:
    count, width = factors.D.shape[1], factors.D.shape[3]
    columns = xp.reshape(xp.permute_dims(factors.D, (1, 0, 2, 3)), (count, -1, width))  # (S, C n, out)
    W = factors.scale * (_rows(factors.A, xp).T @ columns)  # (in, C n) @ (S, C n, out)
    return xp.concat([xp.reshape(W, (count, -1)), xp.sum(factors.B, axis=1)], axis=1)


def point_gram(factors: RowFactors, *, xp: Namespace) -> Array:
    """The share of the kernel's diagonal, (n m,). Cost: C² dot products per point and component."""
    a = xp.permute_dims(factors.A, (1, 0, 2))  # (n, C, in)
    d = xp.permute_dims(factors.D, (2, 1, 0, 3))  # (n, m, C, out)
    inner = xp.matmul(a, xp.permute_dims(a, (0, 2, 1)))[:, None, :, :]  # (n, 1, C, C)
    outer = xp.matmul(d, xp.permute_dims(d, (0, 1, 3, 2)))  # (n, m, C, C)
    gram = factors.scale**2 * xp.sum(inner * outer, axis=(-2, -1)) + xp.sum(factors.B * factors.B, axis=-1).T
    return xp.reshape(gram, (-1,))


def pair_gram(left: RowFactors, right: RowFactors, *, xp: Namespace) -> Array:
    """The share of the kernel between two stretches, (n m, n' m').

    Cost: one product of the (n C, in) inputs and one of the (n C m, out) adjoints; the number of parameters never appears.
    Memory: C² (n m) (n' m') numbers, so callers cut stretches into tiles.
    """
    (C, m, n, _), (E, q, k, _) = left.D.shape, right.D.shape
    inner = xp.reshape(_rows(left.A, xp) @ _rows(right.A, xp).T, (C, 1, n, E, 1, k))
    outer = xp.reshape(_rows(left.D, xp) @ _rows(right.D, xp).T, (C, m, n, E, q, k))
    bias = xp.reshape(_rows(left.B, xp) @ _rows(right.B, xp).T, (m, n, q, k))
    gram = left.scale * right.scale * xp.sum(inner * outer, axis=(0, 3)) + bias
    return xp.reshape(xp.permute_dims(gram, (1, 0, 3, 2)), (n * m, k * q))


def _rows(array: Array, xp: Namespace) -> Array:
    """All leading axes as one: (..., width) -> (rows, width)."""
    return xp.reshape(array, (math.prod(array.shape[:-1]), array.shape[-1]))  # -1 would not do for a width of 0
