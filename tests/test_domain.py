"""Boxes, faces and unions: where points may lie, how many there are, and how they are spread."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refntk.errors import InvalidInput, ShapeError
from refntk.problems.domain import Box, Union, check_count, share

coordinates = st.floats(-100, 100, allow_nan=False)
intervals = st.tuples(coordinates, st.floats(0.125, 50)).map(lambda pair: (pair[0], pair[0] + pair[1]))
boxes = st.lists(intervals, min_size=1, max_size=4).map(lambda sides: Box(*map(tuple, zip(*sides, strict=True))))
SQUARE = Box((0.0, -1.0), (2.0, 3.0))


def inside(box, points):
    return bool(np.all((points >= np.array(box.lower)) & (points <= np.array(box.upper))))


@given(boxes, st.integers(1, 50), st.integers(0, 2**32))
def test_random_points_lie_in_the_box(box, count, seed):
    points = box.sample(count, rng=np.random.default_rng(seed))
    assert points.shape == (count, len(box.lower))
    assert inside(box, points)


@given(boxes, st.data())
def test_faces_are_boxes_with_one_coordinate_fixed(box, data):
    i = data.draw(st.sampled_from(box.free))
    low, high = box.faces(i).parts
    assert (low, high) == (box.face(i, box.lower[i]), box.face(i, box.upper[i]))
    assert low.free == tuple(j for j in box.free if j != i)
    assert math.isclose(low.measure * (box.upper[i] - box.lower[i]), box.measure, rel_tol=1e-12)


def test_measures():
    """Area 2·4; perimeter 2·(2 + 4); two of the sides; a point counts as 1."""
    measures = SQUARE.measure, SQUARE.faces().measure, SQUARE.faces(0).measure, SQUARE.face(0, 0.0).face(1, 3.0).measure
    assert measures == (8.0, 12.0, 8.0, 1.0)


def test_faces_of_an_interval_are_its_two_ends():
    ends = Box((-1.0,), (1.0,)).faces()
    assert ends.sample(2, rng=np.random.default_rng(1)).tolist() == [[-1.0], [1.0]]
    assert ends.measure == 2.0


@given(boxes, st.data())
def test_grid_holds_the_midpoints_of_its_cells(box, data):
    """Its mean is the centre, its variance along a side with m cells is (1 - 1/m²) side²/12."""
    cells = data.draw(st.tuples(*[st.integers(1, 5)] * len(box.free)))
    points = box.sample(cells, rng=np.random.default_rng(0))
    lower, upper = np.array(box.lower), np.array(box.upper)
    size = np.max(np.abs([lower, upper]))
    assert points.shape == (math.prod(cells), len(lower))
    assert np.allclose(points.mean(axis=0), (lower + upper) / 2, rtol=0, atol=1e-13 * size)
    variance = (1 - 1 / np.array(cells) ** 2) * (upper - lower) ** 2 / 12
    assert np.allclose(points.var(axis=0), variance, rtol=0, atol=1e-12 * size**2)


def test_grid_on_a_face_leaves_the_fixed_coordinate_alone():
    assert SQUARE.face(0, 2.0).sample((2,), rng=np.random.default_rng()).tolist() == [[2.0, 0.0], [2.0, 2.0]]


def test_grid_must_fit_the_free_coordinates():
    with pytest.raises(ShapeError, match="needs 1 counts"):
        SQUARE.face(0, 2.0).sample((2, 2), rng=np.random.default_rng())


@given(st.integers(0, 1000), st.integers(1, 9))
def test_shares_add_up_and_differ_by_at_most_one(count, parts):
    found = share(count, parts)
    assert (sum(found), len(found), found) == (count, parts, sorted(found, reverse=True))
    assert found[0] - found[-1] <= 1


@pytest.mark.parametrize("count", [1, 7, (3,)])
def test_union_samples_part_after_part(count):
    sides = SQUARE.faces()
    points = sides.sample(count, rng=np.random.default_rng(5))
    numbers = share(count, 4) if isinstance(count, int) else [3] * 4
    pieces = np.split(points, np.cumsum(numbers)[:-1])
    assert [len(piece) for piece in pieces] == numbers
    assert [inside(part, piece) for part, piece in zip(sides.parts, pieces, strict=True)] == [True] * 4


def test_same_generator_same_points():
    first, second, other = (SQUARE.sample(5, rng=np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def chi_square(points, cells=10):
    """Pearson's statistic of points of the unit square on cells² equal cells: χ² with cells² - 1 degrees of freedom."""
    found = np.histogram2d(points[:, 0], points[:, 1], bins=cells, range=[[0, 1], [0, 1]])[0]
    want = len(points) / cells**2
    return float(np.sum((found - want) ** 2) / want)


THRESHOLD = 186.0  # P(χ²₉₉ > 186) = 3e-7


def test_random_points_are_uniform():
    unit = (SQUARE.sample(20_000, rng=np.random.default_rng(17)) - [0.0, -1.0]) / [2.0, 4.0]
    assert chi_square(unit) < THRESHOLD


def test_uniformity_check_rejects_a_slight_tilt():
    """Density 0.8 + 0.4 x, by inversion; noncentrality 267."""
    unit = np.random.default_rng(17).random((20_000, 2))
    unit[:, 0] = (np.sqrt(0.64 + 0.8 * unit[:, 0]) - 0.8) / 0.4
    assert chi_square(unit) > THRESHOLD


@pytest.mark.parametrize("count", [1, 12, (3,), (2, 5), np.int64(4), (np.int32(2), 3)])
def test_counts_that_are_counts(count):
    check_count("interior", count)


@pytest.mark.parametrize("count", [0, -1, 2.0, "3", None, True, (), (0,), (2, -1), (2, 1.5), (True,), [3], float("nan")])
def test_counts_that_are_not(count):
    with pytest.raises(InvalidInput, match="interior"):
        check_count("interior", count)


def test_numpy_integers_count_like_others():
    rng = np.random.default_rng
    assert np.array_equal(SQUARE.sample(np.int64(4), rng=rng(1)), SQUARE.sample(4, rng=rng(1)))
    assert np.array_equal(SQUARE.faces().sample(np.int64(4), rng=rng(1)), SQUARE.faces().sample(4, rng=rng(1)))


def test_union_of_nothing_in_common():
    parts = Union((Box((0.0,), (1.0,)), Box((5.0,), (6.0,))))
    points = parts.sample(4, rng=np.random.default_rng(0))[:, 0]
    assert (parts.measure, bool(np.all(points[:2] <= 1)), bool(np.all(points[2:] >= 5))) == (2.0, True, True)
