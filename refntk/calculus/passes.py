"""A jet through one activation: forward, tangent and adjoint, three loops over the table (primitives of the reference engine).

The channel axis stands first: z is (C, points, width). Tangents and adjoints may carry a batch axis behind it,
(C, batch, points, width). `saved` is what the forward pass keeps for the other two; no other room looks into it. Where the array
library makes elementwise kernels, each pass is one (`fused.py`), for there every line below would be a walk through all memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import arrays
from ..arrays import Array, Namespace
from . import fused
from .activation import Activation
from .jet import Table, Term


def activate(table: Table, activation: Activation, z: Array, *, xp: Namespace) -> tuple[Array, Any]:
    """The jet (C_out, points, width) of σ(z), and what the other passes need. Cost: one product per factor of the table."""
    if make := arrays.elementwise(xp):
        return fused.activate(table, activation, z, make, xp=xp)
    saved = (activation.derivatives(z[0, ...], table.order + 1, xp=xp), z)
    return xp.stack([_sum(row, *saved) for row in table.rows]), saved


def activate_tangent(table: Table, saved: Any, dz: Array, *, xp: Namespace) -> Array:
    """The tangent `ȧ_c = Σ_g (∂a_c/∂z_g) ż_g`, shape (C_out, ..., points, width)."""
    if make := arrays.elementwise(xp):
        return fused.activate_tangent(table, saved, dz, make, xp=xp)
    return xp.stack(
        [
            sum(_sum(terms, *saved) * dz[g, ...] for (row, g), terms in table.jacobian.items() if row == c)
            for c in range(len(table.rows))
        ]
    )


def activate_adjoint(table: Table, saved: Any, da: Array, *, xp: Namespace) -> Array:
    """The adjoint `z̄_g = Σ_c (∂a_c/∂z_g) ā_c`, shape (C_in, ..., points, width): the same table, transposed."""
    if make := arrays.elementwise(xp):
        return fused.activate_adjoint(table, saved, da, make, xp=xp)
    zero = xp.zeros_like(da[0, ...])
    return xp.stack(
        [
            sum((_sum(terms, *saved) * da[c, ...] for (c, g), terms in table.jacobian.items() if g == channel), start=zero)
            for channel in range(table.inputs)
        ]
    )


def _sum(terms: Sequence[Term], sigma: Sequence[Array], z: Array) -> Array:
    """Σ coefficient · σ^(order) · Π z_f over the terms."""
    products = (math.prod((z[f, ...] for f in t.factors), start=sigma[t.order]) * t.coefficient for t in terms)
    return sum(products, start=next(products))
