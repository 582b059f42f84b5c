"""Figures from results. The only room that imports matplotlib; it makes `Figure` objects and keeps no state of pyplot."""

from __future__ import annotations

from ..errors import MissingDependency

try:
    import matplotlib.figure  # noqa: F401
except ImportError as error:
    raise MissingDependency("matplotlib is not installed: pip install 'refntk[plot]'") from error

from .fields import CELLS, SLICES, field
from .history import losses, weights
from .rules import rules
from .studies import study
from .style import PALETTE, UNDATED, WIDTH, encoded, save

__all__ = ["CELLS", "PALETTE", "SLICES", "UNDATED", "WIDTH", "encoded", "field", "losses", "rules", "save", "study", "weights"]
