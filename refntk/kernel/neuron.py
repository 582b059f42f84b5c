"""One neuron at random: an infinitely wide hidden layer as an expectation over (w, b), by quadrature.

A network `u = g Σ_k a_k σ(w_k·x + b_k) + c` with one hidden layer is a sum of independent neurons. An operator D applied to it
needs `φ_D(x) = D σ(w·x + b)` alone, and a kernel of two operators is the mean of a product over one neuron, w and b ~ N(0, std²):

    output weights   E[φ_D(x) φ_E(x')],        inner weights   E[a²] E[∇φ_D(x)·∇φ_E(x')],   ∇ with respect to (w, b).

The output weight a enters through its second moment std² only. A quadrature in the 1 + dimension variables (w, b) is a finite
network whose neurons are the nodes; the same tables as everywhere carry its jets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .. import arrays
from ..arrays import Array, Namespace
from ..calculus import jet as jets
from ..calculus import passes
from ..calculus.jet import Operator
from ..calculus.network import MLP
from ..calculus.propagation import input_jet
from .normal import Rule

Stack = tuple[Sequence[Operator], Array]  # operators, and the points (n, dimension) at which they are wanted
NEGLIGIBLE = 2.0**-70  # quadrature weights below this are left out: no derivative of a neuron makes up for them
BYTES = 2**26  # what the jets of one batch of neurons may take


def neurons(dimension: int, rule: Rule, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The tensor grid: (w, b) of every neuron (M, dimension + 1) in units of std, and its weight (M,)."""
    x, w = rule(nodes)
    grid = np.stack(np.meshgrid(*[x] * (dimension + 1), indexing="ij"), axis=-1).reshape(-1, dimension + 1)
    weight = np.prod(np.meshgrid(*[w] * (dimension + 1), indexing="ij"), axis=0).reshape(-1)
    kept = weight > NEGLIGIBLE
    return grid[kept], weight[kept]


def kernels(network: MLP, stacks: Sequence[Stack], *, std: float, rule: Rule, nodes: int, xp: Namespace) -> tuple[Array, Array]:
    """The kernels (fields, fields) of output weights and of inner weights; a field is one operator at one point.

    Fields are ordered by stack, operator, point. Cost: (fields)² (dimension + 2) products for each of nodes^(dimension + 1)
    neurons, batch by batch.
    """
    grid, weight = neurons(network.inputs, rule, nodes)
    values = sum(len(jets.jet(tuple(group)).channels) * points.shape[0] for group, points in stacks) * (network.inputs + 2)
    step = max(1, BYTES // (8 * values))
    output: Array = 0
    inner: Array = 0
    for low in range(0, len(weight), step):
        batch = [arrays.like(part[low : low + step], stacks[0][1], xp=xp) for part in (std * grid, np.sqrt(weight))]
        found = [field for stack in stacks for field in features(network, *stack, batch[0], xp=xp)]
        value, *slopes = (xp.concat([field[i, ...] for field in found]) * batch[1] for i in range(network.inputs + 2))
        output = output + value @ value.T
        inner = inner + std**2 * sum(slope @ slope.T for slope in slopes)
    return output, inner


def features(network: MLP, operators: Sequence[Operator], points: Array, neurons: Array, *, xp: Namespace) -> Iterator[Array]:
    """For each operator φ and its derivatives with respect to w and b, (1 + dimension + 1, n, M), at neurons (M, dimension + 1).

    The width of the network does not enter, only its activation and its normalisation.
    """
    jet = jets.jet(tuple(operators))
    a = input_jet(network, jet, points, xp=xp)  # (C, n, dimension)
    one = xp.concat([xp.ones_like(a[:1, :, :1]), xp.zeros_like(a[1:, :, :1])])  # the jet of the constant 1, by which b acts
    a = xp.concat([a, one], axis=-1)
    z = a @ neurons.T  # (C, n, M)
    phi, saved = passes.activate(jet.last, network.activation, z, xp=xp)
    dz = xp.permute_dims(a, (0, 2, 1))[..., None]  # (C, dimension + 1, n, 1): the change of z along each of w, b
    dphi = passes.activate_tangent(jet.last, saved, dz, xp=xp)
    both = xp.concat([phi[:, None, ...], dphi], axis=1)
    for combination in jet.readout:
        yield sum(both[c, ...] * coefficient for c, coefficient in combination)
