"""A training run over its steps: losses, errors, loss weights."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..training.deviation import full_weights
from ..training.history import History
from .style import DASHES, PALETTE, WIDTH, finished, positive


def losses(history: History, /) -> Figure:
    """The loss of every term, `½‖r_k‖²` of the scaled rows without its weight, against the training step, log axis.

    Where the solution is known a second panel shows the relative L2 error. One line a term, one for the error.

    >>> import refntk as rn
    >>> from refntk.training import train
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 3, 1])
    >>> history = train(problem, network, network.init(rng=17), steps=2, record=1)
    >>> [len(axes.lines) for axes in losses(history).axes]  # interior and boundary; the error
    [2, 1]
    """
    known = bool(np.isfinite(history.errors).any())
    panels = 2 if known else 1
    figure = Figure(figsize=(WIDTH, 5.8 if known else 3.9), layout="constrained")
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False, height_ratios=(3, 2)[:panels])[:, 0]
    for colour, (term, values) in _coloured(history.losses):
        axes[0].semilogy(history.steps, positive(values), color=colour, label=term)
    axes[0].set_ylabel(f"loss ½‖r‖², unweighted\n(dimensionless; {_rows(history)})")
    if known:
        axes[1].semilogy(history.steps, positive(history.errors), color="black")
        axes[1].set_ylabel("relative L2 error\n(dimensionless)")
    axes[-1].set_xlabel("training step")
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    return finished(figure, f"{name_of(history)}: losses")


def weights(history: History, /) -> Figure:
    """The loss weights λ_k against the training step, log axis: those in force solid, the full kernel's dashed, two lines a term.

    The full kernel's are eq. (5), `Tr K / Tr K_kk`, of the traces that the history holds for every recorded step.

    >>> import refntk as rn
    >>> from refntk.training import train
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 3, 1])
    >>> history = train(problem, network, network.init(rng=17), steps=2, record=1)
    >>> solid, dashed = weights(history).axes[0].lines[:2]
    >>> bool(np.allclose(solid.get_ydata(), dashed.get_ydata()))  # weighting="trace" takes them from the full kernel at every step
    True
    """
    figure = Figure(figsize=(WIDTH, 4.8), layout="constrained")
    axes = figure.subplots()
    full = full_weights(history)
    for colour, (term, values) in _coloured(history.weights):
        axes.semilogy(history.steps, positive(values), color=colour, linewidth=2.4, alpha=0.5, label=term)
        axes.semilogy(history.steps, positive(full[term]), color=colour, linewidth=1.2, linestyle=DASHES)
    solid = Line2D([], [], color="black", linewidth=2.4, alpha=0.5, label=f"in force ({history.config['weighting']})")
    dashed = Line2D([], [], color="black", linewidth=1.2, linestyle=DASHES, label="full kernel (Tr K / Tr K_kk)")
    handles, _ = axes.get_legend_handles_labels()
    figure.legend(handles=[*handles, solid, dashed], loc="outside lower center", ncols=4, frameon=False)
    axes.set_xlabel("training step")
    axes.set_ylabel(f"loss weight λ\n(dimensionless; {_rows(history)})")
    return finished(figure, f"{name_of(history)}: loss weights")


def _coloured(curves: Mapping[str, np.ndarray]) -> list[tuple[str, tuple[str, np.ndarray]]]:
    """`(colour, (term, values))`, the palette over and over."""
    return list(zip(itertools.cycle(PALETTE), curves.items(), strict=False))


def _rows(history: History) -> str:
    """How the rows of R are scaled, without which no loss and no weight can be compared."""
    return f"rows: {history.config['scaling']}"


def name_of(history: History) -> str:
    """The problem's name."""
    return str(history.config["problem"])
