"""Gram products of an affine map in numba: twins of `kernel.gram`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from ..arrays import Array, Namespace
from ..kernel import gram
from ..kernel.gram import RowFactors
from . import pool
from .blas import add_product
from .buffers import empty
from .compiled import Kernel, compiled

REORDER = ("reassoc", "contract")  # lets a dot product use vector lanes; the order is fixed when the kernel is compiled
SPELLED = 12  # channels; sixteen take 6 s to compile and are hardly faster then


def point_gram(factors: RowFactors, *, xp: Namespace) -> Array:
    """Twin of `kernel.gram.point_gram`, to which many channels are left."""
    if len(factors.D) > SPELLED:
        return gram.point_gram(factors, xp=xp)
    out = np.empty((factors.points, factors.D.shape[1]), dtype=factors.D.dtype)
    point_kernel(len(factors.D))(factors.A, factors.D, factors.B, factors.scale**2, out)
    return out.reshape(-1)


@cache
def point_kernel(channels: int) -> Kernel:
    """`out[i, r] = square Σ_c,e (A_c,i · A_e,i)(D_c,r,i · D_e,r,i) + |B_r,i|²`, arguments (A, D, B, square, out).

    The products of all pairs of channels are summed in one walk along the rows, each channel read once: 64 μs for 150 points of
    four channels, 500 wide, where a walk for every pair takes 151.
    """
    pairs = [(c, e) for c in range(channels) for e in range(c + 1)]

    def walk(name: str, row: str) -> list[str]:
        """The dot products of all pairs of channels, as lines."""
        sums = [f"{name}{c}_{e} = T(0)" for c, e in pairs]
        reads = [f"x{c} = {name}[{c}, {row}, u]" for c in range(channels)]
        adds = [f"{name}{c}_{e} += x{c} * x{e}" for c, e in pairs]
        return [*sums, f"for u in range({name}.shape[-1]):", *(" " + line for line in reads + adds)]

    total = " + ".join(f"{1 if c == e else 2} * A{c}_{e} * D{c}_{e}" for c, e in pairs)
    points = [
        *walk("A", "i"),
        "for r in range(D.shape[1]):",
        *(" " + line for line in walk("D", "r, i")),
        " b = T(0)",
        " for u in range(B.shape[2]):",
        "  b += B[r, i, u] * B[r, i, u]",
        f" out[i, r] = square * ({total}) + b",
    ]
    head = ["def kernel(A, D, B, square, out):", " T = out.dtype.type", " for i in range(D.shape[2]):"]
    return compiled("\n".join(head + ["  " + line for line in points]) + "\n", *REORDER)


@njit(nogil=True, cache=True, fastmath=set(REORDER), error_model="numpy")
def _pair_sum(inner: Any, outer: Any, bias: Any, scale: float, out: Any) -> None:
    """out[i, r, j, q] = scale Σ_c,e inner[c, i, e, j] outer[c, r, i, e, q, j] + bias[r, i, q, j]."""
    channels, m, n, others, k, _ = outer.shape[0], outer.shape[1], outer.shape[2], outer.shape[3], outer.shape[4], 0
    columns = outer.shape[5]
    row = np.empty(columns, dtype=out.dtype)
    for i in range(n):
        for r in range(m):
            for q in range(k):
                for j in range(columns):
                    row[j] = 0.0
                for c in range(channels):
                    for e in range(others):
                        for j in range(columns):
                            row[j] += inner[c, i, e, j] * outer[c, r, i, e, q, j]
                for j in range(columns):
                    out[i, r, j, q] = scale * row[j] + bias[r, i, q, j]


def pair_gram(left: RowFactors, right: RowFactors, *, xp: Namespace) -> Array:
    """Twin of `kernel.gram.pair_gram`."""
    (C, m, n, _), (E, q, k, _) = left.D.shape, right.D.shape
    inner = _product(left.A, right.A).reshape(C, n, E, k)
    outer = _product(left.D, right.D).reshape(C, m, n, E, q, k)
    bias = _product(left.B, right.B).reshape(m, n, q, k)
    out = np.empty((n, m, k, q), dtype=left.D.dtype)
    _pair_sum(inner, outer, bias, left.scale * right.scale, out)
    return out.reshape(n * m, k * q)


def _product(left: Array, right: Array) -> Array:
    """All rows of one against all rows of the other; NumPy sends a matrix against its own transpose to syrk."""
    x = left.reshape(-1, left.shape[-1])
    return np.dot(x, (x if right is left else right.reshape(-1, right.shape[-1])).T)


def weigh(factors: RowFactors, weights: Array, *, xp: Namespace) -> RowFactors:
    """Twin of `kernel.gram.weigh`. With one component the narrower of A and D takes the weights."""
    A, D, B = factors.A, factors.D, factors.B
    if D.shape[1] == 1:
        column = weights[:, None]
        slim = A.shape[-1] < D.shape[-1]
        return RowFactors(_times(A, column) if slim else A, D if slim else _times(D, column), B * column, factors.scale)
    w = weights.reshape(factors.points, -1).T[..., None]  # (m, n, 1)
    return RowFactors(A, (D * w).sum(axis=1, keepdims=True), (B * w).sum(axis=0, keepdims=True), factors.scale)


def _times(array: Array, column: Array) -> Array:
    return np.multiply(array, column, out=empty(array.shape, array.dtype))


def combine(stretches: Sequence[Sequence[RowFactors]], shares: Sequence[float | Array] | None = None, *, xp: Namespace) -> Array:
    """Twin of `kernel.gram.combine`: affine maps, or blocks of their rows, side by side; stretches one after the other in place,
    each weighed, where it has to be, right before its product.
    """
    first, shares = stretches[0], [1.0] * len(stretches) if shares is None else shares
    count = first[0].D.shape[1] if all(isinstance(share, float) for share in shares) else 1
    shapes = [(f.A.shape[-1], f.D.shape[-1]) for f in first]
    out = empty((count, sum((fan_in + 1) * fan_out for fan_in, fan_out in shapes)), first[0].D.dtype)
    tasks, start = [], 0
    blocks, largest = _blocks(tuple(shapes), os.cpu_count() or 1), max(fan_in * fan_out for fan_in, fan_out in shapes)
    for layer, (fan_in, fan_out) in zip(zip(*stretches, strict=True), shapes, strict=True):
        W = out[:, start : start + fan_in * fan_out].reshape(count, fan_in, fan_out)
        b = out[:, start + fan_in * fan_out : start + (fan_in + 1) * fan_out]
        size = -(-fan_in // max(1, blocks * fan_in * fan_out // largest))  # what is small stays whole
        tasks += [(layer, shares, slice(low, min(low + size, fan_in)), W, b) for low in range(0, fan_in, size)]
        start += (fan_in + 1) * fan_out
    pool.map(_fill, sorted(tasks, key=lambda task: (task[2].stop - task[2].start) * task[3].shape[2], reverse=True))
    return out


@cache
def _blocks(shapes: tuple[tuple[int, int], ...], cores: int) -> int:
    """Into how many blocks of rows each affine map is cut: few, since every block packs D anew (18 % more work with four), but
    enough to keep the cores of this machine busy to 85 %, whatever the number of threads in use.
    """
    for blocks in (1, 2, 4):
        load = [0] * cores
        for cost in sorted((fan_in * fan_out // blocks for fan_in, fan_out in shapes for _ in range(blocks)), reverse=True):
            load[load.index(min(load))] += cost
        if sum(load) >= 0.85 * cores * max(load):
            return blocks
    return 8


def _fill(task: Any) -> None:
    """One block of rows of dW, and with the first block all of db."""
    layer, shares, block, W, b = task
    for i, (f, share) in enumerate(zip(layer, shares, strict=True)):
        if not isinstance(share, float):
            f, share = weigh(f, share, xp=np), 1.0
        A = f.A.reshape(-1, f.A.shape[-1])[:, block]
        for s in range(W.shape[0]):
            D = np.ascontiguousarray(f.D[:, s]).reshape(-1, f.D.shape[-1])
            add_product(A.T, D, f.scale * share, W[s, block], fresh=i == 0)
        if block.start == 0:
            total = share * f.B.sum(axis=1)
            b[:] = b + total if i else total
