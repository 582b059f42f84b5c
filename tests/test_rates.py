"""Orders and their intervals: closed forms are in the doctests; here, whether intervals hold what they promise, how often they do.

Coverage is counted over 2,000 fixed draws. Intervals of 95 % miss the bounds below with a probability of 1e-8 (binomial, 5.7
standard deviations). Repeats that are squares of normals are skewed, which costs an interval some of its level: 0.9475 was counted.
"""

import numpy as np
import pytest
from scipy.stats import binom

from refntk.errors import InvalidInput
from refntk.studies.rates import Rate, fit, fit_exact, fit_repeats, mean

TRIALS = 2000
LOW, HIGH = (float(q) / TRIALS for q in binom.ppf([5e-9, 1 - 5e-9], TRIALS, 0.95))
X = np.array([1.0, 3, 10, 30, 100])
ORDER = -1.0


def coverage(found, truth):
    return float(np.mean([truth in f for f in found]))


def independent(rng):
    """y with a spread of 3 % to 15 %, each its own."""
    spread = 2 / X * np.linspace(0.03, 0.15, 5)
    return 2 / X + spread * rng.standard_normal(5), spread


def running(rng):
    """Means of the first 1, 3, 10, … of the same numbers, 1 ± 5 %, over x: correlated points."""
    numbers = 1 + 0.05 * rng.standard_normal(100)
    counts = X.astype(int)
    covariance = 0.05**2 / np.maximum(counts[:, None], counts) / np.outer(X, X)
    return np.array([numbers[:k].mean() for k in counts]) / X, covariance


def draws(law, key):
    rng = np.random.default_rng(key)
    return [law(rng) for _ in range(TRIALS)]


def check(found):
    assert LOW <= coverage(found, ORDER) <= HIGH


def test_an_interval_of_known_spread_holds_the_order_as_often_as_it_says():
    check([fit(X, y, spread) for y, spread in draws(independent, 1)])


def test_an_interval_of_correlated_points_holds_the_order_as_often_as_it_says():
    check([fit(X, y, covariance) for y, covariance in draws(running, 2)])


def test_levels_are_kept():
    found = [fit(X, y, spread, level=0.5) for y, spread in draws(independent, 3)]
    low, high = binom.ppf([5e-9, 1 - 5e-9], TRIALS, 0.5) / TRIALS
    assert low <= coverage(found, ORDER) <= high


@pytest.mark.parametrize("fault", ["variances for deviations", "half the spread", "blind to correlation", "one-sided quantile"])
def test_a_wrong_interval_is_found(fault):
    found = {
        "variances for deviations": lambda: [fit(X, y, s**2) for y, s in draws(independent, 1)],
        "half the spread": lambda: [fit(X, y, s / 2) for y, s in draws(independent, 1)],
        "blind to correlation": lambda: [fit(X, y, np.sqrt(np.diag(c))) for y, c in draws(running, 2)],
        "one-sided quantile": lambda: [fit(X, y, s, level=0.9) for y, s in draws(independent, 1)],
    }[fault]()
    with pytest.raises(AssertionError):
        check(found)


def squares(rng):
    """40 repeats of squared normals with the variance 2/x, each the mean of 2: skewed as squared errors are."""
    return (rng.standard_normal((5, 40, 2)) ** 2).mean(axis=2) * 2 / X[:, None]


def shared(rng):
    """60 repeats, whose points share most of their variance."""
    return np.exp(0.1 * (0.5 * rng.standard_normal((5, 60)) + rng.standard_normal(60) * X[:, None] ** 0.2)) / X[:, None]


@pytest.mark.parametrize("law", [squares, shared])
def test_repeats_tell_the_spread(law):
    truth = ORDER if law is squares else _shared_order()
    assert LOW <= coverage([fit_repeats(X, samples) for samples in draws(law, 4)], truth) <= HIGH


def _shared_order():
    """The line through the expectations exp(0.005 v)/x, v = 1/4 + x^0.4, weighted by their relative variances exp(0.01 v) - 1."""
    v = 0.25 + X**0.4
    slope = np.polyfit(np.log(X), 0.005 * v - np.log(X), 1, w=np.expm1(0.01 * v) ** -0.5)
    return float(slope[0])


def test_repeats_whose_dependence_is_forgotten_are_found():
    """The columns of each point in an order of its own: every point as before, and what they share is gone."""
    rng = np.random.default_rng(5)
    found = [fit_repeats(X, rng.permuted(samples, axis=1)) for samples in draws(shared, 4)]
    assert not LOW <= coverage(found, _shared_order()) <= HIGH


def test_a_mean_holds_the_expectation_as_often_as_it_says():
    rng = np.random.default_rng(6)
    check([Rate(ORDER, m.low - 1, m.high - 1, 1.0, 0.0) for m in (mean(rng.standard_normal(5)) for _ in range(TRIALS))])


def test_a_bent_line_does_not_fit():
    """`misfit` is the root of χ²/(n - 2) where the spread is known: below 4 with a probability of 1 - 1e-10 for a straight line."""
    y, spread = independent(np.random.default_rng(7))
    assert fit(X, y, spread).misfit < 4 < fit(X, y * X ** np.log10(X), spread).misfit


def test_orders_between_neighbours_do_not_depend_on_the_order_of_points():
    a, b = fit_exact(X, X**2 + X), fit_exact(X[::-1], (X**2 + X)[::-1])
    assert (a.low, a.high) == pytest.approx((b.low, b.high), rel=1e-14)


GOOD = np.ones((5, 4)) / X[:, None] * [0.9, 1.0, 1.1, 1.0]


REFUSED = {
    "two points": (lambda: fit_exact(X[:2], X[:2]), "three at least"),
    "zero y": (lambda: fit_exact(X, X - 1), "positive"),
    "NaN": (lambda: fit_exact(X, X * np.nan), "finite"),
    "x twice": (lambda: fit_exact(np.ones(5), X), "different"),
    "negative x": (lambda: fit_exact(-X, X), "positive"),
    "lengths": (lambda: fit_exact(X, X[:4]), "one for each value"),
    "spread of another length": (lambda: fit(X, X, X[:4]), "expected"),
    "no spread": (lambda: fit(X, X, 0 * X), "spread of its own"),
    "one repeat": (lambda: fit_repeats(X, GOOD[:, :1]), "two repeats"),
    "equal repeats": (lambda: fit_repeats(X, GOOD[:, [1, 1]]), "fit_exact"),
    "level": (lambda: fit_repeats(X, GOOD, level=95.0), "probability"),
    "one sample": (lambda: mean(np.ones(1)), "two at least"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_order_is_refused(name):
    call, told = REFUSED[name]
    with pytest.raises(InvalidInput, match=told):
        call()
