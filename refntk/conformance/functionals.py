"""Mistakes made behind the Jacobian: another functional of K and R under the name of a quantity, as data.

A reading takes the world's R and J to what somebody would return who reads the quantity so. The first of each list is right.
Weights are composed: a functional s_k, whose rows it takes, a power, and the aggregate that makes weights of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .. import weights as rules
from .worlds import Linear

Numbers = np.ndarray


@dataclass(frozen=True)
class Reading:
    """What was done instead, in words; which mistake (0: none); what it gives; how far-fetched it is."""

    words: str
    mistake: int
    make: Callable[[Linear], Numbers]
    cost: int = 1


# Sums over the rows of a term


def per_term(lin: Linear, function: Callable[[slice], float]) -> Numbers:
    """A number for each term."""
    return np.array([function(rows) for rows in lin.blocks.values()])


def stack(found: Mapping[str, object]) -> Numbers:
    """`{term: number}` as an array."""
    return np.array([float(value) for value in found.values()])  # type: ignore[arg-type]


def summed(lin: Linear, rows: slice, size: int) -> float:
    """The squared norm of J's rows, after each `size` of them that follow one another are added."""
    J = lin.J[rows]
    return float(np.sum(J.reshape(-1, size, J.shape[1]).sum(axis=1) ** 2))


def _components(lin: Linear, rows: slice) -> int:
    term = lin.case.problem.terms[list(lin.blocks.values()).index(rows)]
    return term.components


def _of_u_only(functional: rules.Functional) -> Callable[[Linear], Numbers]:
    return lambda lin: stack(functional(lin.K, lin.R, lin.blocks, lin.blocks))


def _gradients(lin: Linear, rows: slice) -> Numbers:
    return 2 * lin.R[rows] @ lin.J[rows] / (rows.stop - rows.start)


def _loss(lin: Linear) -> Numbers:
    return np.repeat(lin.case.loss_weights, [rows.stop - rows.start for rows in lin.blocks.values()])


def _counts(lin: Linear) -> Numbers:
    return np.concatenate([np.full(rows.stop - rows.start, rows.stop - rows.start) for rows in lin.blocks.values()])


def spectrum(K: Numbers) -> Numbers:
    """The eigenvalues of a symmetric matrix, largest first."""
    return np.linalg.eigvalsh((K + K.T) / 2)[::-1]


def block_diagonal(lin: Linear) -> Numbers:
    """K without the blocks between terms."""
    found = np.zeros_like(lin.K)
    for rows in lin.blocks.values():
        found[rows, rows] = lin.K[rows, rows]
    return found


# Algorithm 2 and 3


def forward(lin: Linear, step: float = 1.0) -> Numbers:
    """K G by forward differences."""
    dt = lin.case.dt * step
    return np.stack([(lin.at(lin.case.theta + dt * lin.J.T @ g) - lin.R) / dt for g in lin.case.probes.T], axis=1)


def central(lin: Linear) -> Numbers:
    """K G by central differences."""
    dt, at, theta = lin.case.dt, lin.at, lin.case.theta
    ends = [(at(theta + dt * lin.J.T @ g), at(theta - dt * lin.J.T @ g)) for g in lin.case.probes.T]
    return np.stack([(plus - minus) / (2 * dt) for plus, minus in ends], axis=1)


def samples(lin: Linear, Z: Numbers | None = None) -> Numbers:
    """g_kᵀ z_k, (terms, probes)."""
    products = lin.case.probes * (forward(lin) if Z is None else Z)
    return np.stack([products[rows].sum(axis=0) for rows in lin.blocks.values()])


def _average(lin: Linear, values: list[Numbers], old: float, new: float) -> Numbers:
    found = values[0]
    for value in values[1:]:
        found = old * found + new * value
    return found


def _columns(lin: Linear) -> list[Numbers]:
    return list(samples(lin).T)


