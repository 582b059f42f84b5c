"""Hypotheses: what was differentiated (a variant), what was made of it (a reading), and what stands before it (a factor)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..vectors.case import Case
from .readings import FACTORS, Factor, Reading, readings, taken
from .variants import RIGHT, VARIANTS, Variant, linearized

MOST_COST = 33
WRONG_READING, NEW_VARIANT, KNOWN_VARIANT = 10, 11, 5  # a factor costs between them: the simplest explanation is named


@dataclass(frozen=True)
class Hypothesis:
    """One explanation of the numbers of a check; `cost` says how far-fetched it is."""

    variant: Variant
    reading: Reading
    factor: Factor
    cost: int

    @property
    def words(self) -> str:
        """All that is wrong."""
        return ", ".join(part.words for part in (self.reading, self.variant, self.factor) if part.words)

    @property
    def mistakes(self) -> tuple[int, ...]:
        """Their numbers."""
        return tuple(sorted({part.mistake for part in (self.reading, self.variant, self.factor) if part.mistake}))

    def numbers(self, case: Case, /) -> np.ndarray | None:
        """What would come of it; None where nothing does. A variant that makes no difference to a case leaves it right."""
        lin = linearized(self.variant, case) or linearized(RIGHT, case)
        found = None if lin is None else taken(self.reading, lin)
        return None if lin is None or found is None else found * self.factor.of(lin)

    def blur(self, case: Case, /) -> float:
        """What rounding may do to the numbers, of their scale."""
        lin = linearized(self.variant, case) or linearized(RIGHT, case)
        return 0.0 if lin is None else self.reading.blur(lin)


def hypotheses(quantity: str, known: Sequence[Variant], /) -> Iterator[Hypothesis]:
    """All of a quantity, the simple ones first; variants that explained an earlier check are `known` and simpler.

    >>> [h.words for h in hypotheses("jacobian", []) if h.cost == WRONG_READING and not h.factor.words]
    ['Jᵀ', 'rows times their residuals: of ½ r²']
    """
    found = []
    for reading in readings(quantity):
        wrong = reading.cost if reading.words else 0
        for variant in (RIGHT, *VARIANTS) if wrong <= 1 else (RIGHT,):
            for factor in FACTORS:
                cost = WRONG_READING * wrong + factor.cost
                cost += 0 if variant is RIGHT else KNOWN_VARIANT if variant in known else NEW_VARIANT
                if 0 < cost <= MOST_COST and not (quantity.startswith("weights/") and factor.words and wrong > 1):
                    found.append(Hypothesis(variant, reading, factor, cost))
    yield from sorted(found, key=lambda hypothesis: hypothesis.cost)
