"""From terms to rows: how the residual R stacks up, how its rows are scaled, and one patch of it at a time.

R holds term after term, point after point, component after component. Row scalings `w`: "sum" leaves rows as they are, so the
loss is `½ Σ_k λ_k ‖r_k‖²`; "mean" multiplies term k by 1/√n_k (n_k its number of rows), so that ‖r_k‖² is a mean square;
"quadrature" multiplies a point's rows by the square root of its quadrature weight, so that ‖r_k‖² approximates an integral.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .. import arrays
from ..arrays import Array, Namespace
from ..calculus import jet as jets
from ..calculus.network import MLP, Layer
from ..calculus.propagation import Tape
from ..engine import Engine
from ..errors import InvalidInput, ShapeError, UnknownNameError
from ..problems.base import Problem, Term
from .gram import RowFactors

SCALINGS = ("sum", "mean", "quadrature")


def blocks(problem: Problem, points: Mapping[str, Array]) -> dict[str, slice]:
    """The rows of every term, `{term: slice}`, in the order of the terms.

    >>> from refntk import problems
    >>> wave = problems.get("wave")
    >>> blocks(wave, wave.sample(rng=17))["velocity"]
    slice(400, 700, None)
    """
    found, start = {}, 0
    for term in problem.terms:
        stop = start + points[term.name].shape[0] * term.components
        found[term.name] = slice(start, stop)
        start = stop
    return found


def row_scales(
    problem: Problem,
    points: Mapping[str, Array],
    scaling: str,
    quadrature: Mapping[str, Array] | None = None,
) -> dict[str, Array | float]:
    """The factor on every term's rows: a number, or (n,) with `quadrature={term: weights (n,)}`.

    Without weights of the caller's own, "quadrature" gives every point of a term the share measure/n of its domain, which is the
    rule of uniform random points and of midpoint grids. Raises `UnknownNameError`, `ShapeError` or `InvalidInput`.
    """
    if scaling not in SCALINGS:
        raise UnknownNameError("scaling", scaling, SCALINGS)
    if quadrature is not None and scaling != "quadrature":
        raise InvalidInput("quadrature", "weights", f"they are used with scaling='quadrature', not {scaling!r}")
    given = {} if quadrature is None else quadrature
    if not isinstance(given, Mapping):
        raise InvalidInput("quadrature", type(given).__name__, "pass a dict {term: weights (n,)}")
    for name in given:
        if name not in points:
            raise UnknownNameError("quadrature", name, points)
    scales: dict[str, Array | float] = {}
    for term in problem.terms:
        x = points[term.name]
        if term.name in given:
            xp = arrays.namespace(x)
            weights = arrays.like(arrays.as_floats(f"quadrature[{term.name!r}]", given[term.name]), x, xp=xp)
            arrays.check_shape(f"quadrature[{term.name!r}]", weights, (x.shape[0],))
            arrays.check_finite(f"quadrature[{term.name!r}]", weights, xp=xp)
            if bool(xp.any(weights < 0)):
                raise InvalidInput(f"quadrature[{term.name!r}]", "negative weights", "rows need their square roots")
            scales[term.name] = xp.sqrt(weights)
        elif scaling == "quadrature":
            scales[term.name] = math.sqrt(term.domain.measure / x.shape[0])
        else:
            scales[term.name] = 1.0 if scaling == "sum" else 1 / math.sqrt(x.shape[0] * term.components)
    return scales


@dataclass(frozen=True)
class Patch:
    """Some points of one term, and the rows of R that belong to them."""

    term: Term
    network: MLP
    points: Array
    scale: Array | float
    rows: slice
    collapse: bool | None = None

    @cached_property
    def jet(self) -> jets.Jet:
        """The jet from which the term's operators are read off."""
        return jets.jet(self.term.operators, self.collapse)

    def forward(self, layers: Sequence[Layer], *, engine: Engine, xp: Namespace) -> Evaluation:
        """The patch evaluated at the parameters in `layers`. Cost: one forward pass."""
        sites = self.term.sites(self.points, xp=xp)  # (sites, n, dimension)
        flat = xp.reshape(sites, (-1, sites.shape[-1]))
        tape = engine.forward(self.network, layers, self.jet, flat, xp=xp)
        return Evaluation(self, tape, _fields(tape.output, self, sites.shape[0], xp=xp))


def _fields(output: Array, patch: Patch, sites: int, *, xp: Namespace) -> list[Array]:
    """The operators applied to u, (sites, ..., n, outputs) each, from the live channels (C_live, ..., sites n, outputs)."""
    fields = []
    for combination in patch.jet.readout:
        field = sum(output[c, ...] * coefficient for c, coefficient in combination)
        split = xp.reshape(field, (*field.shape[:-2], sites, -1, field.shape[-1]))
        fields.append(xp.moveaxis(split, -3, 0))
    return fields


