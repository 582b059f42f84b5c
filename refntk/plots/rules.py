"""What every published rule makes of one linearization, side by side."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..weights import RULES, RULES_OF_U, Comparison
from .style import DASHES, PALETTE, WIDTH, finished, positive

ROW, MARKS, APART = 0.42, "osD^vPX", 0.17  # inches; of the terms; of them within a row, so that equal weights are all seen


def rules(found: Comparison, title: str, /) -> Figure:
    """The weights λ_k on a log axis: one row a rule, one mark a term, from the least to the largest a grey band.

    A dashed line for each term is its weight by eq. (5): marks that lie on them, or all as far to one side, keep the same balance.

    >>> import refntk as rn
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 3, 1])
    >>> lin = rn.linearize(problem, network, network.init(rng=17), problem.sample(rng=17))
    >>> figure = rules(rn.weights.compare(lin), "poisson1d")
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['interior', 'boundary', 'eq. (5)']
    """
    known = RULES | RULES_OF_U
    names = list(found.weights)
    terms = list(next(iter(found.weights.values()), {}))
    figure = Figure(figsize=(1.3 * WIDTH, ROW * len(names) + 1.4), layout="constrained")
    axes = figure.subplots()
    for row, name in enumerate(names):
        seen = positive(np.array(list(found.weights[name].values())))
        axes.hlines(row, np.nanmin(seen), np.nanmax(seen), color="0.8", linewidth=22, alpha=0.3, zorder=1)
    rows = np.arange(len(names))
    for i, term in enumerate(terms):
        style: dict[str, Any] = {"color": PALETTE[i % len(PALETTE)], "label": term}
        weights = positive(np.array([found.weights[name][term] for name in names]))
        places = rows + APART * (i - (len(terms) - 1) / 2)
        axes.plot(weights, places, MARKS[i % len(MARKS)], markersize=6, markeredgecolor="white", zorder=3, **style)
        axes.axvline(weights[0], color=style["color"], linewidth=1.0, linestyle=DASHES, alpha=0.6, zorder=0)
    axes.plot([], [], color="0.5", linewidth=1.0, linestyle=DASHES, label="eq. (5)")
    axes.set_xscale("log")
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.set_xlabel("loss weight λ (dimensionless; rows: sum)")
    right = axes.secondary_yaxis("right")
    right.set_yticks(rows, [known[name].formula for name in names], fontsize="small", color="0.35")
    for side in (right, axes):
        side.tick_params(axis="y", length=0)
    right.spines["right"].set_visible(False)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    finished(figure, title)
    axes.spines["left"].set_visible(False)
    return figure
