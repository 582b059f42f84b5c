"""A jet through a whole network: affine, table, affine, table, …, affine. Forward, tangent, adjoint.

    forward   z_l,c = s_l a_l,c W_l + [c = 0] b_l           a_{l+1} = σ(z_l)
    tangent   ż_l,c = s_l (ȧ_l,c W_l + a_l,c Ẇ_l) + [c = 0] ḃ_l
    adjoint   d_L = seeds,  d_{l-1} = σ-adjoint(s_l d_l W_lᵀ)

The channel axis stands first, a batch of tangents or adjoint seeds second, then points, then width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import arrays
from ..arrays import Array, Namespace
from . import passes
from .jet import Jet, Table
from .network import MLP, Layer


@dataclass(frozen=True)
class Tape:
    """What the forward pass leaves behind.

    `inputs[l]` (C_l, n, width_l) is the jet that enters affine map l; `saved[l]` belongs to the engine;
    `output` (C_live, n, outputs) is the jet of u in the channels that are read out.
    """

    network: MLP
    jet: Jet
    layers: Sequence[Layer]
    inputs: Sequence[Array]
    saved: Sequence[Any]
    output: Array


def input_jet(network: MLP, jet: Jet, points: Array, *, xp: Namespace) -> Array:
    """The jet (C, n, inputs) of the normalised coordinates: the points themselves, unit slopes, and nothing above."""
    value = network.normalize(points, xp=xp)
    slopes = arrays.like(list(zip(*(jet.seed(i) for i in range(jet.dimension)), strict=True)), points, xp=xp)
    slopes = slopes / arrays.like(network.scale, points, xp=xp)  # (C, inputs): the chain rule of the normalisation
    rest = [xp.broadcast_to(slopes[c, ...], value.shape) for c in range(1, len(jet.channels))]
    return xp.stack([value, *rest])


def _with_bias(z: Array, b: Array, *, xp: Namespace) -> Array:
    """Z with b added on channel 0, the only one on which a constant has anything to say."""
    return xp.concat([z[:1, ...] + b, z[1:, ...]])


def forward(network: MLP, layers: Sequence[Layer], jet: Jet, points: Array, *, xp: Namespace) -> Tape:
    """The tape of one forward pass at `points` (n, inputs). Cost: C matrix products per affine map."""
    a = input_jet(network, jet, points, xp=xp)
    if len(layers) == 1:
        a = xp.stack([a[c, ...] for c in jet.live])
    inputs, saved = [a], []
    for i, layer in enumerate(layers[:-1], start=1):
        z = _with_bias(layer.scale * (a @ layer.W), layer.b, xp=xp)
        table = jet.last if i == len(layers) - 1 else jet.table
        a, keep = passes.activate(table, network.activation, z, xp=xp)
        inputs.append(a)
        saved.append(keep)
    last = layers[-1]
    z = last.scale * (a @ last.W)
    output = _with_bias(z, last.b, xp=xp) if jet.live[0] == 0 else z
    return Tape(network, jet, layers, inputs, saved, output)


def tangent(tape: Tape, directions: Sequence[tuple[Array, Array]], *, xp: Namespace) -> Array:
    """The change (C_live, S, n, outputs) of the output jet along S directions `[(Ẇ (S, in, out), ḃ (S, out)), ...]`."""
    da = None
    for i, (layer, a, (dW, db)) in enumerate(zip(tape.layers, tape.inputs, directions, strict=True)):
        dz = a[:, None, ...] @ dW
        if da is not None:
            dz = dz + da @ layer.W
        dz = layer.scale * dz
        last = i == len(tape.layers) - 1
        if not last or tape.jet.live[0] == 0:
            dz = _with_bias(dz, db[:, None, :], xp=xp)
        if last:
            return dz
        da = passes.activate_tangent(table_behind(tape, i), tape.saved[i], dz, xp=xp)
    raise AssertionError("a network has at least one layer")


def adjoint(tape: Tape, seeds: Array, *, xp: Namespace) -> list[Array]:
    """The adjoints `[d_0, ..., d_L]`, d_l of shape (C_l, S, n, width_{l+1}), from seeds (C_live, S, n, outputs)."""
    adjoints = [seeds]
    for i in range(len(tape.layers) - 2, -1, -1):
        layer = tape.layers[i + 1]
        da = layer.scale * (adjoints[0] @ layer.W.T)
        adjoints.insert(0, passes.activate_adjoint(table_behind(tape, i), tape.saved[i], da, xp=xp))
    return adjoints


def table_behind(tape: Tape, i: int) -> Table:
    """The table of the activation behind affine map i."""
    return tape.jet.last if i == len(tape.layers) - 2 else tape.jet.table