@dataclass(frozen=True)
class Evaluation:
    """A patch at given parameters: the tape of its forward pass and its fields, from which residual and derivatives follow."""

    patch: Patch
    tape: Tape
    fields: Sequence[Array]

    def residual(self, *, xp: Namespace) -> Array:
        """The scaled rows, (n m,)."""
        r = self.patch.term.residual(self.patch.points, *self.fields, xp=xp)
        if r.shape != (self.patch.points.shape[0], self.patch.term.components):
            raise ShapeError(
                f"residual of term {self.patch.term.name!r}",
                f"shape {tuple(r.shape)}",
                f"expected (points, components) = ({self.patch.points.shape[0]}, {self.patch.term.components})",
            )
        return xp.reshape(r * self._scale(1), (-1,))

    def partials(self, *, xp: Namespace) -> list[Array]:
        """∂(scaled rows)/∂field, one (sites, n, m, outputs) for each field."""
        found = self.patch.term.partials(self.patch.points, *self.fields, xp=xp)
        return [
            xp.broadcast_to(p * self._scale(2), (*f.shape[:2], self.patch.term.components, f.shape[-1]))
            for p, f in zip(found, self.fields, strict=True)
        ]

    def _scale(self, trailing: int) -> Array | float:
        """The row scale, ready to multiply arrays with `trailing` axes behind the points."""
        scale = self.patch.scale
        return scale if isinstance(scale, float) else scale[(..., *(None,) * trailing)]

    def tangent(self, directions: Sequence[tuple[Array, Array]], *, engine: Engine, xp: Namespace) -> Array:
        """The rows of J V for S directions, (S, n m). Cost: one tangent pass for each."""
        doutput = engine.tangent(self.tape, directions, xp=xp)
        dfields = _fields(doutput, self.patch, self.fields[0].shape[0], xp=xp)  # (sites, S, n, outputs)
        partials = self.partials(xp=xp)
        rows = sum(
            xp.sum(p[:, None, ...] * df[:, :, :, None, :], axis=(0, -1)) for p, df in zip(partials, dfields, strict=True)
        )  # (S, n, m)
        return xp.reshape(rows, (rows.shape[0], -1))

    def _seeds(self, cotangents: Array, *, xp: Namespace) -> Array:
        """Adjoint seeds (C_live, S, sites n, outputs) for cotangents (S, n, m)."""
        sites, n, outputs = self.fields[0].shape
        count = cotangents.shape[0]
        live = [arrays.zeros((count, sites, n, outputs), self.tape.output, xp=xp) for _ in self.tape.jet.live]
        for p, combination in zip(self.partials(xp=xp), self.patch.jet.readout, strict=True):
            pulled = xp.sum(p[None, ...] * cotangents[:, None, :, :, None], axis=-2)  # (S, sites, n, outputs)
            for c, coefficient in combination:
                live[c] = live[c] + pulled * coefficient
        return xp.stack([xp.reshape(channel, (count, sites * n, outputs)) for channel in live])

    def factors(
        self, cotangents: Array | None = None, *, scale: Array | None = None, engine: Engine, xp: Namespace
    ) -> list[RowFactors]:
        """The factors of all rows, each times its `scale` (n m,), or of the S combinations `cotangents` (S, n m) of them at each
        point, map by map.

        Cost: an adjoint pass per component (one seed of ones serves all points at once), or per combination.
        """
        n, m = self.patch.points.shape[0], self.patch.term.components
        if cotangents is None:
            one = arrays.like(np.eye(m)[:, None, :], self.tape.output, xp=xp)
            cotangents = xp.broadcast_to(one, (m, n, m)) if scale is None else one * xp.reshape(scale, (n, m))
        seeds = self._seeds(xp.reshape(cotangents, (-1, n, m)), xp=xp)
        adjoints = engine.adjoint(self.tape, seeds, xp=xp)
        sites = self.fields[0].shape[0]
        return [self._factor(i, d, sites, xp=xp) for i, d in enumerate(adjoints)]

    def _factor(self, i: int, d: Array, sites: int, *, xp: Namespace) -> RowFactors:
        """Affine map i, with the sites of a row among its channels."""
        channels, count, _, fan_out = d.shape
        A = xp.reshape(self.tape.inputs[i], (channels * sites, -1, self.tape.inputs[i].shape[-1]))
        D = xp.permute_dims(xp.reshape(d, (channels, count, sites, -1, fan_out)), (0, 2, 1, 3, 4))
        D = xp.reshape(D, (channels * sites, count, -1, fan_out))
        has_bias = i < len(self.tape.layers) - 1 or self.tape.jet.live[0] == 0
        value = D[0, ...] if sites == 1 else xp.sum(D[:sites, ...], axis=0)
        B = value if has_bias else xp.zeros_like(value)
        if sites == 2:  # Σ A⊗D = ½ [(A₁+A₂)⊗(D₁+D₂) + (A₁-A₂)⊗(D₁-D₂)]: a jump between sites is formed before it is squared
            A, D = _sum_and_difference(A, xp=xp), _sum_and_difference(D, xp=xp) / 2
        return RowFactors(A, D, B, self.tape.layers[i].scale)


def _sum_and_difference(values: Array, *, xp: Namespace) -> Array:
    """Two sites (C·2, ...) turned into their sum and their difference, channel by channel."""
    first, second = values[0::2, ...], values[1::2, ...]
    return xp.reshape(xp.stack([first + second, first - second], axis=1), values.shape)
