"""Figures as data: what is drawn, without how. `refntk.plots` draws them; studies need not import it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidInput, ShapeError

LINE, POINTS, DASHED, BAND = STYLES = ("line", "points", "dashed", "band")
LOGS = ("", "x", "y", "xy")


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers y over x, (n,) each; `low` and `high` (n,) are the ends of error bars, or the edges of the "band" about a line.

    What is not finite, or cannot stand on a logarithmic axis, is a gap. Series of one `family` have one colour, as points and the
    line that they should lie on; alone, a series is a family by its label. Without a label it is in no legend.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    style: str = LINE
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    family: str = ""

    def __post_init__(self) -> None:
        if self.style not in STYLES:
            raise InvalidInput("style", repr(self.style), f"choose one of {', '.join(STYLES)}")
        ends = [end for end in (self.low, self.high) if end is not None]
        if len(ends) == 1 or (self.style == BAND and not ends):
            raise InvalidInput("low, high", f"{len(ends)} of them", "give both, or neither to a series that is no band")
        shapes = {np.shape(numbers) for numbers in (self.x, self.y, *ends)}
        if len(shapes) > 1 or len(shapes.pop()) != 1:
            raise ShapeError("series", repr(self.label), "give x, y, low and high of one shape (n,)")


@dataclass(frozen=True)
class Slope:
    """A straight line of this order beside the data, on logarithmic axes: y ∝ x^rate through the point `through`."""

    rate: float
    through: tuple[float, float]
    label: str = ""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and all(0 < at < math.inf for at in self.through)):
            raise InvalidInput("slope", f"{self.rate} through {self.through}", "give a finite order and a point above zero")


@dataclass(frozen=True, eq=False)
class Curves:
    """One pair of axes with lines: titles with units, `log` names the logarithmic axes ("", "x", "y", "xy")."""

    title: str
    x: str
    y: str
    series: Sequence[Series]
    slopes: Sequence[Slope] = ()
    log: str = ""

    def __post_init__(self) -> None:
        if self.log not in LOGS:
            raise InvalidInput("log", repr(self.log), f"choose one of {', '.join(map(repr, LOGS))}")


@dataclass(frozen=True, eq=False)
class Image:
    """A matrix (rows, columns) as an image: row 0 on top if `extent` is None (a kernel), else at the bottom (a field).

    `extent` is (left, right, bottom, top), the outer edges; `z` names the numbers, with their unit, at the colour bar. Colours are
    logarithmic if `log`, two about zero if `signed`. Images of one `family` have one scale of colours.
    `directors` (n, 4) are short strokes over it without heads, at x, y along u, v: eigenvectors have no sign.
    """

    title: str
    values: np.ndarray
    extent: tuple[float, float, float, float] | None = None
    x: str = ""
    y: str = ""
    signed: bool = False
    z: str = "dimensionless"
    log: bool = False
    family: str = ""
    directors: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.directors is not None and (np.ndim(self.directors) != 2 or np.shape(self.directors)[1] != 4):
            raise ShapeError("directors", f"shape {np.shape(self.directors)}", "expected (n, 4): x, y, u, v")
        if np.ndim(self.values) != 2 or not np.size(self.values):
            raise ShapeError("values", f"shape {np.shape(self.values)}", "an image shows a matrix")
        if self.log and self.signed:
            raise InvalidInput("log", "with signed", "a logarithm has no sign; choose one of the two")


@dataclass(frozen=True, eq=False)
class Figure:
    """Panels side by side, `columns` a row, under a caption that says what to see; `name` becomes that of the file."""

    name: str
    caption: str
    panels: Sequence[Curves | Image]
    columns: int = 2

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", self.name):
            raise InvalidInput("name", repr(self.name), "use small letters, digits, - and _")
        if not self.panels or self.columns < 1:
            raise InvalidInput("panels", f"{len(self.panels)} in {self.columns} columns", "give one or more of each")
