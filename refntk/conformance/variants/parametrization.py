"""Another network from the same numbers: its inputs, its factors, the order of its parameters, which of them count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np

from ...calculus.network import MLP
from ...vectors.case import Case
from .case import Linearized, Variant, exact


def _with_network(case: Case, **change: object) -> Linearized:
    assert case.network is not None
    given = {name: getattr(case.network, name) for name in ("activation", "output_scale", "parametrization", "shift", "scale")}
    return exact(replace(case, network=MLP(case.network.sizes, **(given | change))))


def _raw_inputs(case: Case) -> Linearized | None:
    """18: the inputs are not normalised."""
    network = case.network
    if network is None or (set(network.scale) == {1.0} and set(network.shift) == {0.0}):
        return None
    return _with_network(case, shift=0.0, scale=1.0)


def _parametrized(case: Case, *, other: str) -> Linearized | None:
    """18: another parametrisation of the same sizes."""
    network = case.network
    if network is None or network.parametrization == other or len(network.sizes) < 3:
        return None
    return _with_network(case, parametrization=other)


def _unscaled_output(case: Case) -> Linearized | None:
    """18: the factor of the last layer is left out."""
    return None if case.network is None or case.network.output_scale == 1 else _with_network(case, output_scale=1.0)


def _folded(case: Case) -> Linearized | None:
    """18: the factors of the layers are folded into W: u is right, but θ another one."""
    network = case.network
    if network is None or set(network.scales) == {1.0}:
        return None
    factor = np.concatenate(
        [np.repeat([s, 1.0], [m * n, n]) for s, (m, n) in zip(network.scales, pairwise(network.sizes), strict=True)]
    )
    right = exact(case)
    return Linearized(case, lambda theta: right.at(case.theta + (theta - case.theta) / factor), right.J / factor, right.blocks)


def _layers(network: MLP) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The positions in θ of W (in, out) and b of every layer."""
    return iter(network.unflatten(np.arange(network.size)))


def _order(network: MLP, kind: str) -> np.ndarray:
    """23: positions in θ, read by another convention."""
    layers = list(_layers(network))
    if kind == "transposed":  # numbers of W in the order of (out, in), read as (in, out)
        return np.concatenate([np.concatenate([W.reshape(W.shape[::-1]).T.ravel(), b]) for W, b in layers])
    if kind == "biases first":
        found, start = [], 0
        for W, b in layers:
            here = np.arange(start, start := start + W.size + b.size)
            found += [here[b.size :], here[: b.size]]
        return np.concatenate(found)
    ends = np.cumsum([W.size for W, _ in layers])  # all W, then all b
    offsets = ends[-1] + np.cumsum([0, *(b.size for _, b in layers)])
    return np.concatenate(
        [
            np.concatenate([np.arange(e - W.size, e), np.arange(o, o + b.size)])
            for (W, b), e, o in zip(layers, ends, offsets, strict=False)
        ]
    )


def _reordered(case: Case, *, kind: str, columns_only: bool = False) -> Linearized | None:
    """23: θ is read in another order; or only the columns of J are written in it."""
    if case.network is None:
        return None
    order = _order(case.network, kind)
    if np.array_equal(order, np.arange(order.size)):
        return None
    right = exact(case if columns_only else replace(case, theta=case.theta[order]))
    at = right.at if columns_only else (lambda theta: right.at(theta[order]))
    return Linearized(case, at, right.J[:, np.argsort(order)], right.blocks)


def _coordinates(case: Case, *, alphabetical: bool) -> Linearized | None:
    """23: the coordinates reach the network in another order, which permutes the rows of the first W."""
    names = case.problem.coordinates
    backwards = list(range(len(names)))[::-1]
    order = sorted(range(len(names)), key=lambda i: names[i]) if alphabetical else backwards
    if case.network is None or order == backwards[::-1] or (alphabetical and order == backwards):
        return None
    moved = np.arange(case.network.size)
    (W, _), *_ = _layers(case.network)
    moved[W] = W[order]
    right = exact(replace(case, theta=case.theta[moved]))
    return Linearized(case, lambda theta: right.at(theta[moved]), right.J[:, np.argsort(moved)], right.blocks)


def _without(left_out: Callable[[Case], np.ndarray]) -> Callable[[Case], Linearized | None]:
    """24: J with zeros where `left_out(case)` (p,) is true."""

    def make(case: Case) -> Linearized | None:
        if case.network is None or len(case.network.sizes) < 3:
            return None
        right = exact(case)
        return Linearized(case, right.at, np.where(left_out(case), 0.0, right.J), right.blocks)

    return make


def _biases(case: Case) -> np.ndarray:
    assert case.network is not None
    return np.concatenate([np.repeat([False, True], [W.size, b.size]) for W, b in _layers(case.network)])


def _all_but_last(case: Case) -> np.ndarray:
    assert case.network is not None
    *_, (W, _) = _layers(case.network)
    return np.arange(case.network.size) < W.min()


def _last(case: Case) -> np.ndarray:
    return ~_all_but_last(case)


PARAMETRIZATIONS: tuple[Variant, ...] = (
    Variant("the inputs are not normalised", 18, _raw_inputs),
    Variant("the NTK parametrisation is ignored", 18, partial(_parametrized, other="standard")),
    Variant("factors 1/√fan_in where there are none (NTK parametrisation)", 18, partial(_parametrized, other="ntk")),
    Variant("the factor of the last layer is left out", 18, _unscaled_output),
    Variant("the factors of layers are folded into W: another parametrisation", 18, _folded),
    Variant("W is read as (out, in)", 23, partial(_reordered, kind="transposed")),
    Variant("biases are read before W", 23, partial(_reordered, kind="biases first")),
    Variant("θ is read as all W, then all b", 23, partial(_reordered, kind="weights first")),
    Variant("columns of J stand in the order of W as (out, in)", 23, partial(_reordered, kind="transposed", columns_only=True)),
    Variant("columns of J have biases before W", 23, partial(_reordered, kind="biases first", columns_only=True)),
    Variant("columns of J stand as all W, then all b", 23, partial(_reordered, kind="weights first", columns_only=True)),
    Variant("the coordinates reach the network in reverse order", 23, partial(_coordinates, alphabetical=False)),
    Variant("the coordinates reach the network in the order of their names", 23, partial(_coordinates, alphabetical=True)),
    Variant("the biases are left out of the parameters", 24, _without(_biases)),
    Variant("only the last layer counts as parameters", 24, _without(_all_but_last)),
    Variant("the last layer is left out of the parameters", 24, _without(_last)),
)
