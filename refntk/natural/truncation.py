"""Truncated pseudo-inverses: which eigenvalues of a Gramian are kept, and what a direction was made of."""

from __future__ import annotations

from dataclasses import dataclass

from .. import arrays
from ..arrays import Array
from ..errors import InvalidInput


@dataclass(frozen=True, eq=False)
class Direction:
    """A natural gradient: θ - step · `vector` descends.

    `vector` (p,); `eigenvalues` (k,), those of the Gramian that the method saw, largest first, before truncation (none where it
    computed none); `rank`, how many of them it kept.
    """

    vector: Array
    eigenvalues: Array
    rank: int


def rank(eigenvalues: Array, /, *, tol: float = 1e-13, relative: bool = True) -> int:
    """How many eigenvalues (k,) exceed `tol` times the largest, or `tol` itself where not `relative`. Raises `InvalidInput`.

    >>> import numpy as np
    >>> rank(np.array([1e-12, 1.0, 100.0]), tol=1e-13), rank(np.array([1e-12, 1.0, 100.0]), tol=1e-11, relative=False)
    (2, 2)
    """
    xp = arrays.namespace(eigenvalues)
    if isinstance(tol, bool) or not isinstance(tol, int | float) or not 0 <= tol < (1 if relative else float("inf")):
        raise InvalidInput("tol", repr(tol), "give the smallest eigenvalue kept, as a share of the largest if relative: in [0, 1)")
    largest = max(float(xp.max(eigenvalues)), 0.0)
    return int(xp.sum(xp.astype(eigenvalues > (tol * largest if relative else tol), xp.int64)))


def invert(eigenvalues: Array, vectors: Array, right: Array, /, *, tol: float, relative: bool) -> tuple[Array, int]:
    """`V Λ⁺ Vᵀ b` and its rank, Λ⁺ truncated, for ascending eigenvalues Λ (k,), V (m, k), b (m,).

    >>> import numpy as np
    >>> invert(np.array([1e-20, 4.0]), np.eye(2), np.ones(2), tol=1e-13, relative=True)
    (array([0.  , 0.25]), 1)
    """
    kept, k = rank(eigenvalues, tol=tol, relative=relative), eigenvalues.shape[0]
    V = vectors[:, k - kept :]
    return V @ ((V.T @ right) / eigenvalues[k - kept :]), kept
