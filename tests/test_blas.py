"""Products added in place: every layout that the engine passes, against NumPy, and those it may not pass."""

import numpy as np
import pytest

from refntk.fast.blas import add_product

SHAPES = [(1, 1, 1), (1, 5, 3), (7, 1, 1), (4, 3, 1), (5, 1, 6), (1, 1, 4), (33, 20, 30)]


def matrices(shape, kind, seed=1):
    """A (m, k), B (k, n) and out (m, n), each a window of something larger."""
    m, k, n = shape
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal((rows + 3, columns + 2)).astype(kind)[1 : 1 + rows, 2:] for rows, columns in ((m, k), (k, n), (m, n))
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", [np.float64, np.float32])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("fresh", [False, True])
def test_products_are_added_in_place(shape, kind, transposed, fresh):
    A, B, out = matrices(shape, kind)
    A = np.array(A.T, order="C").T if transposed else A
    want = 0.5 * A.astype(float) @ B + (0 if fresh else out.astype(float))
    around = out.base.copy()
    add_product(A, B, 0.5, out, fresh=fresh)
    assert np.max(np.abs(out - want)) <= 8 * shape[1] * np.finfo(kind).eps
    around[1 : 1 + out.shape[0], 2:] = out
    assert np.array_equal(out.base, around)  # and nothing beside it


def test_what_is_there_is_not_read_where_it_is_to_be_replaced():
    A, B, out = matrices((4, 3, 2), float)
    out[:] = np.nan
    add_product(A, B, 1.0, out, fresh=True)
    assert np.all(np.isfinite(out))


def test_one_row_may_have_any_stride():
    B, out = np.ones((1, 3)), np.zeros((2, 3))
    A = np.lib.stride_tricks.as_strided(np.ones(2), (2, 1), (8, 0))
    add_product(A, np.lib.stride_tricks.as_strided(B, (1, 3), (0, 8)), 1.0, out)
    assert np.array_equal(out, np.ones((2, 3)))


@pytest.mark.parametrize(
    ("A", "B", "out"),
    [
        (np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 3))),
        (np.ones((2, 3)), np.ones((3, 2)), np.ones((2, 3))),
        (np.ones((2, 3)), np.ones((3, 2)), np.ones((2, 2), dtype=np.float32)),
        (np.ones((2, 3)), np.ones((2, 3)).T, np.ones((2, 2))),
        (np.ones((2, 6))[:, ::2], np.ones((3, 2)), np.ones((2, 2))),
        (np.ones((2, 3)), np.ones((3, 2)), np.ones((4, 2))[::-2]),
    ],
    ids=["inner", "outer", "types", "columns of B", "gaps", "backwards"],
)
def test_what_blas_would_misread_is_refused(A, B, out):
    with pytest.raises(ValueError, match="product of"):
        add_product(A, B, 1.0, out)
