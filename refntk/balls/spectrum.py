"""Certified eigenvalues of symmetric matrices of balls, multiple ones included."""

from __future__ import annotations

import numpy as np
from flint import acb_mat, arb, arb_mat, ctx

from .array import Undecided


def eigenvalues(entries: np.ndarray) -> np.ndarray:
    """Enclosures (n,) of the eigenvalues, smallest first, of every symmetric matrix in the balls `entries` (n, n).

    Any orthonormal Q and diagonal Λ that nearly diagonalise K will do, wherever they come from: by Weyl (1912) and Ostrowski (1959)

        |λ_i(K) - Λ_i| ≤ ‖K - Q Λ Qᵀ‖_F + |Λ_i| ‖QᵀQ - I‖_F,

    and both norms are evaluated in balls. So nothing rests on isolating eigenvalues, which repeated points make multiple; Q comes
    from `acb_mat.eig` of K with its multiple eigenvalues split by a perturbation of 2^-prec. Raises `Undecided` if Q is no use.
    Cost: O(n³), at twice the precision.
    """
    n, bits = entries.shape[0], ctx.prec
    with ctx.workprec(2 * bits + 64):
        K = arb_mat(n, n, entries.ravel().tolist())
        Q = _orthonormal(_eigenvectors(K, bits))
        near = Q.transpose() * K * Q
        values = [near[i, i].mid() for i in range(n)]
        residual = _norm(K - Q * _diagonal(values) * Q.transpose())
        skew = _norm(Q.transpose() * Q - _diagonal([arb(1)] * n))
        bounds = [(residual + abs(value) * skew).upper() for value in values]
        if not all(bound.is_finite() for bound in bounds):
            raise Undecided("no orthonormal eigenvectors at this precision")
        enclosures = [arb(value, bound) for value, bound in sorted(zip(values, bounds, strict=True), key=lambda pair: pair[0])]
    found = np.empty(n, dtype=object)
    found[:] = enclosures
    return found


def _eigenvectors(K: arb_mat, bits: int) -> list[list[arb]]:
    """Approximate eigenvectors of K + ε diag(√2, √3, ...), as lists, no bound attached."""
    n = K.nrows()
    size = _norm(K).mid()
    shift = (arb(1) if size == 0 else size) * arb(2) ** -bits
    split = _diagonal([shift * arb(i + 2).sqrt() for i in range(n)])
    _, vectors = acb_mat(n, n, [entry.mid() for entry in (K + split).entries()]).eig(right=True, algorithm="approx")
    return [[vectors[i, j].real.mid() for i in range(n)] for j in range(n)]


def _orthonormal(vectors: list[list[arb]]) -> arb_mat:
    """Gram and Schmidt, twice; columns of midpoints."""
    done: list[list[arb]] = []
    for vector in vectors:
        for other in done * 2:
            share = _dot(vector, other)
            vector = [(a - share * b).mid() for a, b in zip(vector, other, strict=True)]
        length = _dot(vector, vector).sqrt()
        done.append([(a / length).mid() for a in vector])
    return arb_mat(done).transpose()


def _dot(left: list[arb], right: list[arb]) -> arb:
    return sum((a * b for a, b in zip(left, right, strict=True)), arb(0)).mid()


def _diagonal(values: list[arb]) -> arb_mat:
    n = len(values)
    return arb_mat(n, n, [values[i] if i == j else arb(0) for i in range(n) for j in range(n)])


def _norm(A: arb_mat) -> arb:
    """An upper bound of the Frobenius norm; squares of the balls themselves might reach below 0."""
    return sum((entry.abs_upper() ** 2 for entry in A.entries()), arb(0)).sqrt()
