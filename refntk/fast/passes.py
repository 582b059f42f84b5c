"""A jet through one activation, in numba: kernels written from the table, one fused loop for each pass.

The same table that the reference loops over is spelled out as source (`calculus.expression`) and compiled: every channel of a point
is read once, all products stay in registers, every result is written once. The transcendental functions stay with NumPy, whose tanh
and exp are vectorised where numba's are not; they see only the value channel.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from numba import njit

from ..arrays import Array, Namespace
from ..calculus import expression
from ..calculus.activation import Activation
from ..calculus.expression import Pass
from ..calculus.jet import Table
from .buffers import empty
from .compiled import Kernel, compiled


def activate(table: Table, activation: Activation, z: Array, *, xp: Namespace, bias: Array | None = None) -> tuple[Array, Any]:
    """Twin of `calculus.passes.activate`, with a bias (width,) to be added to the value channel. z is used up: its value channel,
    which no pass reads again, makes room for a generator.
    """
    out = empty((len(table.rows), *z.shape[1:]), z.dtype)
    if activation.name == "tanh":
        generators = _tanh(z[0], bias, out[0] if _tells_value(table) else empty(z.shape[1:], z.dtype))
    else:
        if bias is not None:
            z[0] += bias
        generators = activation.generators(z[0], xp=np)
    forward_kernel(table, activation)(z, *generators, out)
    return out, (activation, generators, z)


def _tells_value(table: Table) -> bool:
    """Whether the first channel that comes out is σ itself."""
    return expression.forward(table).rows[0] == "s0"


def _tanh(x: Array, bias: Array | None, t: Array) -> tuple[Array, Array]:
    """`tanh(x + bias)` in t and `exp(-2|x + bias|)` in x: where they stay, for every walk through memory is time; see `FINISH`."""
    _shift(x, np.zeros(x.shape[1], dtype=x.dtype) if bias is None else bias, t)
    return np.tanh(t, out=t), np.exp(x, out=x)


@njit(nogil=True, cache=True, error_model="numpy")
def _shift(x: Any, bias: Any, t: Any) -> None:
    """`t ← x + bias` and `x ← -2|t|`."""
    for i in range(x.shape[0]):
        for u in range(x.shape[1]):
            t[i, u] = x[i, u] + bias[u]
            x[i, u] = -2 * abs(t[i, u])


FINISH = {
    "tanh": ("g1 = T(4.0) * g1 / ((T(1.0) + g1) * (T(1.0) + g1))", "G1[i, u] = g1")
}  # σ' from exp(-2|x|), in the forward pass


def activate_tangent(table: Table, saved: Any, dz: Array, *, xp: Namespace) -> Array:
    """Twin of `calculus.passes.activate_tangent`."""
    return _linear(tangent_kernel(table, saved[0]), len(table.rows), saved, dz)


def activate_adjoint(table: Table, saved: Any, da: Array, *, xp: Namespace) -> Array:
    """Twin of `calculus.passes.activate_adjoint`."""
    return _linear(adjoint_kernel(table, saved[0]), table.inputs, saved, da)


def _linear(kernel: Kernel, channels: int, saved: Any, other: Array) -> Array:
    _, generators, z = saved
    batched = other if other.ndim == 4 else other[:, None]
    out = empty((channels, *batched.shape[1:]), z.dtype)
    kernel(z, *generators, np.ascontiguousarray(batched), out)
    return out if other.ndim == 4 else out[:, 0]


@cache
def forward_kernel(table: Table, activation: Activation) -> Kernel:
    """`out[c] = Σ terms`, arguments (z, *generators, out)."""
    finish = FINISH.get(activation.name, ())
    return compiled(_source(expression.forward(table), activation, finish, skip=bool(finish) and _tells_value(table)), "contract")


@cache
def tangent_kernel(table: Table, activation: Activation) -> Kernel:
    """`out[c] = Σ_g (∂a_c/∂z_g) other[g]`, arguments (z, *generators, other, out)."""
    return compiled(_source(expression.tangent(table), activation), "contract")


@cache
def adjoint_kernel(table: Table, activation: Activation) -> Kernel:
    """`out[g] = Σ_c (∂a_c/∂z_g) other[c]`, arguments (z, *generators, other, out)."""
    return compiled(_source(expression.adjoint(table), activation), "contract")


def _source(what: Pass, activation: Activation, finish: Iterable[str] = (), *, skip: bool = False) -> str:
    """The kernel: loops over points, batch and width, loads, derivatives of σ, rows, stores; `skip` the first, which is there."""
    generators = [f"G{i}" for i in range(len(activation.rules))]
    batch = "s, " if what.sources else ""
    lines = [
        f"def kernel({', '.join(['z', *generators, *(['other'] if batch else []), 'out'])}):",
        "    T = z.dtype.type",
        "    for i in range(z.shape[1]):",
        "        for s in range(out.shape[1]):" if batch else "        if True:",
        "            for u in range(z.shape[2]):",
    ]
    body = [f"g{i} = {name}[i, u]" for i, name in enumerate(generators)]
    body += [*finish, *(f"z{f} = z[{f}, i, u]" for f in what.factors)]
    body += [f"o{c} = other[{c}, s, i, u]" for c in what.sources]
    body += expression.derivatives(activation, what.orders)
    body += [f"out[{c}, {batch}i, u] = {row}" for c, row in enumerate(what.rows) if c or not skip]
    return "\n".join(lines + [" " * 16 + line for line in body]) + "\n"
