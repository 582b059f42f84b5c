"""The figures of studies, from the data of `refntk.studies.figure`. A family looks the same in all panels that share it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from ..studies import figure as data
from .style import DASHES, PALETTE, WIDTH, positive, quiet

MARKS = "osD^vPX"
DASHED = (DASHES, (0, (1, 1.5)), (0, (6, 1.5, 1, 1.5)))  # once all colours are used, lines of other dashes
WIDTHS = (2.2, 1.6, 1.2)  # points: of two lines in one place both are seen
PANEL = 3.3  # inches: a panel's height, and its least width
LINE, LETTER, KEY = 0.2, 0.085, 0.5  # inches: of a legend
ELONGATED = 3.0  # fields that are longer fill their panel; others, and kernels, have square cells
MANY = 4000  # points; more are pixels even in vector files
BEYOND = 10.0  # a slope leaves the range of the data by this factor at most

Looks = Mapping[str, Mapping[str, Any]]  # colour, dashes and marker of a family


def study(figure: data.Figure, /) -> Figure:
    """The figure of a study, drawn: `columns` panels a row, one legend below if panels share a line, else one below each.

    >>> x = np.array([1.0, 10.0, 100.0])
    >>> found, order = data.Series("found", x, 1 / x), data.Slope(-1, (1, 1))
    >>> curves = data.Curves("rate", "N (samples)", "error (dimensionless)", [found], [order], "xy")
    >>> drawn = study(data.Figure("rate", "It falls.", [curves]))
    >>> [line.get_label() for line in drawn.axes[0].lines]
    ['found', '_order −1']
    """
    panels = figure.panels
    columns = min(figure.columns, len(panels))
    rows = -(-len(panels) // columns)
    width = max(WIDTH * (0.75 if columns == 1 else 1.0), (PANEL + 0.3) * columns)
    curves = [panel for panel in panels if isinstance(panel, data.Curves)]
    shared = len(curves) == 1 or len(_families(curves)) < sum(len(_families([panel])) for panel in curves)
    room = width if shared else width / columns
    most = int((room - KEY) / LETTER)
    names = [[fill(label, most) for label in _labels(group)] for group in ([curves] if shared else [[panel] for panel in curves])]
    longest = max((len(line) for labels in names for label in labels for line in label.splitlines()), default=0)
    ncols = max(1, int(room / (LETTER * longest + KEY)))
    lines = max((sum(label.count("\n") + 1 for label in labels[::ncols]) for labels in names), default=0)
    legend = LINE * lines * (1 if shared else rows) + 0.1
    drawn = Figure(figsize=(width, PANEL * rows + legend), layout="constrained")
    letters = int(0.8 * PANEL / LETTER)
    axes = drawn.subplots(rows, columns, squeeze=False).ravel()
    for ax, panel in zip(axes, panels, strict=False):
        ax.set_title(fill(panel.title, letters), fontsize="medium")
        ax.set(xlabel=fill(panel.x, letters), ylabel=fill(panel.y, letters))
        if isinstance(panel, data.Image):
            _image(drawn, ax, panel, [p for p in panels if isinstance(p, data.Image) and panel.family and p.family == panel.family])
        else:
            _curves(ax, panel, _looks(curves if shared else [panel]))
    for ax in axes[len(panels) :]:
        ax.remove()
    _legends(drawn, ncols, most, shared=shared)
    drawn.draw_without_rendering()  # images of one aspect are placed right when their sizes are known
    return drawn


def _families(panels: Sequence[data.Curves]) -> list[str]:
    """The families of these panels, in the order in which they appear."""
    return list(dict.fromkeys(series.family or series.label for panel in panels for series in panel.series))


def _labels(panels: Sequence[data.Curves]) -> list[str]:
    return list(dict.fromkeys(series.label for panel in panels for series in panel.series if series.label))


def _looks(panels: Sequence[data.Curves]) -> Looks:
    ways = itertools.product(DASHED, PALETTE)
    looks = zip(_families(panels), itertools.cycle(ways), itertools.cycle(MARKS), strict=False)
    widths = itertools.chain(WIDTHS, itertools.repeat(WIDTHS[-1]))
    return {
        name: {"color": colour, "dashes": dashes, "marker": mark, "width": width}
        for (name, (dashes, colour), mark), width in zip(looks, widths, strict=False)
    }


def _curves(ax: Axes, panel: data.Curves, looks: Looks) -> None:
    for axis in panel.log:
        getattr(ax, f"set_{axis}scale")("log")
    for series in panel.series:
        _series(ax, series, panel.log, **looks[series.family or series.label])
    for slope in panel.slopes:
        _slope(ax, slope, panel)
    ax.margins(0.04)
    quiet(ax)


def _series(ax: Axes, series: data.Series, log: str, *, color: str, dashes: Any, marker: str, width: float) -> None:
    x, y = _shown(series.x, "x" in log), _shown(series.y, "y" in log)
    if series.style == data.POINTS:
        style: dict[str, Any] = {"linestyle": "none", "marker": marker, "markersize": 4.5 if len(x) <= 100 else 2.0}
    else:
        solid = series.style != data.DASHED and dashes == DASHED[0]
        style = {"linestyle": "-" if solid else dashes, "linewidth": width}
    ax.plot(x, y, color=color, label=series.label or "_", rasterized=len(x) > MANY, **style)
    if series.low is None or series.high is None:
        return
    low, high = np.asarray(series.low, dtype=np.float64), np.asarray(series.high, dtype=np.float64)
    if series.style == data.BAND:
        ax.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    else:
        ax.vlines(x, low, high, color=color, linewidth=1.1)


def _shown(values: np.ndarray, log: bool) -> np.ndarray:
    """What an axis can show; the rest are gaps."""
    values = np.asarray(values, dtype=np.float64)
    return positive(values) if log else values


def _slope(ax: Axes, slope: data.Slope, panel: data.Curves) -> None:
    """The line over the range of the data, with its label where it ends."""
    (left, right), (low, high) = (_range([getattr(series, axis) for series in panel.series]) for axis in "xy")
    x0, y0 = slope.through
    x = np.geomspace(min(left, x0), max(right, x0), 257)
    y = y0 * (x / x0) ** slope.rate
    seen = (y >= min(low / BEYOND, y0)) & (y <= max(high * BEYOND, y0))
    x, y = x[seen], y[seen]
    label = slope.label or f"order {slope.rate:g}".replace("-", "−")
    ax.plot(x, y, color="0.45", linewidth=1.0, linestyle=DASHED[1], label=f"_{label}", zorder=1)
    end = -1
    place: dict[str, Any] = {"xytext": (4, 0), "va": "center"}
    if right * left < x0**2:  # several may pass through one point on the right: they are told apart at the other end
        end, place = 0, {"xytext": (5, 4), "va": "top"} if slope.rate > 0 else {"xytext": (5, -4), "va": "bottom"}
    halo = [withStroke(linewidth=2.5, foreground="white")]
    place |= {"textcoords": "offset points", "annotation_clip": False, "path_effects": halo}
    ax.annotate(label, (x[end], y[end]), color="0.3", fontsize="small", **place)


def _range(values: Sequence[np.ndarray], *, log: bool = True) -> tuple[float, float]:
    """The least and the largest of what an axis can show; (1, 1) where that is nothing."""
    found = _shown(np.concatenate([np.ones(0), *values]), log)
    found = found[np.isfinite(found)]
    return (float(found.min()), float(found.max())) if found.size else (1.0, 1.0)


def _image(drawn: Figure, ax: Axes, panel: data.Image, family: Sequence[data.Image]) -> None:
    values = np.ma.masked_invalid(_shown(panel.values, panel.log))
    low, high = _range([np.ravel(image.values) for image in family or [panel]], log=panel.log)
    bound = max(abs(low), abs(high))
    norm: Normalize = LogNorm(low, high) if panel.log else Normalize(-bound, bound) if panel.signed else Normalize(low, high)
    place: dict[str, Any] = {"origin": "upper", "aspect": "equal"}
    if panel.extent is None:
        ax.locator_params(integer=True)  # rows and columns have whole numbers
    else:
        left, right, bottom, top = panel.extent
        short, long = sorted((abs(right - left), abs(top - bottom)))
        place = {"origin": "lower", "aspect": "equal" if long <= ELONGATED * short else "auto", "extent": panel.extent}
    if panel.directors is not None:
        headless: dict[str, Any] = {"headwidth": 0, "headlength": 0, "headaxislength": 0}
        ax.quiver(*panel.directors.T, color=PALETTE[1], pivot="mid", scale=30, width=0.006, **headless)
    image = ax.imshow(values, cmap="RdBu_r" if panel.signed else "viridis", norm=norm, interpolation="nearest", **place)
    drawn.colorbar(image, cax=ax.inset_axes((1.04, 0, 0.05, 1)), label=panel.z)  # as high as the image, whatever its aspect


def _legends(drawn: Figure, ncols: int, letters: int, *, shared: bool) -> None:
    """Below all panels, or below each, so that no data are covered."""
    named: dict[Axes, dict[str, Any]] = {}
    for ax in drawn.axes:
        handles, labels = ax.get_legend_handles_labels()
        named[ax] = {fill(label, letters): handle for label, handle in zip(labels, handles, strict=True)}
    style: dict[str, Any] = {"ncols": ncols, "frameon": False, "fontsize": "small"}
    if shared and any(named.values()):
        everything = {label: handle for found in named.values() for label, handle in found.items()}
        drawn.legend(everything.values(), everything, loc="outside lower center", **style)
    elif not shared:
        for ax, found in ((ax, found) for ax, found in named.items() if found):
            under = 0.33 + 0.17 * (ax.get_xlabel().count("\n") + 1)  # inches: numbers and title of the axis
            below = ax.transAxes + ScaledTranslation(0, -under, drawn.dpi_scale_trans)
            ax.legend(found.values(), found, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, **style)
