"""Which monomials an equation is made of, and the exponent s of the output scaling `N^-s` from which its kernel converges.

Zhou & Yan (2024) ask how ∂r/∂(field) depends on u, because that is what multiplies the kernel: a monomial of degree p in u and its
derivatives brings p more sums over the N neurons. Their theorem asks for s ≥ 1/2 for conditions on u itself, for s ≥ 1 in general
("case A": ∂r/∂u does not vanish, or some monomial is not homogeneous with the others), and for s ≥ s₁ in K_ff, s ≥ s₂ in K_bf where
all are homogeneous and ∂r/∂u = 0.
"""

from __future__ import annotations

import numpy as np

from ..errors import UnknownNameError
from .base import Problem, Term

CIRCLE = 16  # points on the unit circle; polynomials up to half this degree are told from other functions
SIGNIFICANT = 1e-9  # coefficients below this part of the largest are rounding


def degrees(problem: Problem, term: str, /) -> tuple[tuple[int, ...] | None, ...]:
    """The degrees of the monomials of ∂r/∂(field), for each field of a term; None where it is no polynomial.

    They are the coefficients of `t ↦ ∂r/∂(field) at t · fields`, by a discrete Fourier transform on the circle |t| = 1, at one
    random point. Raises `UnknownNameError`.

    >>> from refntk import problems
    >>> degrees(problems.get("kdv"), "interior")  # of u_t + u_xxx, u_x, u: the partials are 1, 6 u, 6 u_x
    ((0,), (1,), (1,))
    >>> degrees(problems.get("sine_gordon"), "interior")  # of u_tt - u_xx, u: the partials are 1, cos u
    ((0,), None)
    """
    return _degrees(problem, _term(problem, term))


def threshold(problem: Problem, row_term: str, column_term: str, /) -> float:
    """The s from which Zhou & Yan's theorem lets the block between two terms converge, in our reading of it.

    1/2 for linear terms, 1 in case A. Otherwise the partials of the two terms are homogeneous, of degrees p and p': one sum over
    neurons from the kernel and p + p' from the fields, each at most of order N, against the factor `N^(-s (2 + p + p'))`, so

        s = (1 + p + p') / (2 + p + p'),        s₁ for p = p', s₂ for p' = 0.

    The paper's equations (39) and (47), which define s₁ and s₂, were not at hand; this count gives its other thresholds. It is not
    sharp: sums of mean zero are of order √N, which leaves `N^((1/2 - s)(2 + p + p'))`, and with it 1/2, for every p.
    Raises `UnknownNameError`.

    >>> from refntk import problems
    >>> [threshold(problems.get(name), "interior", "interior") for name in ("poisson2d", "eikonal", "sine_gordon")]
    [0.5, 0.75, 1.0]
    """
    powers = 0
    for term in (_term(problem, row_term), _term(problem, column_term)):
        found = _degrees(problem, term)
        if set(found) == {(0,)}:
            continue
        values = any(operator.coefficient((0,) * operator.variables) for operator in term.operators)  # u itself is a field
        degree = found[0] or ()
        if values or set(found) != {degree} or len(degree) != 1:
            return 1.0
        powers += degree[0]
    return (1 + powers) / (2 + powers)


def linear(problem: Problem, /) -> bool:
    """Whether all residuals are linear in u, so that the kernel does not depend on what u is.

    >>> from refntk import problems
    >>> linear(problems.get("transport")), linear(problems.get("nonlinear"))
    (True, False)
    """
    return all(set(_degrees(problem, term)) == {(0,)} for term in problem.terms)


def _term(problem: Problem, name: str) -> Term:
    terms = {term.name: term for term in problem.terms}
    if name not in list(terms):
        raise UnknownNameError("term", name, terms)
    return terms[name]


def _degrees(problem: Problem, term: Term) -> tuple[tuple[int, ...] | None, ...]:
    rng = np.random.default_rng(0)
    points = term.domain.sample(1, rng=rng)
    shape = (*term.sites(points, xp=np).shape[:2], problem.outputs)
    fields = [rng.uniform(2.0, 4.0, shape) for _ in term.operators]
    circle = np.exp(2j * np.pi * np.arange(CIRCLE) / CIRCLE)
    values = [term.partials(points, *(t * field for field in fields), xp=np) for t in circle]
    found: list[tuple[int, ...] | None] = []
    for samples in zip(*values, strict=True):
        size = np.abs(np.fft.fft(np.reshape(np.stack(samples), (CIRCLE, -1)), axis=0)).max(axis=1)
        powers = tuple(np.flatnonzero(size > SIGNIFICANT * size.max()).tolist())
        found.append(powers if max(powers, default=0) <= CIRCLE // 2 else None)
    return tuple(found)
