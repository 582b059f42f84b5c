"""Algorithm 3's moving average: arrays, traces, the rank-one primitive of every engine."""

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refntk import average, engine, moments, sketch
from refntk.errors import InvalidInput

BAD_ALPHAS = [0, 0.0, -0.1, 1.0000001, float("nan"), float("inf"), "0.5", None, True]
numbers = st.floats(-1e6, 1e6)
alphas = st.floats(1e-6, 1.0)


@given(numbers, numbers, alphas)
def test_traces(old, new, alpha):
    got = average.moving_average({"a": old, "b": 1.0}, {"b": 1.0, "a": sketch.Estimate(new, 3.0)}, alpha)
    assert list(got) == ["a", "b"]
    assert abs(got["a"] - (old + alpha * (new - old))) <= 1e-15 * (abs(old) + abs(new))
    assert all(type(value) is float for value in got.values())


@pytest.mark.parametrize("xp", [np, torch, array_api_strict], ids=lambda xp: xp.__name__)
def test_matrices(xp):
    old, new = np.arange(4.0).reshape(2, 2), np.ones((2, 2))
    got = average.moving_average(xp.asarray(old), xp.asarray(new), 0.25)
    assert type(got) is type(xp.asarray(old))
    np.testing.assert_allclose(np.asarray(got), 0.75 * old + 0.25)


def test_alpha_one_keeps_nothing_of_the_past():
    assert average.moving_average({"a": 1e30}, {"a": 2.0}, 1) == {"a": 2.0}


def test_it_unrolls_into_its_weights():
    """After t steps the weights of the samples are (1-α)^t, α(1-α)^{t-1}, …, α."""
    samples, alpha = [3.0, -1.0, 4.0, 1.0, -5.0], 0.3
    found = average.MovingAverage(np.array([samples[0]]), alpha)
    for sample in samples[1:]:
        found = found.update(np.array([sample]))
    t = len(samples) - 1
    shares = np.array([(1 - alpha) ** t] + [alpha * (1 - alpha) ** (t - s) for s in range(1, t + 1)])
    assert found.steps == t
    assert abs(found.value[0] - shares @ samples) <= 1e-14
    assert abs(shares.sum() - 1) <= 1e-15
    assert abs(moments.moving_average_factor(alpha, steps=t) - shares @ shares) <= 1e-15


def update_by_loops(K, z, g, alpha):
    n = len(z)
    return np.array([[(1 - alpha) * K[i, j] + alpha * (z[i] * g[j] + g[i] * z[j]) / 2 for j in range(n)] for i in range(n)])


def check_update(primitive, alpha=0.3):
    rng = np.random.default_rng(5)
    K, z, g = rng.standard_normal((6, 6)), rng.standard_normal(6), rng.standard_normal(6)
    K = K + K.T
    before = K.copy()
    got = primitive(K, z, g, alpha, xp=np)
    np.testing.assert_array_equal(K, before, err_msg="K was written over")
    assert np.abs(got - update_by_loops(K, z, g, alpha)).max() <= 1e-15 * (np.abs(K).max() + 2 * np.abs(z).max() * np.abs(g).max())
    np.testing.assert_array_equal(got, got.T)


@pytest.mark.parametrize("name", engine.names())
@pytest.mark.parametrize("alpha", [1e-3, 0.3, 1.0])
def test_rank_one_update_of_every_engine(name, alpha):
    check_update(engine.get(name, xp=np).average, alpha)


FAULTS = {
    "alpha on the old": lambda K, z, g, a: a * K + (1 - a) * (np.outer(z, g) + np.outer(g, z)) / 2,
    "not symmetrised": lambda K, z, g, a: (1 - a) * K + a * np.outer(z, g),
    "half too much": lambda K, z, g, a: (1 - a) * K + a * (np.outer(z, g) + np.outer(g, z)),
    "added, not averaged": lambda K, z, g, a: K + a * (np.outer(z, g) + np.outer(g, z)) / 2,
    "stale": lambda K, z, g, a: K,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault):
    with pytest.raises(AssertionError):
        check_update(lambda K, z, g, alpha, *, xp: FAULTS[fault](K, z, g, alpha))


def test_the_primitive_is_the_moving_average_of_algorithm_2():
    rng = np.random.default_rng(6)
    K, z, g = np.eye(4), rng.standard_normal((4, 1)), rng.standard_normal((4, 1))
    want = average.moving_average(K, sketch.estimate_ntk(g, z), 0.2)
    np.testing.assert_allclose(average.average(K, z[:, 0], g[:, 0], 0.2, xp=np), want, rtol=0, atol=1e-15 * np.abs(z * g).max())


@pytest.mark.parametrize("alpha", BAD_ALPHAS)
@pytest.mark.parametrize(
    "call",
    [
        lambda alpha: average.moving_average({"a": 1.0}, {"a": 1.0}, alpha),
        lambda alpha: average.average(np.eye(1), np.ones(1), np.ones(1), alpha, xp=np),
        lambda alpha: average.MovingAverage({"a": 1.0}, alpha),
        moments.moving_average_factor,
        moments.moving_average_lag,
        lambda alpha: moments.moving_average_variance([1.0], alpha),
    ],
    ids=["moving_average", "average", "MovingAverage", "factor", "lag", "variance"],
)
def test_alpha_outside_its_interval(call, alpha):
    with pytest.raises(InvalidInput, match=r"^alpha: "):
        call(alpha)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"a": 1.0}, {"b": 1.0}),
        ({"a": 1.0}, {"a": 1.0, "b": 1.0}),
        ({"a": 1.0, "b": 1.0}, {"a": 1.0}),
        ({"a": 1.0}, np.eye(1)),
        (np.eye(2), {"a": 1.0}),
        (np.eye(2), np.eye(3)),
        (np.eye(2), np.ones(2)),
    ],
)
def test_what_does_not_belong_together(old, new):
    with pytest.raises(InvalidInput, match=r"^new: "):
        average.moving_average(old, new, 0.5)
