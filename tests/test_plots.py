"""Figures show what the history holds: the right lines, the right way up, with every axis named."""

import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import refntk as rn
from refntk import plots
from refntk.errors import InvalidInput, UnknownNameError
from refntk.problems.base import DirectProblem, Problem
from refntk.problems.domain import Box
from refntk.training import History, train
from refntk.training.deviation import full_weights

NAMES = rn.problems.names()
FIELDS = [name for name in NAMES if not isinstance(rn.problems.get(name), DirectProblem)]


@cache
def trained(name: str) -> tuple[History, Problem, rn.MLP | None]:
    problem = rn.problems.get(name)
    if isinstance(problem, DirectProblem):
        return train(problem, None, problem.init(rng=17), steps=3, record=1), problem, None
    network = rn.MLP([len(problem.coordinates), 5, problem.outputs], **problem.normalization)
    counts = {term.name: 4 for term in problem.terms}
    return train(problem, network, network.init(rng=17), steps=3, record=1, counts=counts), problem, network


def shown(figure: Figure, style: str = "-") -> dict[str, np.ndarray]:
    """The labelled lines of the first axes."""
    return {line.get_label(): line.get_ydata() for line in figure.axes[0].lines if line.get_linestyle() == style}


def agrees(found: dict[str, np.ndarray], want: dict[str, np.ndarray]) -> bool:
    return found.keys() == want.keys() and all(np.array_equal(found[term], want[term]) for term in want)


def is_labelled(figure: Figure) -> bool:
    """Every outer axis of a plot, and every colour bar, says what it shows and in which unit."""
    bars = [ax for ax in figure.axes if ax.get_label() == "<colorbar>"]
    outer = [ax for ax in figure.axes if ax not in bars]
    bottoms = [ax.get_xlabel() for ax in outer if ax.get_subplotspec().is_last_row()]
    lefts = [ax.get_ylabel() for ax in outer if ax.get_subplotspec().is_first_col()]
    units = [*lefts, *(bar.get_ylabel() for bar in bars)]
    return all(bottoms) and all("dimensionless" in text for text in units) and bool(figure.get_suptitle())


@pytest.mark.parametrize("name", NAMES)
def test_losses(name: str) -> None:
    history, *_ = trained(name)
    figure = plots.losses(history)
    assert agrees(shown(figure), history.losses)
    known = np.isfinite(history.errors).any()
    assert [len(ax.lines) for ax in figure.axes] == [len(history.losses), 1][: 1 + known]
    assert {ax.get_yscale() for ax in figure.axes} == {"log"}
    assert is_labelled(figure)


@pytest.mark.parametrize("name", NAMES)
def test_weights(name: str) -> None:
    history, *_ = trained(name)
    figure = plots.weights(history)
    assert agrees(shown(figure), history.weights)
    solid, dashed = figure.axes[0].lines[::2], figure.axes[0].lines[1::2]
    assert [line.get_color() for line in solid] == [line.get_color() for line in dashed]
    assert agrees({s.get_label(): d.get_ydata() for s, d in zip(solid, dashed, strict=True)}, full_weights(history))
    assert figure.axes[0].get_yscale() == "log"
    assert is_labelled(figure)


def test_the_check_of_lines_rejects_terms_in_each_others_place() -> None:
    history, *_ = trained("wave")
    shifted = {a: history.losses[b] for a, b in pairwise([*history.losses, next(iter(history.losses))])}
    assert not agrees(shown(plots.losses(replace(history, losses=shifted))), history.losses)


def test_the_check_of_labels_rejects_an_axis_without_one() -> None:
    figure = plots.losses(trained("wave")[0])
    figure.axes[-1].set_xlabel("")
    assert not is_labelled(figure)


def test_the_legend_names_terms_weighting_and_kernel() -> None:
    history, *_ = trained("wave")
    (legend,) = plots.weights(history).legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert texts == [*history.weights, "in force (trace)", "full kernel (Tr K / Tr K_kk)"]


def test_the_axes_name_the_scaling_of_rows() -> None:
    history, *_ = trained("wave")
    scaled = replace(history, config=history.config | {"scaling": "mean"})
    assert all("rows: mean" in figure.axes[0].get_ylabel() for figure in (plots.losses(scaled), plots.weights(scaled)))


def test_what_a_log_axis_cannot_show_is_a_gap(tmp_path: Path) -> None:
    history, *_ = trained("wave")
    broken = history.losses | {"interior": np.array([1.0, 0.0, np.nan, -1.0])}
    figure = plots.losses(replace(history, losses=broken))
    np.testing.assert_array_equal(shown(figure)["interior"], [1.0, np.nan, np.nan, np.nan])
    plots.save(figure, tmp_path / "losses.png")


def pictures(figure: Figure) -> list[np.ndarray]:
    return [np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.images]


@pytest.mark.parametrize("name", FIELDS)
def test_field(name: str) -> None:
    history, problem, network = trained(name)
    figure = plots.field(history, problem, network)
    dimension, known = len(problem.coordinates), np.isfinite(history.errors[-1])
    drawn = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    panels = {1: 1 + known, 2: 1 + 2 * known, 3: plots.SLICES * (1 + known)}[dimension]
    assert len(drawn) == panels * problem.outputs
    assert len(pictures(figure)) == (0 if dimension == 1 else len(drawn))
    assert is_labelled(figure)


