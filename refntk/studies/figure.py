"""Figures as data: what is drawn, without how. `refntk.plots` draws them; studies need not import it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LINE, POINTS, DASHED, BAND = "line", "points", "dashed", "band"


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers y over x, (n,) each; `low` and `high` (n,) are drawn as error bars, or as the edges of a "band"."""

    label: str
    x: np.ndarray
    y: np.ndarray
    style: str = LINE
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass(frozen=True)
class Slope:
    """A straight line of this order beside the data, on logarithmic axes: y ∝ x^rate through the point `through`."""

    rate: float
    through: tuple[float, float]
    label: str = ""


@dataclass(frozen=True, eq=False)
class Curves:
    """One pair of axes with lines: titles with units, `log` names the logarithmic axes ("", "x", "y", "xy")."""

    title: str
    x: str
    y: str
    series: Sequence[Series]
    slopes: Sequence[Slope] = ()
    log: str = ""


@dataclass(frozen=True, eq=False)
class Image:
    """A matrix as an image, row 0 on top if `extent` is None (a kernel), else with (left, right, bottom, top) (a field)."""

    title: str
    values: np.ndarray
    extent: tuple[float, float, float, float] | None = None
    x: str = ""
    y: str = ""
    signed: bool = False  # two colours about zero


@dataclass(frozen=True, eq=False)
class Figure:
    """Panels side by side, `columns` a row, under a caption that says what to see; `name` becomes that of the file."""

    name: str
    caption: str
    panels: Sequence[Curves | Image]
    columns: int = 2
