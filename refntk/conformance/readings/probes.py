"""Readings of what follows from given probes: products with K, means over probes, moving averages."""

from __future__ import annotations

import math

import numpy as np

from ..variants import Linearized
from .kernel import traces
from .reading import Numbers, Reading, block_diagonal, rows_of


def _forward(lin: Linearized, step: float = 1.0) -> Numbers:
    """K G by forward differences."""
    dt = lin.case.dt * step
    return np.stack([(lin.at(lin.case.theta + dt * lin.J.T @ g) - lin.R) / dt for g in lin.case.probes.T], axis=1)


def _central(lin: Linearized) -> Numbers:
    """K G by central differences."""
    dt, at, theta = lin.case.dt, lin.at, lin.case.theta
    ends = [(at(theta + dt * lin.J.T @ g), at(theta - dt * lin.J.T @ g)) for g in lin.case.probes.T]
    return np.stack([(plus - minus) / (2 * dt) for plus, minus in ends], axis=1)


def _exact(lin: Linearized) -> Numbers:
    return lin.K @ lin.case.probes


def _samples(lin: Linearized, Z: Numbers | None = None) -> Numbers:
    """g_kᵀ z_k, (terms, probes)."""
    products = lin.case.probes * (_forward(lin) if Z is None else Z)
    return np.stack([products[rows].sum(axis=0) for rows in lin.blocks.values()])


def _average(values: list[Numbers], old: float, new: float) -> Numbers:
    found = values[0]
    for value in values[1:]:
        found = old * found + new * value
    return found


def _columns(lin: Linearized) -> list[Numbers]:
    return list(_samples(lin).T)


def _kernels(lin: Linearized, symmetric: bool = True) -> list[Numbers]:
    found = [np.outer(z, g) for z, g in zip(_forward(lin).T, lin.case.probes.T, strict=True)]
    return [(K + K.T) / 2 if symmetric else K for K in found]


def _spread(lin: Linearized, ddof: int, root_n: bool) -> Numbers:
    s = _samples(lin)
    return s.std(axis=1, ddof=ddof) / (math.sqrt(s.shape[1]) if root_n else 1.0)


def _ratio(s: Numbers) -> Numbers:
    return s.sum() / s


PROBES: dict[str, list[Reading]] = {
    "products": [
        Reading("", 0, _exact),
        Reading("forward differences", 32, _forward),
        Reading("without the blocks between terms", 29, lambda lin: block_diagonal(lin) @ lin.case.probes),
    ],
    "products_forward": [
        Reading("", 0, _forward),
        Reading("exact products, no difference", 32, _exact),
        Reading("central differences", 32, _central),
        Reading("the step is not divided by", 15, lambda lin: _forward(lin) * lin.case.dt),
        Reading("half of the step", 15, lambda lin: _forward(lin, 0.5)),
        Reading("twice the step", 15, lambda lin: _forward(lin, 2.0)),
        Reading("backward differences", 32, lambda lin: _forward(lin, -1.0)),
    ],
    "products_central": [
        Reading("", 0, _central),
        Reading("exact products, no difference", 32, _exact),
        Reading("forward differences", 32, _forward),
        Reading("divided by the step, not by twice the step", 15, lambda lin: 2 * _central(lin)),
    ],
    "trace_means": [
        Reading("", 0, lambda lin: _samples(lin).mean(axis=1)),
        Reading("the sum over probes, not the mean", 10, lambda lin: _samples(lin).sum(axis=1)),
        Reading("from exact products", 32, lambda lin: _samples(lin, _exact(lin)).mean(axis=1)),
        Reading("divided by N - 1", 15, lambda lin: _samples(lin).sum(axis=1) / max(lin.case.probes.shape[1] - 1, 1)),
        Reading("the mean over rows as well", 10, lambda lin: _samples(lin).mean(axis=1) / rows_of(lin)),
        Reading("the sum over this term and all before it", 4, lambda lin: np.cumsum(_samples(lin).mean(axis=1))),
        Reading("absolute values", 28, lambda lin: np.abs(_samples(lin)).mean(axis=1)),
        Reading("clipped at 0", 28, lambda lin: np.maximum(_samples(lin).mean(axis=1), 0)),
    ],
    "trace_errors": [
        Reading("", 0, lambda lin: _spread(lin, 1, True)),
        Reading("the spread of one sample, not divided by √N", 15, lambda lin: _spread(lin, 1, False)),
        Reading("the spread divided by N, not N - 1", 15, lambda lin: _spread(lin, 0, True)),
        Reading("the spread of one sample, divided by N", 15, lambda lin: _spread(lin, 0, False)),
        Reading("variances", 2, lambda lin: _spread(lin, 1, True) ** 2),
    ],
    "sketched_weights": [
        Reading("", 0, lambda lin: _ratio(_samples(lin).mean(axis=1))),
        Reading("not inverted", 5, lambda lin: _samples(lin).mean(axis=1) / _samples(lin).mean(axis=1).sum()),
        Reading("from exact products", 32, lambda lin: _ratio(_samples(lin, _exact(lin)).mean(axis=1))),
        Reading("from the full kernel", 32, lambda lin: _ratio(traces(lin))),
        Reading("the mean over terms for their sum", 11, lambda lin: _ratio(_samples(lin).mean(axis=1)) / len(lin.blocks)),
        Reading("the mean of the weights of single samples", 13, lambda lin: np.mean([_ratio(s) for s in _columns(lin)], axis=0)),
    ],
    "average_traces": [
        Reading("", 0, lambda lin: _average(_columns(lin), 1 - lin.case.alpha, lin.case.alpha)),
        Reading("α on the old value, not on the new", 13, lambda lin: _average(_columns(lin), lin.case.alpha, 1 - lin.case.alpha)),
        Reading(
            "started from zero",
            13,
            lambda lin: _average([0 * _columns(lin)[0], *_columns(lin)], 1 - lin.case.alpha, lin.case.alpha),
        ),
        Reading("the plain mean", 13, lambda lin: _samples(lin).mean(axis=1)),
        Reading("the last sample alone", 13, lambda lin: _columns(lin)[-1]),
        Reading("the first sample alone, never updated", 14, lambda lin: _columns(lin)[0]),
        Reading("without (1 - α) on the old value", 13, lambda lin: _average(_columns(lin), 1.0, lin.case.alpha)),
        Reading(
            "weights averaged instead of traces",
            13,
            lambda lin: _average([_ratio(s) for s in _columns(lin)], 1 - lin.case.alpha, lin.case.alpha),
        ),
    ],
    "average_ntk": [
        Reading("", 0, lambda lin: _average(_kernels(lin), 1 - lin.case.alpha, lin.case.alpha)),
        Reading("α on the old value, not on the new", 13, lambda lin: _average(_kernels(lin), lin.case.alpha, 1 - lin.case.alpha)),
        Reading(
            "started from zero",
            13,
            lambda lin: _average([0 * _kernels(lin)[0], *_kernels(lin)], 1 - lin.case.alpha, lin.case.alpha),
        ),
        Reading("not made symmetric", 33, lambda lin: _average(_kernels(lin, False), 1 - lin.case.alpha, lin.case.alpha)),
        Reading("the first sample alone, never updated", 14, lambda lin: _kernels(lin)[0]),
        Reading("clipped at 0", 28, lambda lin: np.maximum(_average(_kernels(lin), 1 - lin.case.alpha, lin.case.alpha), 0)),
    ],
}