def matches(picture: np.ndarray, box: Box, value: object) -> bool:
    """Whether `picture[j, i]` is `value` at the i-th cell from the left and the j-th from the bottom."""
    x, y = (
        low + (high - low) * (np.arange(plots.CELLS) + 0.5) / plots.CELLS for low, high in zip(box.lower, box.upper, strict=True)
    )
    j, i = 100, 7
    want = value(np.array([[x[i], y[j]]]))[0, 0]
    return abs(picture[j, i] - want) <= 1e-12 * np.abs(picture).max()


def test_images_are_the_right_way_up() -> None:
    history, problem, network = trained("transport")
    found, exact, error = pictures(plots.field(history, problem, network))
    assert matches(exact, problem.domain, problem.solution)
    assert matches(found, problem.domain, lambda x: network(history.theta, x))
    assert matches(error, problem.domain, lambda x: network(history.theta, x) - problem.solution(x))
    assert not matches(exact.T, problem.domain, problem.solution)
    assert not matches(exact[::-1], problem.domain, problem.solution)


def test_images_and_axes_share_bounds() -> None:
    history, problem, network = trained("transport")
    image = plots.field(history, problem, network).axes[0].images[0]
    assert image.origin == "lower"
    assert list(image.get_extent()) == [0.0, 2 * np.pi, 0.0, 1.0]


def test_prediction_and_solution_share_their_colours_and_the_error_is_about_zero() -> None:
    figure = plots.field(*trained("wave"))
    found, exact, error = (ax.images[0] for ax in figure.axes if ax.images)
    assert found.get_clim() == exact.get_clim()
    low, high = error.get_clim()
    assert low == -high


def test_slices_follow_time() -> None:
    history, problem, network = trained("qtensor")
    figure = plots.field(history, problem, network)
    titles = [ax.get_title() for ax in figure.axes if ax.images]
    assert titles == [f"û{j}, t = {t}" for j in (1, 2) for t in ("0", "0.667", "1.33", "2")]
    x = problem.domain.face(2, 2.0).sample((plots.CELLS,) * 2, rng=np.random.default_rng())
    want = network(history.theta, x)[:, 1].reshape(plots.CELLS, plots.CELLS).T
    np.testing.assert_allclose(pictures(figure)[-1], want, atol=1e-12)


@dataclass(frozen=True, kw_only=True)
class Cube(Problem):
    """A field in three coordinates none of which is time, with a solution, or in four."""

    name = "cube"
    dimension: int = 3

    @property
    def coordinates(self) -> tuple[str, ...]:
        return tuple("wxyz"[-self.dimension :])

    @property
    def domain(self) -> Box:
        return Box((0.0,) * self.dimension, (1.0,) * self.dimension)

    def solution(self, points: np.ndarray, *, xp: object = np) -> np.ndarray:
        return points[:, -1:]


def test_slices_along_the_last_coordinate_with_errors() -> None:
    history, network = trained("wave")[0], rn.MLP([3, 4, 1])
    figure = plots.field(replace(history, theta=np.zeros(network.size)), Cube(), network)
    top, bottom = pictures(figure)[: plots.SLICES], pictures(figure)[plots.SLICES :]
    assert np.abs(np.stack(top)).max() == 0.0
    assert [float(picture.max()) for picture in bottom] == pytest.approx([0.0, -1 / 3, -2 / 3, -1.0])
    assert is_labelled(figure)


@pytest.mark.parametrize(
    ("name", "problem"), [("quadratic", rn.problems.get("quadratic")), ("cube' in 4 coordinates", Cube(dimension=4))]
)
def test_what_has_no_picture_is_refused(name: str, problem: Problem) -> None:
    history, *_ = trained("wave")
    with pytest.raises(InvalidInput, match=name):
        plots.field(history, problem, rn.MLP([2, 1]))


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_saved_figures_are_what_their_suffix_says_and_the_same_every_time(kind: str, start: bytes, tmp_path: Path) -> None:
    history, *_ = trained("wave")
    first, second = (plots.save(plots.losses(history), tmp_path / f"{i}.{kind}").read_bytes() for i in (1, 2))
    assert first.startswith(start)
    assert first == second
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"1.{kind}", f"2.{kind}"]


def test_another_history_gives_another_file(tmp_path: Path) -> None:
    history, *_ = trained("wave")
    other = replace(history, losses={term: 2 * values for term, values in history.losses.items()})
    first, second = (plots.save(plots.losses(h), tmp_path / f"{i}.svg").read_bytes() for i, h in enumerate((history, other)))
    assert first != second


def test_a_suffix_that_is_no_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="png"):
        plots.save(Figure(), tmp_path / "losses.pgn")
    assert not list(tmp_path.iterdir())


def test_figures_need_no_pyplot_and_refntk_no_figures() -> None:
    code = """
import sys, refntk.cli
assert "matplotlib" not in sys.modules
import refntk.plots
assert "matplotlib.figure" in sys.modules and "matplotlib.pyplot" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
