"""What all figures share: colours, sizes, quiet axes, and files that are the same bytes every time."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ..errors import UnknownNameError
from ..files import replacing

# Okabe & Ito 2008: told apart by readers with every kind of colour vision; yellow is left out, too faint for a line on white
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WIDTH = 7.0  # inches
FEW, ONE = 2.0, 0.7  # decades of a logarithmic axis that powers of ten alone, or a few multiples of theirs, would leave bare
PLAIN = (1e-3, 1e5)  # numbers between are written out
DASHES = (0, (4, 2))
UNDATED: dict[str, dict[str, None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}  # of metadata by format


def save(figure: Figure, path: str | Path, /) -> Path:
    """The path of the file written, in the format its suffix names (png, svg, pdf); whole or not at all, the same bytes every time.

    Raises `UnknownNameError` for a suffix that names no format, `OSError`.

    >>> import tempfile
    >>> save(Figure(), Path(tempfile.mkdtemp()) / "empty.svg").read_bytes()[:5]
    b'<?xml'
    """
    path = Path(path)
    content = encoded(figure, path.suffix[1:])
    with replacing(path) as file:
        file.write(content)
    return path


def encoded(figure: Figure, kind: str, /) -> bytes:
    """The figure as a file of that format holds it: png, svg or pdf. Raises `UnknownNameError`."""
    if kind not in UNDATED:
        raise UnknownNameError("suffix", kind, UNDATED)
    with BytesIO() as file, rc_context({"svg.hashsalt": "refntk"}):
        figure.savefig(file, format=kind, dpi=200, metadata=UNDATED[kind])
        return file.getvalue()


def positive(values: np.ndarray) -> np.ndarray:
    """What a log axis can show; the rest are gaps."""
    return np.where(values > 0, values, np.nan)


def finished(figure: Figure, title: str) -> Figure:
    """The figure with its title, every plot of lines quiet."""
    figure.suptitle(title, fontsize="large")
    for ax in figure.axes:
        if ax.lines:
            quiet(ax)
    return figure


def quiet(ax: Axes) -> None:
    """Frame and grid step back behind the lines, and no axis says too much or too little."""
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    for axis in (ax.xaxis, ax.yaxis):
        if axis.get_scale() == "log":
            _number(axis)


def _number(axis: Axis) -> None:
    """Numbers at a logarithmic axis: powers of ten, within two decades some multiples too, within half of one round numbers."""
    axis.set_minor_formatter(NullFormatter())
    low, high = axis.get_view_interval()
    if not 0 < low < high or (decades := math.log10(high / low)) >= FEW:
        return
    short = PLAIN[0] <= low and high < PLAIN[1]
    steps = (1.0, 2.0, 5.0) if short else (1.0, 3.0)
    axis.set_major_locator(LogLocator(subs=steps) if decades > ONE else MaxNLocator(4 if short else 2, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(_told))


def _told(value: float, _: Any = None) -> str:
    r"""A number at an axis.

    >>> [_told(value) for value in (0.5, 200.0, 2e-13)]
    ['0.5', '200', '$2\\times10^{-13}$']
    """
    if PLAIN[0] <= value < PLAIN[1]:
        return f"{value:g}"
    digits, power = f"{value:.3e}".split("e")
    return rf"${float(digits):g}\times10^{{{int(power)}}}$"
