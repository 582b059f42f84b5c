"""What all figures share: colours, sizes, quiet axes, and files that are the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..errors import UnknownNameError
from ..files import replacing

# Okabe & Ito 2008: told apart by readers with every kind of colour vision; yellow is left out, too faint for a line on white
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
WIDTH = 7.0  # inches
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
    kind = path.suffix[1:]
    if kind not in UNDATED:
        raise UnknownNameError("suffix", kind, UNDATED)
    with replacing(path) as file, rc_context({"svg.hashsalt": "refntk"}):
        figure.savefig(file, format=kind, dpi=200, metadata=UNDATED[kind])
    return path


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
    """Frame and grid step back behind the lines."""
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
