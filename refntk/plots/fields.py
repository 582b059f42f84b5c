"""A trained network over the domain of its problem, beside the solution where it is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..calculus.network import MLP
from ..errors import InvalidInput
from ..problems.base import DirectProblem, Problem
from ..training.history import History
from .history import name_of
from .style import PALETTE, WIDTH, finished

CELLS = 128  # of a field's grid along one coordinate
SLICES = 4  # of a field in three coordinates


def field(history: History, problem: Problem, network: MLP | None, /) -> Figure:
    """The trained network û over the domain, with the solution u and the error û - u where u is known; one row an output.

    One coordinate: lines. Two: images. Three: images at `SLICES` values of t (of the last coordinate where there is no t), û and
    its error in rows of their own. Raises `InvalidInput` for a problem without a network or in more than three coordinates.

    >>> import refntk as rn
    >>> from refntk.training import train
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 3, 1])
    >>> history = train(problem, network, network.init(rng=17), steps=2, record=1)
    >>> [axes.get_ylabel() for axes in field(history, problem, network).axes]
    ['u (dimensionless)', 'error (dimensionless)']
    """
    dimension = len(problem.coordinates)
    if isinstance(problem, DirectProblem) or network is None:
        raise InvalidInput("problem", repr(problem.name), "a problem without a network has no field to draw")
    if dimension not in _PAINTERS:
        raise InvalidInput("problem", f"{problem.name!r} in {dimension} coordinates", "fields are drawn in one, two or three")
    figure = _PAINTERS[dimension](history.theta, problem, network)
    error = history.errors[-1]
    return finished(
        figure, name_of(history) + (f": relative L2 error {error:.2e}" if math.isfinite(error) else ": trained network")
    )


def _lines(theta: np.ndarray, problem: Problem, network: MLP) -> Figure:
    x = problem.domain.sample((4 * CELLS,), rng=np.random.default_rng())
    found, exact = network(theta, x), problem.solution(x)
    figure = Figure(figsize=(WIDTH, 2.6 * problem.outputs + 0.4), layout="constrained")
    axes = figure.subplots(problem.outputs, 1 if exact is None else 2, sharex=True, squeeze=False)
    for j, (name, row) in enumerate(zip(_outputs(problem), axes, strict=True)):
        row[0].set_ylabel(f"{name} (dimensionless)")
        if exact is not None:
            row[0].plot(x[:, 0], exact[:, j], color="0.7", linewidth=3.5, label=f"solution {name}")
            row[1].plot(x[:, 0], found[:, j] - exact[:, j], color=PALETTE[1], label=f"error {_hat(name)} - {name}")
            row[1].set_ylabel("error (dimensionless)")
        row[0].plot(x[:, 0], found[:, j], color=PALETTE[0], label=f"network {_hat(name)}")
    for bottom in axes[-1]:
        bottom.set_xlabel(_coordinate(problem, 0))
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _images(theta: np.ndarray, problem: Problem, network: MLP) -> Figure:
    x = problem.domain.sample((CELLS, CELLS), rng=np.random.default_rng())
    found, exact = network(theta, x), problem.solution(x)
    panels = 1 if exact is None else 3
    figure = Figure(figsize=(2.9 * panels + 0.6, 2.7 * problem.outputs + 0.2), layout="constrained")
    axes = figure.subplots(problem.outputs, panels, sharex=True, sharey=True, squeeze=False)
    for j, (name, row) in enumerate(zip(_outputs(problem), axes, strict=True)):
        pictures = [(f"network {_hat(name)}", found[:, j])]
        if exact is not None:
            pictures.append((f"solution {name}", exact[:, j]))
        _paint(figure, row[: len(pictures)], pictures, problem, (0, 1))
        if exact is not None:
            _paint(figure, row[2:], [(f"error {_hat(name)} - {name}", found[:, j] - exact[:, j])], problem, (0, 1), signed=True)
    _name_axes(axes, problem, (0, 1))
    return figure


def _slices(theta: np.ndarray, problem: Problem, network: MLP) -> Figure:
    along = problem.coordinates.index("t") if "t" in problem.coordinates else 2
    plane = tuple(i for i in range(3) if i != along)
    at = np.linspace(problem.domain.lower[along], problem.domain.upper[along], SLICES)
    x = [problem.domain.face(along, value).sample((CELLS, CELLS), rng=np.random.default_rng()) for value in at.tolist()]
    found, exact = [network(theta, p) for p in x], [problem.solution(p) for p in x]
    kinds = 1 if exact[0] is None else 2
    rows = kinds * problem.outputs
    figure = Figure(figsize=(2.1 * SLICES + 0.8, 2.2 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, SLICES, sharex=True, sharey=True, squeeze=False)
    marks = [f"{problem.coordinates[along]} = {value:.3g}" for value in at]
    for j, name in enumerate(_outputs(problem)):
        pictures = [(f"{_hat(name)}, {mark}", u[:, j]) for mark, u in zip(marks, found, strict=True)]
        _paint(figure, axes[kinds * j], pictures, problem, plane)
        if kinds == 2:
            wrong = [(f"error, {mark}", (u - v)[:, j]) for mark, u, v in zip(marks, found, exact, strict=True)]
            _paint(figure, axes[kinds * j + 1], wrong, problem, plane, signed=True)
    _name_axes(axes, problem, plane)
    return figure


_PAINTERS = {1: _lines, 2: _images, 3: _slices}


def _paint(
    figure: Figure,
    axes: Sequence[Any],
    pictures: Sequence[tuple[str, np.ndarray]],
    problem: Problem,
    plane: tuple[int, ...],
    *,
    signed: bool = False,
) -> None:
    """Pictures (title, values (CELLS²,)) with one colour scale between them, about zero and in two colours if `signed`."""
    values = [picture for _, picture in pictures]
    low, high = min(v.min() for v in values), max(v.max() for v in values)
    if signed:
        low, high = -max(-low, high), max(-low, high)
    (left, bottom), (right, top) = (tuple(side[i] for i in plane) for side in (problem.domain.lower, problem.domain.upper))
    look: dict[str, Any] = {"cmap": "RdBu_r" if signed else "viridis", "vmin": low, "vmax": high, "interpolation": "nearest"}
    for ax, (title, picture) in zip(axes, pictures, strict=True):
        grid = picture.reshape(CELLS, CELLS).T  # rows upwards along the second coordinate
        image = ax.imshow(grid, origin="lower", extent=(left, right, bottom, top), aspect="auto", **look)
        ax.set_title(title, fontsize="medium")
        ax.tick_params(labelsize="small")
    figure.colorbar(image, ax=axes[-1] if len(axes) < SLICES else list(axes), label="dimensionless")


def _name_axes(axes: np.ndarray, problem: Problem, plane: tuple[int, ...]) -> None:
    """Coordinates on the outer axes only."""
    for bottom in axes[-1]:
        bottom.set_xlabel(_coordinate(problem, plane[0]))
    for left in axes[:, 0]:
        left.set_ylabel(_coordinate(problem, plane[1]))


def _outputs(problem: Problem) -> list[str]:
    return ["u"] if problem.outputs == 1 else [f"u{j + 1}" for j in range(problem.outputs)]


def _hat(name: str) -> str:
    """`û` for u, `û1` for u1."""
    return "û" + name[1:]


def _coordinate(problem: Problem, i: int) -> str:
    return f"{problem.coordinates[i]} (dimensionless)"
