"""Readings of the residual, the Jacobian, the gradient, K, its traces and its spectrum."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ... import weights as rules
from ...weights.rules import Functional
from ..variants import Linearized
from .reading import Numbers, Reading, block_diagonal, components, contracted, eigenvalues, per_term, rows_of, stack


def _loss(lin: Linearized) -> Numbers:
    """λ of every row."""
    return np.repeat(lin.case.loss_weights, rows_of(lin).astype(int))


def _row_counts(lin: Linearized) -> Numbers:
    """n_k of every row."""
    return np.repeat(rows_of(lin), rows_of(lin).astype(int))


def _point_counts(lin: Linearized) -> Numbers:
    """The number of points of every row's term."""
    return _row_counts(lin) / np.repeat(components(lin), rows_of(lin).astype(int))


def traces(lin: Linearized) -> Numbers:
    """Tr K_kk of every term."""
    return per_term(lin, lambda rows: float(np.sum(lin.J[rows] ** 2)))


def _of_rule(functional: Functional) -> Callable[[Linearized], Numbers]:
    return lambda lin: stack(functional(lin.K, lin.R, lin.blocks, lin.blocks))


def _sums(lin: Linearized) -> dict[str, Numbers]:
    """Sums of rows of J over the components of a point, of every term."""
    sizes = dict(zip(lin.blocks, components(lin).tolist(), strict=True))
    return {name: lin.J[rows].reshape(-1, sizes[name], lin.J.shape[1]).sum(axis=1) for name, rows in lin.blocks.items()}


def _components_summed(lin: Linearized) -> Numbers:
    """Squared norms of sums over the components of a point."""
    return np.array([float(np.sum(J**2)) for J in _sums(lin).values()])


def _of_sums(lin: Linearized) -> Numbers:
    """K of the sums of the components of a point."""
    J = np.concatenate(list(_sums(lin).values()))
    return J @ J.T


CONTRACTED = "contracted over the components of a point, a row and a column for each"
TRACES = [
    Reading("", 0, traces),
    Reading("the mean over the rows of a term", 10, lambda lin: traces(lin) / rows_of(lin)),
    Reading("the mean over the points of a term", 10, lambda lin: traces(lin) * components(lin) / rows_of(lin)),
    Reading("the mean over outputs", 16, lambda lin: traces(lin) / components(lin)),
    Reading("the gradient of summed residuals, ‖∇Σ r‖²", 3, _of_rule(rules.ones)),
    Reading("components summed before squaring", 8, _components_summed),
    Reading("loss-gradient norms", 1, _of_rule(rules.gradient_norm)),
    Reading("squared loss-gradient norms", 1, _of_rule(rules.gradient_norm_squared)),
    Reading("norms of the gradients of root losses", 2, _of_rule(rules.root_loss_gradient)),
    Reading("the root of the trace", 2, lambda lin: np.sqrt(traces(lin))),
    Reading(
        "the sum of roots of K's diagonal",
        2,
        lambda lin: per_term(lin, lambda rows: float(np.sum(np.sqrt(np.sum(lin.J[rows] ** 2, axis=1))))),
    ),
    Reading("the sum over this term and all before it (never cleared)", 4, lambda lin: np.cumsum(traces(lin))),
    Reading("the sum of all entries of the block", 3, lambda lin: per_term(lin, lambda rows: float(np.sum(lin.K[rows, rows])))),
    Reading("the Frobenius norm of the block", 0, lambda lin: per_term(lin, lambda r: float(np.linalg.norm(lin.K[r, r])))),
    Reading("the largest eigenvalue of the block", 0, lambda lin: per_term(lin, lambda r: float(eigenvalues(lin.K[r, r])[0]))),
    Reading("terms in the reverse order", 9, lambda lin: traces(lin)[::-1]),
]

KERNEL: dict[str, list[Reading]] = {
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
        Reading("means over the rows of each term", 10, lambda lin: lin.J.T @ (_loss(lin) * lin.R / _row_counts(lin))),
        Reading(
            "twice the means over the rows of each term", 15, lambda lin: 2 * lin.J.T @ (_loss(lin) * lin.R / _row_counts(lin))
        ),
        Reading("means over the points of each term", 10, lambda lin: lin.J.T @ (_loss(lin) * lin.R / _point_counts(lin))),
        Reading(
            "twice the means over the points of each term", 15, lambda lin: 2 * lin.J.T @ (_loss(lin) * lin.R / _point_counts(lin))
        ),
        Reading("with λ²", 0, lambda lin: lin.J.T @ (_loss(lin) ** 2 * lin.R)),
        Reading("with roots of λ", 2, lambda lin: lin.J.T @ (_loss(lin) ** 0.5 * lin.R)),
    ],
    "ntk": [
        Reading("", 0, lambda lin: lin.K),
        Reading("JᵀJ, not JJᵀ", 21, lambda lin: lin.J.T @ lin.J),
        Reading("clipped at 0", 28, lambda lin: np.maximum(lin.K, 0)),
        Reading("without the blocks between terms", 29, block_diagonal),
        Reading("its diagonal alone", 29, lambda lin: np.diag(np.diagonal(lin.K))),
        Reading(f"{CONTRACTED}: their mean", 16, lambda lin: contracted(lin) / components(lin)[0]),
        Reading(f"{CONTRACTED}: their sum", 8, contracted),
        Reading("of the sums of the components of a point", 8, _of_sums),
        Reading("weighted by λ", 30, lambda lin: _loss(lin)[:, None] * lin.K),
        Reading("weighted by roots of λ", 30, lambda lin: np.sqrt(np.outer(_loss(lin), _loss(lin))) * lin.K),
    ],
    "traces": TRACES,
    "spectrum": [
        Reading("", 0, lambda lin: eigenvalues(lin.K)),
        Reading("smallest first", 31, lambda lin: eigenvalues(lin.K)[::-1]),
        Reading("of JᵀJ, not JJᵀ: as many as parameters", 21, lambda lin: eigenvalues(lin.J.T @ lin.J)),
        Reading("of JᵀJ, smallest first", 21, lambda lin: eigenvalues(lin.J.T @ lin.J)[::-1]),
        Reading("singular values of J", 2, lambda lin: np.linalg.svd(lin.J, compute_uv=False)),
        Reading("roots of the eigenvalues", 2, lambda lin: np.sqrt(np.maximum(eigenvalues(lin.K), 0))),
        Reading("squares of the eigenvalues", 0, lambda lin: eigenvalues(lin.K) ** 2),
        Reading("of K without the blocks between terms", 29, lambda lin: eigenvalues(block_diagonal(lin))),
        Reading(
            "of the blocks, one after the other",
            29,
            lambda lin: np.concatenate([eigenvalues(lin.K[r, r]) for r in lin.blocks.values()]),
        ),
        Reading(f"of K {CONTRACTED}: their mean", 16, lambda lin: eigenvalues(contracted(lin)) / components(lin)[0]),
        Reading(f"of K {CONTRACTED}: their sum", 8, lambda lin: eigenvalues(contracted(lin))),
        Reading("of K of the sums of the components of a point", 8, lambda lin: eigenvalues(_of_sums(lin))),
        Reading("by a nonsymmetric eigensolver, in its order", 20, lambda lin: np.real(np.linalg.eigvals(lin.K))),
    ],
}
