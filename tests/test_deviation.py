"""How far weights in force are from the full kernel's, against histories whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest

import refntk as rn
from refntk.training import History, train
from refntk.training.deviation import full_weights, median_deviation


@pytest.fixture(scope="module")
def history() -> History:
    problem, network = rn.problems.get("wave"), rn.MLP([2, 4, 1])
    counts = {"interior": 4, "initial": 3, "velocity": 2, "boundary": 5}
    return train(problem, network, network.init(rng=17), steps=4, record=1, weighting="trace", counts=counts, rng=17)


def scaled(values: dict[str, np.ndarray], factor: np.ndarray | float) -> dict[str, np.ndarray]:
    return {term: array * factor for term, array in values.items()}


def test_weights_of_the_full_kernel_are_the_traces_total_over_own(history: History) -> None:
    traces = np.stack(list(history.traces.values()))
    want = traces.sum(axis=0) / traces
    np.testing.assert_allclose(np.stack(list(full_weights(history).values())), want, rtol=1e-14)


def test_a_trace_run_has_no_deviation(history: History) -> None:
    assert median_deviation(history) == dict.fromkeys(history.weights, 0.0)


@pytest.mark.parametrize("factor", [1.25, 0.75])
def test_the_deviation_is_relative_and_has_no_sign(history: History, factor: float) -> None:
    found = median_deviation(replace(history, weights=scaled(history.weights, factor)))
    assert list(found.values()) == pytest.approx([0.25] * len(found), abs=1e-12)


def test_the_deviation_is_the_median_and_not_the_mean(history: History) -> None:
    factor = np.where(np.arange(len(history.steps)) == 2, 100.0, 1.5)
    found = median_deviation(replace(history, weights=scaled(history.weights, factor)))
    assert list(found.values()) == pytest.approx([0.5] * len(found), abs=1e-12)


def test_a_step_without_weights_is_left_out(history: History) -> None:
    gone = np.where(np.arange(len(history.steps)) == 1, 0.0, 1.0)
    found = replace(history, traces=history.traces | {"velocity": history.traces["velocity"] * gone})
    assert np.isnan(full_weights(found)["interior"]).tolist() == [False, True, False, False, False]
    assert median_deviation(found) == dict.fromkeys(history.weights, 0.0)


def test_without_any_weights_there_is_no_deviation(history: History) -> None:
    found = median_deviation(replace(history, traces=scaled(history.traces, 0.0)))
    assert np.isnan(list(found.values())).all()
