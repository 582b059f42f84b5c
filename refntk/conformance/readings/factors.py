"""Factors that stand before a right number: those which people put there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..variants import Linearized


@dataclass(frozen=True)
class Factor:
    """In words; which mistake; the number; whether it depends on the case and so is recognised more surely."""

    words: str
    mistake: int
    of: Callable[[Linearized], float]
    cost: int = 12


NONE = Factor("", 0, lambda lin: 1.0, 0)
FACTORS: tuple[Factor, ...] = (
    NONE,
    Factor("a factor 2", 15, lambda lin: 2.0),
    Factor("a factor ½", 15, lambda lin: 0.5),
    Factor("a factor 4", 15, lambda lin: 4.0),
    Factor("a factor ¼", 15, lambda lin: 0.25),
    Factor("a factor -1", 15, lambda lin: -1.0),
    Factor("divided by the number of rows", 10, lambda lin: 1 / lin.J.shape[0], 10),
    Factor("multiplied by the number of rows", 10, lambda lin: float(lin.J.shape[0]), 10),
    Factor("divided by the root of the number of rows", 15, lambda lin: lin.J.shape[0] ** -0.5, 10),
    Factor("twice, and divided by the number of rows", 15, lambda lin: 2 / lin.J.shape[0], 10),
    Factor("divided by the number of terms", 11, lambda lin: 1 / len(lin.blocks), 10),
    Factor("multiplied by the number of terms", 11, lambda lin: float(len(lin.blocks)), 10),
    Factor("divided by the number of outputs: a mean for the sum", 16, lambda lin: 1 / lin.case.problem.outputs, 10),
    Factor("divided by the number of parameters", 11, lambda lin: 1 / lin.J.shape[1], 10),
)
