"""Figures of studies show the data they are made of: the right numbers, looks, slopes, colours and words, inside their bounds."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_hex
from matplotlib.figure import Figure as Drawn
from matplotlib.ticker import LogFormatterSciNotation

from refntk import plots
from refntk.errors import InvalidInput, ShapeError
from refntk.plots.studies import MANY
from refntk.studies.figure import BAND, DASHED, LINE, POINTS, Curves, Figure, Image, Series, Slope

N = np.array([1.0, 10.0, 100.0, 1000.0])


def curves(title: str = "rates", factor: float = 1.0, **other: object) -> Curves:
    series = [
        Series("measured", N, factor / N, POINTS, factor / N / 2, 2 * factor / N, family="sign"),
        Series("closed form", N, 1.1 * factor / N, LINE, family="sign"),
        Series("bound", N, 9 * factor / N, DASHED),
    ]
    given = {"series": series, "slopes": [Slope(-1, (1.0, factor / 5))], "log": "xy"} | other
    return Curves(title, "samples N", "squared error (dimensionless)", **given)


def figure(*panels: Curves | Image, columns: int = 2) -> Figure:
    return Figure("figure", "What there is to see.", panels, columns)


def drawn(*panels: Curves | Image, columns: int = 2) -> Drawn:
    return plots.study(figure(*panels, columns=columns))


def lines(ax: object) -> dict[str, tuple[list[float], list[float], str]]:
    """(x, y, colour) by label."""
    return {line.get_label(): (*np.asarray(line.get_data()).tolist(), to_hex(line.get_color())) for line in ax.lines}


def agrees(found: Drawn, want: Figure) -> bool:
    """Whether every series stands in the axes of its panel with its numbers, and every axis bears its words."""
    for ax, panel in zip(found.axes, want.panels, strict=True):
        if (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) != (panel.title, panel.x, panel.y):
            return False
        there = lines(ax)
        if not all(there[s.label][:2] == (s.x.tolist(), s.y.tolist()) for s in panel.series):
            return False
    return True


def test_lines_stand_in_their_panels() -> None:
    want = figure(curves("a"), curves("b", 7.0), curves("c", 0.1))
    found = plots.study(want)
    assert agrees(found, want)
    assert not agrees(found, replace(want, panels=want.panels[::-1]))


def test_styles() -> None:
    ax = drawn(curves()).axes[0]
    measured, closed, bound, _ = ax.lines
    assert (measured.get_linestyle(), measured.get_marker()) == ("None", "o")
    assert (closed.get_linestyle(), closed.get_marker()) == ("-", "None")
    assert bound.get_linestyle() == "--"
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")


@pytest.mark.parametrize(("log", "scales"), [("", ("linear", "linear")), ("x", ("log", "linear")), ("y", ("linear", "log"))])
def test_scales(log: str, scales: tuple[str, str]) -> None:
    ax = drawn(curves(log=log, slopes=())).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == scales


def test_a_family_has_one_colour_in_all_panels_and_others_have_others() -> None:
    other = curves("other", series=[Series("bound", N, N), Series("new", N, N)])
    first, second = (lines(ax) for ax in drawn(curves(), other).axes)
    assert first["measured"][2] == first["closed form"][2]
    assert first["bound"][2] == second["bound"][2]
    assert len({first["measured"][2], first["bound"][2], second["new"][2]}) == 3


def test_when_colours_end_dashes_go_on() -> None:
    many = [Series(f"run {i}", N, i + N) for i in range(2 * len(plots.PALETTE))]
    looks = {
        (line.get_color(), line.get_linestyle(), str(line._dash_pattern))
        for line in drawn(curves(series=many, slopes=())).axes[0].lines
    }
    assert len(looks) == len(many)


def test_error_bars_reach_from_low_to_high() -> None:
    (bars,) = drawn(curves()).axes[0].collections
    found = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(found, np.stack([0.5 / N, 2 / N], axis=1), rtol=1e-15)


def test_a_band_lies_between_low_and_high() -> None:
    ax = drawn(curves(series=[Series("mean", N, 2 * N, BAND, N, 3 * N)], slopes=(), log="")).axes[0]
    corners = ax.collections[0].get_paths()[0].vertices
    assert {(x, y) for x, y in corners} == {(x, k * x) for x in N for k in (1, 3)}


def test_gaps_are_left_where_an_axis_can_show_nothing() -> None:
    broken = Series("broken", N, np.array([1.0, 0.0, np.nan, 2.0]))
    found = drawn(curves(series=[broken], slopes=[]))
    np.testing.assert_array_equal(found.axes[0].lines[0].get_ydata(), [1.0, np.nan, np.nan, 2.0])
    found.canvas.draw()


def is_slope(found: tuple[list[float], list[float], str], slope: Slope) -> bool:
    x, y = (np.log(np.array(values)) for values in found[:2])
    off = y - (np.log(slope.through[1]) + slope.rate * (x - np.log(slope.through[0])))
    return bool(np.abs(off).max() <= 1e-12 * np.abs(y).max()) and np.ptp(x) > 1


@pytest.mark.parametrize("rate", [-1, 0.5, 3, -30])
@pytest.mark.parametrize("at", [1.0, 1000.0])
def test_slopes_have_their_order_go_through_their_point_and_stay_near_the_data(rate: float, at: float) -> None:
    slope = Slope(rate, (at, 0.2))
    ax = drawn(curves(slopes=[slope])).axes[0]
    found = next(values for label, values in lines(ax).items() if label.startswith("_order"))
    assert is_slope(found, slope) or abs(rate) == 30
    assert not is_slope(found, replace(slope, rate=rate + 0.01))
    assert 1e-3 / 11 < min(found[1]) <= 0.2 <= max(found[1]) < 9 * 11
    assert ax.texts[0].get_text() == f"order {rate:g}".replace("-", "−")


def test_slopes_without_data_and_with_words() -> None:
    ax = drawn(curves(series=[Series("nothing", N, 0 * N)], slopes=[Slope(1, (2.0, 3.0), "of first order")])).axes[0]
    assert ax.texts[0].get_text() == "of first order"


def legends(found: Drawn) -> list[list[str]]:
    return [
        [text.get_text() for text in legend.get_texts()]
        for legend in (*found.legends, *(a.legend_ for a in found.axes if a.legend_))
    ]


def test_one_legend_where_lines_are_shared_or_alone_else_one_each() -> None:
    names = ["measured", "closed form", "bound"]
    assert legends(drawn(curves(), curves("b", 2.0))) == [names]
    assert legends(drawn(curves())) == [names]
    other = curves("c", series=[Series("λ", N, N)], slopes=())
    assert legends(drawn(curves(), other)) == [names, ["λ"]]
    assert legends(drawn(Image("K", np.eye(3)))) == []
    assert legends(drawn(curves(series=[Series("", N, N)], slopes=()))) == []


KERNEL = np.arange(6.0).reshape(2, 3) - 1


def test_a_kernel_has_its_first_row_on_top_and_square_cells() -> None:
    ax = drawn(Image("K", KERNEL, x="column", y="row", z="K (dimensionless)")).axes[0]
    image = ax.images[0]
    assert image.origin == "upper"
    assert ax.get_aspect() == 1
    assert image.get_clim() == (-1, 4)
    np.testing.assert_array_equal(image.get_array(), KERNEL)
    assert [bar.get_ylabel() for bar in ax.child_axes] == ["K (dimensionless)"]


@pytest.mark.parametrize(("extent", "aspect"), [((0, 1, 0, 2), 1), ((0, 10, 0, 1), "auto")])
def test_a_field_has_its_first_row_at_the_bottom(extent: tuple[float, ...], aspect: object) -> None:
    ax = drawn(Image("u", KERNEL, extent, "x", "t")).axes[0]
    assert ax.images[0].origin == "lower"
    assert tuple(ax.images[0].get_extent()) == extent
    assert ax.get_aspect() == aspect


def test_colours_of_images() -> None:
    images = (
        Image("signed", KERNEL, signed=True),
        Image("log", KERNEL, log=True),
        *(Image(str(k), k * KERNEL, family="K") for k in (1, 10)),
        Image("nothing", np.full((2, 2), np.nan), log=True),
    )
    found = drawn(*images)
    assert [ax.images[0].get_clim() for ax in found.axes[:4]] == [(-4, 4), (1, 4), (-10, 40), (-10, 40)]
    assert isinstance(found.axes[1].images[0].norm, LogNorm)
    found.canvas.draw()


def numbers(found: Drawn) -> list[list[Any]]:
    """The labels that are seen at every axis."""
    found.canvas.draw()
    axes = [(axis, i) for ax in found.axes for i, axis in enumerate((ax.xaxis, ax.yaxis))]
    ranges = [(axis.get_ticklabels(which="both"), i, *axis.get_view_interval()) for axis, i in axes]
    return [[label for label in labels if label.get_text() and a <= label.get_position()[i] <= b] for labels, i, a, b in ranges]


def crowded(found: Drawn) -> bool:
    """Whether numbers at one axis cover each other."""
    boxes = [[label.get_window_extent() for label in labels] for labels in numbers(found)]
    return any(a.overlaps(b) for of in boxes for a, b in combinations(of, 2))


@pytest.mark.parametrize("span", [1.02, 1.4, 3.0, 5.0, 16.0, 90.0, 1e3, 1e9])
@pytest.mark.parametrize("least", [48.0, 0.7, 3e-13])
def test_logarithmic_axes_have_some_numbers_and_not_too_many(least: float, span: float) -> None:
    x = np.geomspace(least, span * least, 9)
    found = drawn(*(curves(series=[Series("a", x, x)], slopes=(), log="xy") for _ in range(3)), columns=3)
    assert not crowded(found)
    assert min(map(len, numbers(found))) >= 2
    if span == 16.0:
        found.axes[0].xaxis.set_minor_formatter(LogFormatterSciNotation(labelOnlyBase=False, minor_thresholds=(9, 9)))
        assert crowded(found)


LONG = "a title of very many words, as they come about where problems and quantities are named in full"


def inside(found: Drawn) -> bool:
    """Whether nothing that is drawn stands beyond the edges of the figure."""
    found.canvas.draw()
    box, inches = found.get_tightbbox(), found.get_size_inches()
    return bool(box.x0 >= -0.01 and box.y0 >= -0.01 and box.x1 <= inches[0] + 0.01 and box.y1 <= inches[1] + 0.01)


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_everything_is_inside(columns: int) -> None:
    panels = [curves(LONG), replace(curves("b"), y=LONG, x=LONG), curves("c", series=[Series(LONG[i:], N, N) for i in range(9)])]
    assert inside(drawn(*panels, Image(LONG, KERNEL), Image("u", KERNEL, (0, 1, 0, 1), LONG, LONG), columns=columns))
    found = drawn(*panels, columns=columns)
    found.axes[0].set_title(LONG + LONG)
    assert not inside(found)


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_files_are_the_same_bytes_every_time_and_others_for_other_data(kind: str, tmp_path: Path) -> None:
    made = [drawn(curves(factor=f), Image("K", f * KERNEL)) for f in (1.0, 1.0, 2.0)]
    a, b, c = (plots.save(one, tmp_path / f"{i}.{kind}").read_bytes() for i, one in enumerate(made))
    assert a == b != c


def test_what_is_too_much_for_a_vector_file_is_pixels(tmp_path: Path) -> None:
    def vector(n: int) -> str:
        x = np.linspace(0, 1, n)
        few = curves(series=[Series("many", x, x, POINTS)], slopes=(), log="")
        return plots.save(drawn(few), tmp_path / "many.svg").read_text()

    assert "<image" in vector(MANY + 1)
    assert "<image" not in vector(MANY)


WRONG = {
    "style": lambda: Series("a", N, N, "dotted"),
    "low, high": lambda: Series("a", N, N, low=N),
    "low, high of a band": lambda: Series("a", N, N, BAND),
    "series": lambda: Series("a", N, N[:2]),
    "series of a matrix": lambda: Series("a", KERNEL, KERNEL),
    "slope": lambda: Slope(-1, (0.0, 1.0)),
    "log": lambda: curves(log="z"),
    "values": lambda: Image("K", N),
    "values, none": lambda: Image("K", np.ones((0, 0))),
    "log of signs": lambda: Image("K", KERNEL, signed=True, log=True),
    "name": lambda: Figure("../up", "", [curves()]),
    "panels": lambda: figure(),
    "panels in no column": lambda: figure(curves(), columns=0),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_drawn_is_refused_when_it_is_said(name: str) -> None:
    with pytest.raises(InvalidInput) as found:
        WRONG[name]()
    assert name.startswith(found.value.argument)
    assert isinstance(found.value, ShapeError) == name.startswith(("series", "values"))
