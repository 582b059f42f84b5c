"""Kernels of wide networks: the blocks of K, orders in the width N, and the s at which an order changes its sign.

A kernel that converges in probability need not have moments that do: its entries are products of sums over neurons, with long
tails. So sizes are *typical* ones, geometric means over draws, whose logarithms have short tails and a straight line's slope.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from .. import problems
from ..calculus.network import MLP
from ..problems.base import Problem
from ..problems.homogeneity import threshold
from .rates import Mean, mean

BLOCKS = ("bb", "bf", "ff")  # f: the equation inside, b: all conditions together
BIAS = 0.7  # the output bias, where it is not drawn: K may depend on it in the limit, and then it is no fixed kernel otherwise

RANDOM = ("sine_gordon", "nonlinear")  # whose ∂r/∂u depends on u where u is constant: cos u, 3 u²


@cache
def few(name: str, each: int = 2, seed: int = 17) -> tuple[Problem, dict[str, np.ndarray]]:
    """A problem of the registry and a few points of every term.

    >>> {term: x.shape for term, x in few("eikonal")[1].items()}
    {'interior': (2, 2), 'boundary': (2, 2)}
    """
    problem = problems.get(name)
    return problem, problem.sample(rng=seed, counts={term.name: each for term in problem.terms})


def network(problem: Problem, width: int, s: float, *, depth: int = 1, activation: str = "tanh") -> MLP:
    """Hidden layers of that width on normalised inputs, the last map with the factor N^-s; hidden maps of deep ones with 1/√N.

    >>> network(few("eikonal")[0], 16, 0.5).scales, network(few("eikonal")[0], 16, 0.5, depth=2).scales
    ((1.0, 0.25), (1.0, 0.25, 0.25))
    """
    sizes, deep = [len(problem.coordinates), *[width] * depth, problem.outputs], depth > 1
    return MLP(
        sizes,
        activation=activation,
        output_scale=width ** (0.5 - s if deep else -s),
        parametrization="ntk" if deep else "standard",
        **problem.normalization,
    )


def start(network: MLP, rng: int | np.random.Generator, *, bias: float | None = BIAS) -> np.ndarray:
    """Parameters (p,), all drawn from N(0, 1) but the output bias, unless `bias` is None."""
    theta = network.init(rng=rng, scheme="normal")
    if bias is not None:
        theta[-network.outputs :] = bias
    return theta


def norms(K: np.ndarray, inside: int, /) -> np.ndarray:
    """Frobenius norms (..., 3) of the `BLOCKS` of K (..., n, n), of which the first rows belong to the equation inside.

    >>> norms(np.array([[3.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), 1)
    array([1., 2., 3.])
    """
    f, b = slice(0, inside), slice(inside, None)
    return np.stack([np.linalg.norm(K[..., i, j], axis=(-2, -1)) for i, j in ((b, b), (b, f), (f, f))], axis=-1)


def typical(sizes: np.ndarray, batches: int, /) -> np.ndarray:
    """The geometric means (batches, ...) over batches of draws (draws, ...).

    >>> typical(np.array([1.0, 4.0, 9.0, 1.0]), 2)
    array([2., 3.])
    """
    return np.exp(np.log(sizes).reshape(batches, -1, *sizes.shape[1:]).mean(axis=1))


def order(widths: np.ndarray, sizes: np.ndarray, /) -> Mean:
    """The order in N of sizes (widths, batches): every batch has a slope of its own, and these a `Mean`.

    >>> found = order(np.array([1.0, 10.0, 100.0]), np.array([[2.0, 5.0], [0.2, 0.5], [0.02, 0.05]]))
    >>> round(found.value, 12), found.high - found.low < 1e-12
    (-1.0, True)
    """
    return mean(np.polyfit(np.log(widths), np.log(sizes), 1)[0])


def vanishing(s: Sequence[float], orders: Sequence[Mean], /) -> Mean:
    """The s from which on sizes vanish: where the order falls through zero, between the s tried by a straight line.

    The ends are where the ends of the orders' intervals do. An order below zero everywhere gives the least s, one above it the
    largest.

    >>> found = vanishing([0.25, 0.5, 1.0], [Mean(0.5, 0.4, 0.6), Mean(0.1, 0.0, 0.2), Mean(-0.1, -0.2, -0.05)])
    >>> found.low, found.value, round(found.high, 12)
    (0.5, 0.75, 0.9)
    """
    return Mean(*(_root(s, [getattr(one, end) for one in orders]) for end in ("value", "low", "high")))


def _root(s: Sequence[float], y: Sequence[float]) -> float:
    if y[0] <= 0:
        return s[0]
    for i in range(1, len(y)):
        if y[i] <= 0:
            return s[i - 1] + (s[i] - s[i - 1]) * y[i - 1] / (y[i - 1] - y[i])
    return s[-1]


def published(problem: Problem, block: str, /) -> float:
    """Zhou & Yan's s for a block: the largest `threshold` among the pairs of terms in it.

    >>> [published(few(name)[0], block) for name, block in (("kdv", "bb"), ("kdv", "ff"), ("eikonal", "ff"))]
    [0.5, 1.0, 0.75]
    """
    inside, *conditions = (term.name for term in problem.terms)
    rows = {"b": conditions, "f": [inside]}
    return max(threshold(problem, k, m) for k in rows[block[0]] for m in rows[block[1]])
