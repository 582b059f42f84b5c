"""A first θ for wide networks whose features already vary over the domain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..calculus.network import MLP
from ..problems.domain import Box


def spread(network: MLP, domain: Box, /, *, slopes: Sequence[float], gain: float, bias: float, rng: int) -> np.ndarray:
    """θ (p,) with u = 0: only the last layer, zero here, is left for the first natural gradient to move, by linear least squares.

    Neurons of the first layer are `w · (x - c)`, w normal with the standard deviations `slopes` (one for each coordinate, in 1 over
    its unit), c uniform in the domain; further hidden weights are N(0, gain²/fan_in), their biases N(0, bias²). Xavier's zero
    biases make every feature odd about the middle of the domain, and in a wide network they differ in little but size: then
    training must first find features at all. Which slopes and gain serve is a matter of the solution's wavelengths.

    >>> network = MLP([2, 3, 3, 1])
    >>> theta = spread(network, Box((0.0, 0.0), (1.0, 1.0)), slopes=(0.5, 1.0), gain=3.0, bias=0.5, rng=17)
    >>> float(network(theta, np.array([[0.2, 0.7]]))[0, 0])
    0.0
    """
    draw = np.random.default_rng(rng)
    shift, scale = np.asarray(network.shift), np.asarray(network.scale)
    W = draw.standard_normal(network.sizes[:2]) * np.asarray(slopes)[:, None]
    c = domain.sample(network.sizes[1], rng=draw)
    layers = [(scale[:, None] * W, np.sum((shift - c) * W.T, axis=1))]  # of inputs that the network shifts and scales
    for fan_in, fan_out in pairwise(network.sizes[1:-1]):
        layers.append((gain / math.sqrt(fan_in) * draw.standard_normal((fan_in, fan_out)), bias * draw.standard_normal(fan_out)))
    layers.append((np.zeros(network.sizes[-2:]), np.zeros(network.sizes[-1])))
    return network.flatten(layers)
