"""What a reading is, and the sums over the rows of a term of which readings are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...errors import InvalidInput
from ..variants import Linearized

Numbers = np.ndarray


@dataclass(frozen=True)
class Reading:
    """What was done instead, in words; which mistake (0: none in the list); what it gives; how many things are wrong at once;
    and what rounding may do to it, of its scale, where that is more than to other readings.
    """

    words: str
    mistake: int
    make: Callable[[Linearized], Numbers]
    cost: int = 1
    blur: Callable[[Linearized], float] = lambda lin: 0.0


@lru_cache(maxsize=20_000)
def taken(reading: Reading, lin: Linearized, /) -> Numbers | None:
    """What the reading gives; None where nothing follows from it."""
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(reading.make(lin), dtype=float)
    except (InvalidInput, ArithmeticError, ValueError, np.linalg.LinAlgError):
        return None
    return found if np.all(np.isfinite(found)) else None


def per_term(lin: Linearized, function: Callable[[slice], float]) -> Numbers:
    """A number for each term."""
    return np.array([function(rows) for rows in lin.blocks.values()])


def stack(found: Mapping[str, object]) -> Numbers:
    """`{term: number}` as an array."""
    return np.array([float(value) for value in found.values()])  # type: ignore[arg-type]


def rows_of(lin: Linearized) -> Numbers:
    """How many rows every term has."""
    return per_term(lin, lambda rows: rows.stop - rows.start)


def components(lin: Linearized) -> Numbers:
    """How many rows of every term belong to one point."""
    return np.array([term.components for term in lin.case.problem.terms])


def contracted(lin: Linearized) -> Numbers:
    """`Σ_c K_(i,c),(j,c)`: one row and one column for each point. `ValueError` where points differ in their components."""
    (size,) = set(components(lin).tolist())
    points = lin.K.shape[0] // size
    return np.trace(lin.K.reshape(points, size, points, size), axis1=1, axis2=3)


def block_diagonal(lin: Linearized) -> Numbers:
    """K without the blocks between terms."""
    found = np.zeros_like(lin.K)
    for rows in lin.blocks.values():
        found[rows, rows] = lin.K[rows, rows]
    return found


def eigenvalues(K: Numbers) -> Numbers:
    """Those of a symmetric matrix, largest first."""
    return np.linalg.eigvalsh((K + K.T) / 2)[::-1]
