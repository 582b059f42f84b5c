"""Variants of a residual and its Jacobian: mistakes made before any functional of them is taken, one module for each kind.

A variant changes the case (its equations, its network, its rows) and keeps the mathematics; what it does to any quantity then
follows by the readings.
"""

from .case import RIGHT, Linearized, Variant, linearized
from .equations import EQUATIONS
from .parametrization import PARAMETRIZATIONS
from .rows import ROWS

VARIANTS: tuple[Variant, ...] = (*EQUATIONS, *ROWS, *PARAMETRIZATIONS)

__all__ = ["RIGHT", "VARIANTS", "Linearized", "Variant", "linearized"]
