"""A jet through a whole network, twins of `calculus.propagation`: plain matrix products, and the table read by numba in between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..arrays import Array, Namespace
from ..calculus.jet import Jet
from ..calculus.network import MLP, Layer
from ..calculus.propagation import Tape, input_jet, table_behind
from . import passes
from .blas import add_product
from .buffers import empty


def _affine(a: Array, layer: Layer) -> Array:
    """`s a W` for a jet (..., in), as one product over all channels and points."""
    return product(a, layer.W, layer.scale)


def product(a: Array, W: Array, scale: float) -> Array:
    """`scale a W` for a (..., in), W (in, out), as one matrix product."""
    rows = a.reshape(-1, a.shape[-1])
    z = np.dot(rows, W, out=empty((len(rows), W.shape[1]), a.dtype))
    if scale != 1.0:
        z *= scale
    return z.reshape(*a.shape[:-1], W.shape[1])


def forward(network: MLP, layers: Sequence[Layer], jet: Jet, points: Array, *, xp: Namespace) -> Tape:
    """Twin of `calculus.propagation.forward`."""
    a = input_jet(network, jet, points, xp=np)
    if len(layers) == 1:
        a = a[list(jet.live)]
    inputs, saved = [a], []
    for i, layer in enumerate(layers[:-1], start=1):
        z = _affine(a, layer)
        a, keep = passes.activate(jet.last if i == len(layers) - 1 else jet.table, network.activation, z, xp=np, bias=layer.b)
        inputs.append(a)
        saved.append(keep)
    output = _affine(a, layers[-1])
    if jet.live[0] == 0:
        output[0] += layers[-1].b
    return Tape(network, jet, layers, inputs, saved, output)


def tangent(tape: Tape, directions: Sequence[tuple[Array, Array]], *, xp: Namespace) -> Array:
    """Twin of `calculus.propagation.tangent`."""
    da: Array | None = None
    dz: Any = None
    for i, (layer, a, (dW, db)) in enumerate(zip(tape.layers, tape.inputs, directions, strict=True)):
        dz = _spread(a, dW)
        if layer.scale != 1.0:
            dz *= layer.scale
        if da is not None:
            W = np.ascontiguousarray(layer.W)  # θ may be every second number of something
            add_product(da.reshape(-1, da.shape[-1]), W, layer.scale, dz.reshape(-1, dz.shape[-1]))
        last = i == len(tape.layers) - 1
        if not last or tape.jet.live[0] == 0:
            dz[0] += db[:, None, :]
        if not last:
            da = passes.activate_tangent(table_behind(tape, i), tape.saved[i], dz, xp=np)
    return dz


def _spread(a: Array, dW: Array) -> Array:
    """The jet a (C, n, in) along S directions (S, in, out): (C, S, n, out)."""
    if len(dW) == 1:
        return np.dot(a.reshape(-1, a.shape[-1]), dW[0]).reshape(a.shape[0], 1, a.shape[1], -1)
    return np.matmul(a[:, None], dW)


def adjoint(tape: Tape, seeds: Array, *, xp: Namespace) -> list[Array]:
    """Twin of `calculus.propagation.adjoint`."""
    adjoints = [seeds]
    for i in range(len(tape.layers) - 2, -1, -1):
        layer, d = tape.layers[i + 1], adjoints[0]
        da = product(d, layer.W.T, layer.scale)
        adjoints.insert(0, passes.activate_adjoint(table_behind(tape, i), tape.saved[i], da, xp=np))
    return adjoints