def _kernels(lin: Linear, symmetric: bool = True) -> list[Numbers]:
    found = [np.outer(z, g) for z, g in zip(forward(lin).T, lin.case.probes.T, strict=True)]
    return [(K + K.T) / 2 if symmetric else K for K in found]


def _errors(lin: Linear, ddof: int, root_n: bool) -> Numbers:
    s = samples(lin)
    return s.std(axis=1, ddof=ddof) / (math.sqrt(s.shape[1]) if root_n else 1.0)


def _ratio(s: Numbers) -> Numbers:
    return s.sum() / s


TRACES = [
    Reading("", 0, lambda lin: per_term(lin, lambda rows: float(np.sum(lin.J[rows] ** 2)))),
    Reading("the mean over the rows of a term", 10, _of_u_only(rules.mean_trace)),
    Reading(
        "the mean over the points of a term",
        10,
        lambda lin: per_term(lin, lambda r: float(np.sum(lin.J[r] ** 2)) * _components(lin, r) / (r.stop - r.start)),
    ),
    Reading("the mean over outputs", 16, lambda lin: per_term(lin, lambda r: float(np.sum(lin.J[r] ** 2)) / _components(lin, r))),
    Reading("the gradient of summed residuals, ‖∇Σ r‖²", 3, _of_u_only(rules.ones)),
    Reading("components summed before squaring", 8, lambda lin: per_term(lin, lambda r: summed(lin, r, _components(lin, r)))),
    Reading("loss-gradient norms", 1, _of_u_only(rules.gradient_norm)),
    Reading("squared loss-gradient norms", 1, _of_u_only(rules.gradient_norm_squared)),
    Reading("norms of the gradients of root losses", 2, _of_u_only(rules.root_loss_gradient)),
    Reading("the root of the trace", 2, lambda lin: per_term(lin, lambda rows: float(np.sqrt(np.sum(lin.J[rows] ** 2))))),
    Reading(
        "the sum of roots of K's diagonal",
        2,
        lambda lin: per_term(lin, lambda rows: float(np.sum(np.sqrt(np.sum(lin.J[rows] ** 2, axis=1))))),
    ),
    Reading(
        "the sum over this term and all before it (never cleared)",
        4,
        lambda lin: np.cumsum(per_term(lin, lambda r: float(np.sum(lin.J[r] ** 2)))),
    ),
    Reading("the sum of all entries of the block", 3, lambda lin: per_term(lin, lambda rows: float(np.sum(lin.K[rows, rows])))),
    Reading("the Frobenius norm of the block", 0, lambda lin: per_term(lin, lambda rows: float(np.linalg.norm(lin.K[rows, rows])))),
    Reading(
        "the largest eigenvalue of the block", 0, lambda lin: per_term(lin, lambda rows: float(spectrum(lin.K[rows, rows])[0]))
    ),
    Reading("terms in the reverse order", 9, lambda lin: per_term(lin, lambda rows: float(np.sum(lin.J[rows] ** 2)))[::-1]),
]

