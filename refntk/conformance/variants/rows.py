"""Rows in another order, or with another factor: a matrix in front of R and J."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ...problems.base import Term
from ...vectors.case import Case
from .case import Linearized, Variant, Vector, exact


def _permuted(case: Case, *, kind: str) -> Linearized | None:
    """8, 9: rows in another order."""
    right, orders = exact(case), []
    for term, rows in zip(case.problem.terms, right.blocks.values(), strict=True):
        own = np.arange(rows.start, rows.stop)
        orders.append(own.reshape(-1, term.components).T.ravel() if kind == "components first" else own)
    order = np.concatenate(orders[::-1] if kind == "terms" else orders)
    if np.array_equal(order, np.arange(order.size)):
        return None
    return Linearized(case, lambda theta: right.at(theta)[order], right.J[order], right.blocks)


def _times(case: Case, factor: Callable[[int, Term], float | Vector]) -> Linearized:
    """Rows times `factor(number of rows, term)`."""
    right = exact(case)
    sizes = [rows.stop - rows.start for rows in right.blocks.values()]
    found = np.concatenate([np.broadcast_to(factor(n, t), (n,)) for n, t in zip(sizes, case.problem.terms, strict=True)])
    return Linearized(case, lambda theta: found * right.at(theta), found[:, None] * right.J, right.blocks)


def _counts(case: Case, *, power: float, given: str) -> Linearized | None:
    """10, 15: rows times a power of their number."""
    return _times(case, lambda n, term: float(n) ** power) if case.scaling == given else None


def _quadrature(case: Case) -> Linearized | None:
    """17: rows times quadrature weights, for their roots."""
    weights = case.quadrature
    return None if weights is None else _times(case, lambda n, term: np.repeat(np.sqrt(weights[term.name]), term.components))


def _measure(case: Case, *, power: float) -> Linearized | None:
    """17: rows times a power of the measure of their domain."""
    measures = {getattr(term.domain, "measure", 1.0) for term in case.problem.terms}
    return None if measures == {1.0} else _times(case, lambda n, term: getattr(term.domain, "measure", 1.0) ** power)


ROWS: tuple[Variant, ...] = (
    Variant("rows stand component by component, not point by point", 8, partial(_permuted, kind="components first")),
    Variant("the blocks of the terms are swapped", 9, partial(_permuted, kind="terms")),
    Variant("rows are divided by √n, a mean for the sum", 10, partial(_counts, power=-0.5, given="sum")),
    Variant("rows are divided by n, not by √n", 15, partial(_counts, power=-0.5, given="mean")),
    Variant("rows are not divided by √n, a sum for the mean", 10, partial(_counts, power=0.5, given="mean")),
    Variant("rows are divided by their number n", 15, partial(_counts, power=-1.0, given="sum")),
    Variant("rows are multiplied by quadrature weights, not by their roots", 17, _quadrature),
    Variant("rows are multiplied by the measure of their domain", 17, partial(_measure, power=1.0)),
    Variant("rows are multiplied by the root of the measure of their domain", 17, partial(_measure, power=0.5)),
)
