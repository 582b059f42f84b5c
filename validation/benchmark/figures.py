"""Figures from the files in results/, and from nothing else: `python validation/benchmark/figures.py`."""

import argparse
import json
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from refntk.plots import PALETTE, WIDTH, save

HERE = Path(__file__).parent
FORMATS = ("png", "svg")
LABELS = {"seconds": "seconds, median", "bytes": "bytes at the peak"}
NAMES = {"n": "rows n", "width": "width", "depth": "hidden layers"}


def main(arguments=None):
    """Draws what the results allow: `times` and `memory` from the problems' files, `growth` from that of the growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results", metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=HERE / "figures", metavar="FOLDER")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    found = {path.stem: json.loads(path.read_text()) for path in sorted(options.results.glob("*.json"))}
    growth = found.pop("growth", None)
    figures = {"growth": grown(growth)} if growth else {}
    if found:
        figures |= {"times": times(found), "memory": memory(found)}
    for name, figure in figures.items():
        for kind in FORMATS:
            save(figure, options.out / f"{name}.{kind}")
    return sorted(figures)


def times(documents):
    """Medians in units of the bare matrix products, one panel a problem, one group of bars a workload, one bar a candidate."""
    panels = {name: _cells(d["measurements"], lambda row: row["over_gemms"]["median"]) for name, d in documents.items()}
    figure = _bars(panels, documents, "time over that of the bare matrix products")
    for axes in figure.axes:
        axes.axhline(1.0, color="black", linewidth=0.8)
    return figure


def memory(documents):
    """Peak bytes, likewise; what was left out has no bar."""
    panels = {name: _cells(d["memory"], lambda row: row.get("bytes", 0) / 2**20) for name, d in documents.items()}
    return _bars(panels, documents, "MiB at the peak beyond what stood before")


def _cells(rows, value):
    """`{(workload, candidate): value}`, the bound apart."""
    return {(row["workload"], row["candidate"]): value(row) for row in rows if row["workload"] != "gemms"}


def _bars(panels, documents, label):
    """Candidates keep their colours from panel to panel; the axis is logarithmic."""
    candidates = list(dict.fromkeys(candidate for cells in panels.values() for _, candidate in cells))
    figure = Figure(figsize=(WIDTH, 2.6 * len(panels) + 0.6), layout="constrained")
    for axes, (name, cells) in zip(np.atleast_1d(figure.subplots(len(panels), 1)), panels.items(), strict=True):
        workloads = list(dict.fromkeys(workload for workload, _ in cells))
        width = 0.8 / len(candidates)
        for i, candidate in enumerate(candidates):
            bars = [(g, cells[w, candidate]) for g, w in enumerate(workloads) if cells.get((w, candidate), 0) > 0]
            if bars:
                groups, heights = zip(*bars, strict=True)
                places = np.array(groups) + (i - (len(candidates) - 1) / 2) * width
                axes.bar(places, heights, width, color=PALETTE[i % len(PALETTE)], label=candidate)
        axes.set_yscale("log")
        axes.set_xticks(range(len(workloads)), [w.replace("_", "\n") for w in workloads], fontsize="small")
        axes.set_title(f"{name} {'-'.join(map(str, documents[name]['case']['sizes']))}", fontsize="medium")
        axes.grid(axis="y", alpha=0.3)
    figure.supylabel(label, fontsize="medium")
    shown = {text: handle for axes in figure.axes for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=4, frameon=False)
    return figure


def grown(document):
    """Time and memory against rows, width and depth on log-log axes, with fitted slopes in the legend."""
    rows = document["growth"]
    axes_names = list(dict.fromkeys(row["axis"] for row in rows))
    figure = Figure(figsize=(1.4 * WIDTH, 5.6), layout="constrained")
    panels = figure.subplots(2, len(axes_names), squeeze=False)
    for column, axis in enumerate(axes_names):
        for line, (kind, label) in enumerate(LABELS.items()):
            axes = panels[line, column]
            for i, (workload, slopes) in enumerate(document["slopes"][axis].items()):
                mine = [row for row in rows if row["axis"] == axis and row["workload"] == workload]
                x = np.array([row["x"] for row in mine], dtype=float)
                y = np.array([row["median" if kind == "seconds" else "bytes"] for row in mine], dtype=float)
                slope = slopes[kind]
                told = workload if slope is None else f"{workload}: slope {slope['all']:.2f}"
                axes.loglog(x[y > 0], y[y > 0], "o", color=PALETTE[i], label=told)
                if slope is not None:
                    middle = np.exp(np.log(x).mean()), np.exp(np.log(y).mean())
                    axes.loglog(x, middle[1] * (x / middle[0]) ** slope["all"], color=PALETTE[i], linewidth=1)
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.set_xticks([], minor=True)
            axes.yaxis.set_minor_formatter(NullFormatter())
            axes.set_xlabel(NAMES[axis])
            axes.set_ylabel(label if column == 0 else "")
            axes.legend(fontsize="x-small", frameon=False)
            axes.grid(which="major", alpha=0.3)
    return figure


if __name__ == "__main__":
    main()
