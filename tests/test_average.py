"""Algorithm 3's moving average: arrays, traces, the rank-one primitive of every engine."""

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refntk import average, engine, moments, sketch
from refntk.errors import InvalidInput, UnknownNameError

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


@pytest.mark.parametrize("correction", average.CORRECTIONS)
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("alpha", [0.05, 0.3, 1.0])
def test_it_unrolls_into_its_shares(alpha, samples, correction):
    """What the recursion makes of unit vectors is the share of every sample; dicts go the same way."""
    unit = np.eye(8)
    found = average.MovingAverage(unit[0], alpha, correction=correction, samples=samples)
    named = average.MovingAverage({str(i): float(i == 0) for i in range(8)}, alpha, correction=correction, samples=samples)
    for t in range(1, 8):
        found, named = found.update(unit[t]), named.update({str(i): float(i == t) for i in range(8)})
    want = average.shares(alpha, 7, samples=samples, correction=correction)
    assert found.steps == 7
    assert np.abs(found.value - want).max() <= 1e-13
    assert np.abs(np.array(list(named.value.values())) - want).max() <= 1e-13
    assert abs(want.sum() - 1) <= 1e-13


def test_it_goes_on_from_value_trend_and_steps_alone():
    found = average.MovingAverage({"a": 1.0}, 0.3, correction="lag", samples=3)
    for new in (2.0, 5.0, 4.0):
        found = found.update({"a": new})
    kept = average.MovingAverage(found.value, 0.3, found.steps, "lag", 3, found.trend)
    assert abs(kept.update({"a": 7.0}).value["a"] - found.update({"a": 7.0}).value["a"]) <= 1e-14 * 7


def regression(alpha, steps, samples):
    """The shares of a weighted line's end, and of a weighted mean, by least squares."""
    ages = np.arange(steps, -1, -1.0)
    root = np.sqrt((1 - alpha) ** ages * np.where(ages == steps, samples, 1))
    line = np.linalg.pinv(root[:, None] * np.stack([np.ones_like(ages), ages], axis=1))[0] * root
    return {"lag": line, "bias": root**2 / np.sum(root**2)}


def check_shares(shares, alpha, steps, samples):
    want = regression(alpha, steps, samples) | {"none": alpha * (1 - alpha) ** np.arange(steps, -1, -1.0)}
    want["none"][0] = (1 - alpha) ** steps
    off = {c: np.abs(shares(alpha, steps, samples=samples, correction=c) - want[c]).max() for c in average.CORRECTIONS}
    assert {c: v for c, v in off.items() if v > 1e-9} == {}


@given(st.floats(0.01, 0.9), st.integers(1, 40), st.integers(1, 20))
def test_shares(alpha, steps, samples):
    check_shares(average.shares, alpha, steps, samples)


def other(wrong):
    def shares(alpha, steps, *, samples, correction):
        return average.shares(alpha, steps, samples=samples, correction=wrong.get(correction, correction))

    return shares


SHARE_FAULTS = {
    "bias left": other({"bias": "none"}),
    "lag left": other({"lag": "bias"}),
    "the start counted once": lambda a, t, *, samples, correction: average.shares(a, t, correction=correction),
    "oldest last": lambda a, t, **o: average.shares(a, t, **o)[::-1],
    "α on the old": lambda a, t, **o: average.shares(1 - a, t, **o),
    "not normalised": lambda a, t, **o: 1.01 * average.shares(a, t, **o),
}


@pytest.mark.parametrize("fault", SHARE_FAULTS)
def test_faults_of_shares_are_found(fault):
    with pytest.raises(AssertionError):
        check_shares(SHARE_FAULTS[fault], 0.3, 5, 4)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.01, 0.9), st.integers(1, 50))
def test_a_line_is_followed_without_lag(start, slope, alpha, steps):
    found = average.MovingAverage(np.array([start]), alpha, correction="lag")
    for t in range(1, steps + 1):
        found = found.update(np.array([start + slope * t]))
    assert abs(found.value[0] - (start + slope * steps)) <= 1e-12 * (abs(start) + abs(slope)) * steps / alpha


def test_the_first_samples_count_alike_without_bias():
    """1/(t + 1) each for α → 0, where Algorithm 3's average keeps to its start."""
    np.testing.assert_allclose(average.shares(1e-9, 4, correction="bias"), np.full(5, 0.2), rtol=1e-8)
    assert average.shares(1e-9, 4)[0] > 0.99


@pytest.mark.parametrize("correction", average.CORRECTIONS)
def test_one_update_with_everything_new(correction):
    found = average.MovingAverage({"a": 5.0}, 1.0, correction=correction)
    assert found.update({"a": 2.0}).update({"a": 3.0}).value == {"a": 3.0}


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


@pytest.mark.parametrize("correction", ["lags", "", None])
def test_unknown_correction(correction):
    with pytest.raises(UnknownNameError, match=r"^correction: "):
        average.MovingAverage(1.0, 0.5, correction=correction)
    with pytest.raises(UnknownNameError, match=r"^correction: "):
        moments.moving_average_lag(0.5, correction=correction)


@pytest.mark.parametrize("samples", [0, 1.5, True])
def test_samples(samples):
    with pytest.raises(InvalidInput, match=r"^samples: "):
        average.MovingAverage(1.0, 0.5, samples=samples)
