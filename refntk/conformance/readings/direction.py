"""Readings of the natural gradient J⁺R: what solvers do that cut small eigenvalues off, shift them, or stop early."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ...vectors.case import UNIT
from ..variants import Linearized
from .reading import Numbers, Reading, block_diagonal

Filter = Callable[[Numbers], Numbers]  # of the eigenvalues of K, largest first: their inverses, or what stands for them
DECADES = range(1, 11)
EPS = {"single": 2.0**-23, "double": 2.0**-52}
ITERATIONS = (1, 2, 3, 4, 5, 6, 8, 10)


def _filtered(lin: Linearized, inverse: Filter) -> Numbers:
    """`Jᵀ V f(Λ) Vᵀ R` with the eigenvalues Λ of K."""
    U, s, Vh = np.linalg.svd(lin.J, full_matrices=False)
    return Vh.T @ (inverse(s**2) * s * (U.T @ lin.R))


def _cut(share: float, times: Callable[[Numbers], int] = lambda J: 1) -> Callable[[Linearized], Numbers]:
    """Eigenvalues below `share · times(J)` of the largest count as 0."""
    return lambda lin: _filtered(lin, lambda x: np.where(x > share * times(lin.J) * x[0], 1 / x, 0.0))


def _shifted(shift: float, by: Filter) -> Callable[[Linearized], Numbers]:
    return lambda lin: _filtered(lin, lambda x: 1 / (x + shift * by(x)))


def _blurred(shift: float, by: Filter) -> Callable[[Linearized], float]:
    """The condition of `JᵀJ + shift I`: its solver's noise in the directions that J does not see is divided by the shift."""

    def blur(lin: Linearized) -> float:
        eigenvalues = np.linalg.svd(lin.J, compute_uv=False) ** 2
        return UNIT * float(eigenvalues[0]) / (shift * float(np.max(by(eigenvalues))))

    return blur


def _conjugate_gradients(A: Numbers, b: Numbers, iterations: int) -> Numbers:
    """The iterate of Hestenes & Stiefel, started from 0, with neither preconditioner nor shift."""
    x, r = np.zeros_like(b), b.copy()
    p, rr = r.copy(), float(r @ r)
    for _ in range(iterations):
        Ap = A @ p
        step = rr / float(p @ Ap)
        x, r = x + step * p, r - step * Ap
        rr, old = float(r @ r), rr
        p = r + rr / old * p
    return x


def _stopped(iterations: int, sample_space: bool) -> Callable[[Linearized], Numbers]:
    if sample_space:
        return lambda lin: lin.J.T @ _conjugate_gradients(lin.K, lin.R, iterations)
    return lambda lin: _conjugate_gradients(lin.J.T @ lin.J, lin.J.T @ lin.R, iterations)


def _solvers() -> Iterator[Reading]:
    """Every cut, shift and number of iterations, a decade apart; each far-fetched by itself, for there are many."""
    for precision, eps in EPS.items():
        yield Reading(f"lstsq on JᵀJ cuts off below p ε, ε of {precision} precision", 22, _cut(eps, lambda J: J.shape[1]))
        yield Reading(f"lstsq on JJᵀ cuts off below n ε, ε of {precision} precision", 22, _cut(eps, lambda J: J.shape[0]))
        yield Reading(
            f"lstsq on J cuts off below max(n, p) ε, ε of {precision} precision", 22, _cut(eps**2, lambda J: max(J.shape) ** 2)
        )
    for k in DECADES:
        yield Reading(f"eigenvalues below 1e-{k} of the largest are cut off", 22, _cut(10.0**-k), 2)
        for name, by in (("", np.ones_like), (" of the largest", np.max), (" of the trace", np.sum)):
            words = f"a shift of 1e-{k}{name} is never removed" + ("" if name else " (absolute)")
            yield Reading(words, 22, _shifted(10.0**-k, by), 2, _blurred(10.0**-k, by))
    for k in ITERATIONS:
        yield Reading(f"conjugate gradients on the parameters stop after {k} steps", 22, _stopped(k, False), 2)
        yield Reading(f"conjugate gradients on the samples stop after {k} steps", 22, _stopped(k, True), 2)


DIRECTIONS: dict[str, list[Reading]] = {
    "direction": [
        Reading("", 0, lambda lin: np.linalg.lstsq(lin.J, lin.R, rcond=None)[0]),
        Reading("the gradient JᵀR itself, nothing is solved", 0, lambda lin: lin.J.T @ lin.R),
        Reading("the gradient over the diagonal of JᵀJ", 0, lambda lin: lin.J.T @ lin.R / np.sum(lin.J**2, axis=0)),
        Reading("the gradient over the diagonal of JJᵀ", 0, lambda lin: lin.J.T @ (lin.R / np.diagonal(lin.K))),
        Reading("the normalised gradient", 0, lambda lin: lin.J.T @ lin.R / np.linalg.norm(lin.J.T @ lin.R)),
        Reading("K without the blocks between terms", 29, lambda lin: lin.J.T @ np.linalg.solve(block_diagonal(lin), lin.R)),
        Reading("of Σ r, without the residuals", 3, lambda lin: np.linalg.lstsq(lin.J, np.ones_like(lin.R), rcond=None)[0]),
        Reading("solved twice: J⁺(K⁺R)", 2, lambda lin: _filtered(lin, lambda x: 1 / x**2)),
        Reading("with roots of the eigenvalues", 2, lambda lin: _filtered(lin, lambda x: 1 / np.sqrt(x))),
        *_solvers(),
    ],
}
