"""Readings of a quantity: what would be returned by somebody who takes it for another functional of R and J.

The first reading of every list is right. One module for each kind: functionals of R, J and K; directions; weights, which are
composed; and what follows from given probes. Factors go with any reading.
"""

from __future__ import annotations

from .direction import DIRECTIONS
from .factors import FACTORS, Factor
from .kernel import KERNEL
from .probes import PROBES
from .reading import Numbers, Reading, taken
from .weights import weights

__all__ = ["FACTORS", "Factor", "Numbers", "Reading", "readings", "taken"]

READINGS: dict[str, list[Reading]] = KERNEL | DIRECTIONS | PROBES


def readings(quantity: str, /) -> list[Reading]:
    """What the quantity has been taken for, the right reading first.

    >>> len(readings("traces")), readings("traces")[0].words, readings("weights/wang_2022")[0].mistake
    (16, '', 0)
    """
    family, _, rule = quantity.partition("/")
    return sorted(weights(rule), key=lambda reading: reading.cost) if family == "weights" else READINGS.get(quantity, [])
