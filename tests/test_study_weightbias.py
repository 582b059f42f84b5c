"""The three parts of a weight's bias: their sum is what a million averages show, and a missing part is missed."""

import numpy as np
import pytest

from refntk import studies
from refntk.studies.weightbias import Config, Follower

STUDY = studies.get("weightbias")
BLOCKS = {"a": slice(0, 2), "b": slice(2, 5)}


def kernel(growth):
    """A kernel of two terms that grows."""
    J = np.array([[1.0, 0.2, 0.1], [0.3, 1.5, 0.0], [4.0, 1.0, 2.0], [0.0, 5.0, 1.0], [2.0, 0.0, 6.0]])
    return growth * J @ J.T


@pytest.fixture(scope="module", params=[False, True], ids=["joint", "balanced"])
def follower(request):
    """4000 averages along 60 steps of a kernel that doubles, and the last exact traces."""
    rng = np.random.default_rng(17)
    config = Config(replicates=4000, samples=200)
    found = None
    for t in range(61):
        K = kernel(2 ** (t / 60))
        exact = np.array([np.trace(K[b, b]) for b in BLOCKS.values()])
        squares = np.array([[np.sum(K[k, l] ** 2) for l in BLOCKS.values()] for k in BLOCKS.values()])
        found = found or Follower(request.param, 0.02, exact, config)
        G = rng.standard_normal((5, config.replicates * (config.samples if t == 0 else 1)))
        found.follow(K, BLOCKS, G, exact, squares)
    return found


def test_mean_and_covariance_of_the_averages_are_the_closed_forms(follower):
    """4000 averages: means within 5 standard errors, variances within 5 √(2/4000) and what skewness adds; false alarm < 1e-5."""
    spread = np.sqrt(np.diag(follower.covariance) / len(follower.average))
    assert (np.abs(follower.average.mean(axis=0) - follower.mean) < 5 * spread).all()
    assert np.abs(np.var(follower.average, axis=0) / np.diag(follower.covariance) - 1).max() < 0.15
    correlation = follower.covariance[0, 1] / np.sqrt(np.prod(np.diag(follower.covariance)))
    assert np.corrcoef(follower.average.T)[0, 1] == pytest.approx(correlation, abs=0.08)


def test_the_mean_weight_is_the_lagging_one_and_the_ratio_bias(follower):
    """Second order: what is left is of third order in the relative deviations, below a tenth of the bias and 5 standard errors."""
    seen = follower.weights()
    weights = follower.average.sum(axis=1, keepdims=True) / follower.average
    error = 5 * weights.std(axis=0) / np.sqrt(len(weights)) / seen["lagging"]
    left = seen["estimated"] / seen["lagging"] - 1 - seen["ratio"]
    assert (np.abs(left) < error + 0.1 * np.abs(seen["ratio"])).all()


def test_without_the_covariance_with_the_total_the_ratio_bias_is_wrong(follower):
    """The planted fault: Var T̂_k / T_k² alone, which is what one finds on the back of an envelope."""
    seen = follower.weights()
    large = int(np.argmax(follower.mean))  # the term that most of the total is made of
    wrong = follower.covariance[large, large] / follower.mean[large] ** 2
    assert abs(seen["estimated"][large] / seen["lagging"][large] - 1 - wrong) > 5 * abs(seen["ratio"][large])


def test_the_lag_is_that_of_a_growing_trace(follower):
    assert follower.mean[1] < 0.9 * np.trace(kernel(2.0)[2:, 2:])


def test_a_study_at_the_smallest_scale_counts_what_is_lost():
    config = STUDY.configure("smoke")
    cells = STUDY.cells(config)
    outcome = STUDY.combine(config, cells, [STUDY.measure(config, cell, key=i) for i, cell in enumerate(cells)])
    assert outcome.arrays["lost"].shape == (config.trainings, config.steps // config.record, 2 * len(config.alphas))
    assert {type(claim.holds) for claim in STUDY.claims(outcome)} == {bool}