READINGS: dict[str, list[Reading]] = {
    "residual": [
        Reading("", 0, lambda lin: lin.R),
        Reading("the sign is turned", 0, lambda lin: -lin.R),
        Reading("rows are squared", 0, lambda lin: lin.R**2),
    ],
    "jacobian": [
        Reading("", 0, lambda lin: lin.J),
        Reading("Jᵀ", 21, lambda lin: lin.J.T),
        Reading("rows times their residuals: of ½ r²", 1, lambda lin: lin.J * lin.R[:, None]),
    ],
    "gradient": [
        Reading("", 0, lambda lin: lin.J.T @ (_loss(lin) * lin.R)),
        Reading("without the weights λ", 14, lambda lin: lin.J.T @ lin.R),
        Reading("of Σ λ r, without the residuals", 3, lambda lin: lin.J.T @ _loss(lin)),
        Reading("means over the rows of each term", 10, lambda lin: lin.J.T @ (_loss(lin) * lin.R / _counts(lin))),
        Reading("twice the means over the rows of each term", 15, lambda lin: 2 * lin.J.T @ (_loss(lin) * lin.R / _counts(lin))),
        Reading("with λ²", 0, lambda lin: lin.J.T @ (_loss(lin) ** 2 * lin.R)),
        Reading("with roots of λ", 2, lambda lin: lin.J.T @ (_loss(lin) ** 0.5 * lin.R)),
    ],
    "ntk": [
        Reading("", 0, lambda lin: lin.K),
        Reading("JᵀJ, not JJᵀ", 21, lambda lin: lin.J.T @ lin.J),
        Reading("clipped at 0", 28, lambda lin: np.maximum(lin.K, 0)),
        Reading("without the blocks between terms", 29, block_diagonal),
        Reading("its diagonal alone", 29, lambda lin: np.diag(np.diagonal(lin.K))),
        Reading("weighted by λ", 30, lambda lin: _loss(lin)[:, None] * lin.K),
        Reading("weighted by roots of λ", 30, lambda lin: np.sqrt(np.outer(_loss(lin), _loss(lin))) * lin.K),
    ],
    "traces": TRACES,
    "spectrum": [
        Reading("", 0, lambda lin: spectrum(lin.K)),
        Reading("smallest first", 31, lambda lin: spectrum(lin.K)[::-1]),
        Reading("of JᵀJ, not JJᵀ: as many as parameters", 21, lambda lin: spectrum(lin.J.T @ lin.J)),
        Reading("of JᵀJ, smallest first", 21, lambda lin: spectrum(lin.J.T @ lin.J)[::-1]),
        Reading("singular values of J", 2, lambda lin: np.linalg.svd(lin.J, compute_uv=False)),
        Reading("roots of the eigenvalues", 2, lambda lin: np.sqrt(np.maximum(spectrum(lin.K), 0))),
        Reading("squares of the eigenvalues", 0, lambda lin: spectrum(lin.K) ** 2),
        Reading("of K without the blocks between terms", 29, lambda lin: spectrum(block_diagonal(lin))),
        Reading(
            "of the blocks, one after the other",
            29,
            lambda lin: np.concatenate([spectrum(lin.K[r, r]) for r in lin.blocks.values()]),
        ),
        Reading("by a nonsymmetric eigensolver, in its order", 20, lambda lin: np.real(np.linalg.eigvals(lin.K))),
    ],
    "products": [
        Reading("", 0, lambda lin: lin.K @ lin.case.probes),
        Reading("forward differences", 32, forward),
        Reading("without the blocks between terms", 29, lambda lin: block_diagonal(lin) @ lin.case.probes),
    ],
    "products_forward": [
        Reading("", 0, forward),
        Reading("exact products, no difference", 32, lambda lin: lin.K @ lin.case.probes),
        Reading("central differences", 32, central),
        Reading("the step is not divided by", 15, lambda lin: forward(lin) * lin.case.dt),
        Reading("half of the step", 15, lambda lin: forward(lin, 0.5)),
        Reading("twice the step", 15, lambda lin: forward(lin, 2.0)),
        Reading("backward differences", 32, lambda lin: forward(lin, -1.0)),
    ],
    "products_central": [
        Reading("", 0, central),
        Reading("exact products, no difference", 32, lambda lin: lin.K @ lin.case.probes),
        Reading("forward differences", 32, forward),
        Reading("divided by the step, not by twice the step", 15, lambda lin: 2 * central(lin)),
    ],
    "trace_means": [
        Reading("", 0, lambda lin: samples(lin).mean(axis=1)),
        Reading("the sum over probes, not the mean", 10, lambda lin: samples(lin).sum(axis=1)),
        Reading("from exact products", 32, lambda lin: samples(lin, lin.K @ lin.case.probes).mean(axis=1)),
        Reading("divided by N - 1", 15, lambda lin: samples(lin).sum(axis=1) / max(lin.case.probes.shape[1] - 1, 1)),
        Reading(
            "the mean over rows as well", 10, lambda lin: samples(lin).mean(axis=1) / per_term(lin, lambda r: r.stop - r.start)
        ),
        Reading("the sum over this term and all before it", 4, lambda lin: np.cumsum(samples(lin).mean(axis=1))),
        Reading("absolute values", 28, lambda lin: np.abs(samples(lin)).mean(axis=1)),
        Reading("clipped at 0", 28, lambda lin: np.maximum(samples(lin).mean(axis=1), 0)),
    ],
    "trace_errors": [
        Reading("", 0, lambda lin: _errors(lin, 1, True)),
        Reading("the spread of one sample, not divided by √N", 15, lambda lin: _errors(lin, 1, False)),
        Reading("the spread divided by N, not N - 1", 15, lambda lin: _errors(lin, 0, True)),
        Reading("the spread of one sample, divided by N", 15, lambda lin: _errors(lin, 0, False)),
        Reading("variances", 2, lambda lin: _errors(lin, 1, True) ** 2),
    ],
    "sketched_weights": [
        Reading("", 0, lambda lin: _ratio(samples(lin).mean(axis=1))),
        Reading("not inverted", 5, lambda lin: samples(lin).mean(axis=1) / samples(lin).mean(axis=1).sum()),
        Reading("from exact products", 32, lambda lin: _ratio(samples(lin, lin.K @ lin.case.probes).mean(axis=1))),
        Reading("from the full kernel", 32, lambda lin: _ratio(per_term(lin, lambda r: float(np.sum(lin.J[r] ** 2))))),
        Reading("the mean over terms for their sum", 11, lambda lin: _ratio(samples(lin).mean(axis=1)) / len(lin.blocks)),
        Reading("the mean of the weights of single samples", 13, lambda lin: np.mean([_ratio(s) for s in _columns(lin)], axis=0)),
    ],
    "average_traces": [
        Reading("", 0, lambda lin: _average(lin, _columns(lin), 1 - lin.case.alpha, lin.case.alpha)),
        Reading(
            "α on the old value, not on the new", 13, lambda lin: _average(lin, _columns(lin), lin.case.alpha, 1 - lin.case.alpha)
        ),
        Reading(
            "started from zero",
            13,
            lambda lin: _average(lin, [0 * _columns(lin)[0], *_columns(lin)], 1 - lin.case.alpha, lin.case.alpha),
        ),
        Reading("the plain mean", 13, lambda lin: samples(lin).mean(axis=1)),
        Reading("the last sample alone", 13, lambda lin: _columns(lin)[-1]),
        Reading("the first sample alone, never updated", 14, lambda lin: _columns(lin)[0]),
        Reading("without (1 - α) on the old value", 13, lambda lin: _average(lin, _columns(lin), 1.0, lin.case.alpha)),
        Reading(
            "weights averaged instead of traces",
            13,
            lambda lin: _average(lin, [_ratio(s) for s in _columns(lin)], 1 - lin.case.alpha, lin.case.alpha),
        ),
    ],
    "average_ntk": [
        Reading("", 0, lambda lin: _average(lin, _kernels(lin), 1 - lin.case.alpha, lin.case.alpha)),
        Reading(
            "α on the old value, not on the new", 13, lambda lin: _average(lin, _kernels(lin), lin.case.alpha, 1 - lin.case.alpha)
        ),
        Reading(
            "started from zero",
            13,
            lambda lin: _average(lin, [0 * _kernels(lin)[0], *_kernels(lin)], 1 - lin.case.alpha, lin.case.alpha),
        ),
        Reading("not made symmetric", 33, lambda lin: _average(lin, _kernels(lin, False), 1 - lin.case.alpha, lin.case.alpha)),
        Reading("the first sample alone, never updated", 14, lambda lin: _kernels(lin)[0]),
        Reading("clipped at 0", 28, lambda lin: np.maximum(_average(lin, _kernels(lin), 1 - lin.case.alpha, lin.case.alpha), 0)),
    ],
}
