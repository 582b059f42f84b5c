"""How likely it is that numbers agree with a hypothesis by accident: an upper bound, and what it rests on.

A number that is wrong in a way nobody has thought of is taken to lie, in units of its own scale, anywhere with a density of at most
1; then it falls within ε of a prediction with a probability of at most 2ε. Numbers that hang together are counted once: evidence is
every *different* ratio of the predicted to the right number, so that a constant factor, however many numbers it changes, is one
lucky guess and not a thousand. And whoever tries many hypotheses is lucky more often: by the sum of their chances. So

    P(some of H hypotheses agrees with k independent wrong numbers to within ε) ≤ H (2ε)^k.

That wrong numbers with different ratios are independent is an idealisation, so nothing below 1e-30 is claimed.
"""

from __future__ import annotations

import math

import numpy as np

from ..vectors.case import UNIT

LEAST = -30.0
ALIKE = 1e-6  # ratios that differ by less, relatively, are one


def bound(evidence: int, error: float, tried: int, /) -> float:
    """The power of ten of `H (2ε)^k`: k numbers within `error` (at least a unit of rounding), the best of `tried` hypotheses.

    >>> bound(1, 0.5e-9, 100), bound(3, 0.5e-9, 100), bound(0, 0.0, 100), bound(9, 0.0, 100)
    (-7.0, -25.0, 0.0, -30.0)
    """
    return max(min(math.log10(max(tried, 1)) + evidence * math.log10(2 * max(error, UNIT)), 0.0), LEAST)


def ratios(predicted: np.ndarray, right: np.ndarray, least: float = ALIKE, /) -> np.ndarray:
    """Of each predicted number to the right one where they differ by more than `least`, relatively; the numbers themselves where
    shapes differ, or the right one is 0.

    >>> ratios(np.array([1.0, 2.0, 6.0, 5.0]), np.array([1.0, 1.0, 2.0, 0.0]))
    array([2., 3., 5.])
    """
    if predicted.shape != right.shape:
        return predicted.ravel()
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(right == 0, predicted, predicted / right)
    return found[np.abs(predicted - right) > least * np.abs(right)]


def different(values: np.ndarray, /) -> int:
    """How many values there are, those that are alike counted once.

    >>> different(np.array([2.0, 2.0 + 1e-9, -2.0, 3.0]))
    3
    """
    ordered = np.sort(values)
    if ordered.size == 0:
        return 0
    return 1 + int(np.sum(np.diff(ordered) > ALIKE * np.maximum(np.abs(ordered[1:]), np.abs(ordered[:-1]))))
