"""Gram products of whole-number factors: every engine's primitives against rows multiplied out by hand, without rounding."""

import itertools

import numpy as np
import pytest

from refntk import engine
from refntk.kernel.gram import RowFactors

SHAPES = [
    (1, 1, 1, 1, 1),
    (1, 1, 5, 3, 2),
    (4, 1, 5, 3, 2),
    (3, 2, 4, 2, 5),
    (8, 2, 1, 2, 2),
    (13, 1, 2, 3, 2),
]  # channels, components, points, in, out
each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
each_engine = pytest.mark.parametrize("name", engine.names())


def factors(channels, components, points, fan_in, fan_out, seed=1, scale=0.5):
    rng = np.random.default_rng(seed)
    A = rng.integers(-3, 4, size=(channels, points, fan_in)).astype(float)
    D = rng.integers(-3, 4, size=(channels, components, points, fan_out)).astype(float)
    B = rng.integers(-3, 4, size=(components, points, fan_out)).astype(float)
    return RowFactors(A, D, B, scale)


def rows(f):
    """The rows of J, one by one: point after point, component after component, W row-major and then b."""
    found = []
    for i, r in itertools.product(range(f.A.shape[1]), range(f.D.shape[1])):
        W = f.scale * sum(np.outer(f.A[c, i], f.D[c, r, i]) for c in range(f.A.shape[0]))
        found.append([*W.ravel(), *f.B[r, i]])
    return np.array(found)


@each_shape
def test_dense_rows(shape):
    f = factors(*shape)
    assert np.array_equal(f.dense(xp=np), rows(f))


@each_shape
@each_engine
def test_point_gram_is_the_diagonal(name, shape):
    f = factors(*shape)
    assert np.array_equal(engine.get(name, xp=np).point_gram(f, xp=np), (rows(f) ** 2).sum(axis=1))


@each_shape
@each_engine
@pytest.mark.parametrize("other", [(1, 1, 2), (3, 2, 4)], ids=str)
def test_pair_gram_is_the_product_of_rows(name, shape, other):
    left, right = factors(*shape), factors(*other, *shape[3:], seed=2, scale=0.5)
    assert np.array_equal(engine.get(name, xp=np).pair_gram(left, right, xp=np), rows(left) @ rows(right).T)


@each_shape
@each_engine
def test_pair_gram_with_itself(name, shape):
    f = factors(*shape)
    assert np.array_equal(engine.get(name, xp=np).pair_gram(f, f, xp=np), rows(f) @ rows(f).T)


@each_shape
@each_engine
def test_weighed_rows_combined_over_stretches(name, shape):
    primitives, stretches = engine.get(name, xp=np), [factors(*shape), factors(*shape, seed=2)]
    weights = np.arange(-3.0, 2 * len(rows(stretches[0])) - 3).reshape(2, -1)
    want = sum(w @ rows(f) for f, w in zip(stretches, weights, strict=True))
    assert np.array_equal(primitives.combine([[f] for f in stretches], list(weights), xp=np), want[None, :])


@each_shape
@each_engine
def test_stretches_count_with_their_share(name, shape):
    primitives, stretches = engine.get(name, xp=np), [factors(*shape), factors(*shape, seed=2)]
    one, other = (primitives.combine([[f]], xp=np) for f in stretches)
    assert np.array_equal(primitives.combine([[f] for f in stretches], [0.5, 4.0], xp=np), one / 2 + 4 * other)


@each_shape
@each_engine
def test_combine_keeps_combinations_apart(name, shape):
    f = factors(*shape)
    want = rows(f).reshape(f.points, f.D.shape[1], -1).sum(axis=0)
    assert np.array_equal(engine.get(name, xp=np).combine([[f]], xp=np), want)


@each_shape
def test_some_of_the_points(shape):
    f = factors(*shape)
    part = f[1:3]
    assert part.points == len(range(f.points)[1:3])
    assert np.array_equal(rows(part), rows(f)[shape[1] : 3 * shape[1]]) if part.points else True


@each_engine
def test_a_stretch_holds_at_least_one_point(name):
    assert min(engine.get(name, xp=np).tile(points, size) for points in (1, 2, 300, 10_000) for size in (1, 10**6, 10**9)) >= 1


def without(f, fault):
    """The kernel as somebody gets it who makes this mistake."""
    W, b = rows(f)[:, : -f.B.shape[-1]], rows(f)[:, -f.B.shape[-1] :]
    if fault == "bias left out":
        return W @ W.T
    if fault == "scale not squared":
        return W @ W.T / f.scale + b @ b.T
    channels = [rows(RowFactors(f.A[c : c + 1], f.D[c : c + 1], 0 * f.B, f.scale)) for c in range(f.A.shape[0])]
    return sum(R @ R.T for R in channels) + b @ b.T


@each_engine
@pytest.mark.parametrize("fault", ["bias left out", "scale not squared", "products of different channels left out"])
def test_planted_faults_are_seen(name, fault):
    """Mistake 24 of the audit among them."""
    f = factors(4, 2, 5, 3, 2)
    assert not np.array_equal(engine.get(name, xp=np).pair_gram(f, f, xp=np), without(f, fault))
