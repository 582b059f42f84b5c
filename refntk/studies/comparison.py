"""Descents compared: errors at the end by method, as the paper's tables give them, and curves on the way there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .descents import METHODS
from .figure import BAND, Curves, Series
from .study import Claim, Outcome

MEDIANS = 3  # starts below which no medians are compared


def ends(outcome: Outcome[Any], **where: Any) -> np.ndarray:
    """The relative L2 errors at the end, of the cells with these values."""
    return np.asarray(outcome.arrays["error"][outcome.where(**where), -1])


def spread(values: np.ndarray) -> tuple[float, float, float]:
    """Median, least and largest, as the paper's tables give them.

    >>> spread(np.array([1.0, 9.0, 2.0]))
    (2.0, 1.0, 9.0)
    """
    return float(np.median(values)), float(np.min(values)), float(np.max(values))


def reached(outcome: Outcome[Any], told: str, target: float, printed: str, **where: Any) -> Claim:
    """That the median error at the end is not above `target`, beside what is printed."""
    median, low, high = spread(ends(outcome, **where))
    statement = f"{told}: relative L2 error, median of {len(outcome.where(**where))} starts in [{low:.2g}, {high:.2g}]"
    return Claim(statement, f"at most {target:g}; {printed}", median, median <= target)


def lead(outcome: Outcome[Any], told: str, claimed: str, first: Mapping[str, Any], second: Mapping[str, Any], most: float) -> Claim:
    """That the median error of the first is at most `most` times that of the second."""
    ratio = spread(ends(outcome, **first))[0] / spread(ends(outcome, **second))[0]
    return Claim(told, claimed, ratio, ratio <= most)


def curves(outcome: Outcome[Any], title: str, x: str, y: str, methods: Sequence[str], **where: Any) -> Curves:
    """Numbers over one another by method: medians over the starts, in a band from the least to the largest."""
    words = {"step": "step", "passes": "passes over all points", "loss": "loss (dimensionless)", "rank": "rank of the direction"}
    words["error"] = "relative L2 error (dimensionless)"
    series = []
    for method in methods:
        at = outcome.where(method=method, **where)
        over, values = np.median(outcome.arrays[x][at], axis=0), outcome.arrays[y][at]
        label = METHODS[method].label
        low, high = values.min(axis=0), values.max(axis=0)
        series.append(Series(label, over, np.median(values, axis=0), BAND, low, high))
    return Curves(title, words[x], words[y], series, log=("" if y == "rank" else "y") if x == "step" else "xy")
