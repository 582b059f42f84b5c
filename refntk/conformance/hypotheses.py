"""The list of worlds: what was done instead, in words, with the number of the mistake."""

from __future__ import annotations

from functools import partial

from . import worlds as of
from .worlds import World, exact

RIGHT = World("", 0, exact)
WORLDS: tuple[World, ...] = (
    World("the NTK of u, not of the residual", 6, of.of_u),
    *(World(f"the residual of term {i + 1} is missing", 7, partial(of.without_term, position=i)) for i in range(4)),
    World("rows stand component by component, not point by point", 8, partial(of.permuted, kind="components first")),
    World("the blocks of the terms are swapped", 9, partial(of.permuted, kind="terms")),
    World("rows are divided by √n, a mean for the sum", 10, partial(of.mean_rows, power=-0.5, given="sum")),
    World("rows are divided by n, not by √n", 15, partial(of.mean_rows, power=-0.5, given="mean")),
    World("rows are not divided by √n, a sum for the mean", 10, partial(of.mean_rows, power=0.5, given="mean")),
    World("rows are divided by their number n", 15, partial(of.mean_rows, power=-1.0, given="sum")),
    World("rows are multiplied by quadrature weights, not by their roots", 17, of.quadrature),
    World("rows are multiplied by the measure of their domain", 17, partial(of.measure, power=1.0)),
    World("rows are multiplied by the root of the measure of their domain", 17, partial(of.measure, power=0.5)),
    World("derivatives are by the normalised inputs: its chain rule is left out", 18, of.unscaled_chain),
    World("the inputs are not normalised", 18, of.raw_inputs),
    World("the NTK parametrisation is ignored", 18, partial(of.parametrization, other="standard")),
    World("factors 1/√fan_in where there are none (NTK parametrisation)", 18, partial(of.parametrization, other="ntk")),
    World("the factor of the last layer is left out", 18, of.output_scale),
    World("the factors of layers are folded into W: another parametrisation", 18, of.folded),
    World("W is read as (out, in)", 23, partial(of.reordered, kind="transposed", rows=True)),
    World("biases are read before W", 23, partial(of.reordered, kind="biases first", rows=True)),
    World("θ is read as all W, then all b", 23, partial(of.reordered, kind="weights first", rows=True)),
    World("columns of J stand in the order of W as (out, in)", 23, partial(of.reordered, kind="transposed", rows=False)),
    World("columns of J have biases before W", 23, partial(of.reordered, kind="biases first", rows=False)),
    World("columns of J stand as all W, then all b", 23, partial(of.reordered, kind="weights first", rows=False)),
    World("the biases are left out of the parameters", 24, of.no_biases),
    World("only the last layer counts as parameters", 24, of.last_layer),
    World("second derivatives miss σ'' z_x²", 25, of.no_square),
    World("the residual is linearised as if it were linear in u", 26, of.frozen),
    World("rows that join two points are differentiated at the first alone", 27, of.one_site),
)
