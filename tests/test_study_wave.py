"""The study of the wave equation: planted faults are seen by its claims, and a training that ends early is a cell."""

import numpy as np
import pytest
from conducted import failed, outcome

import refntk as rn
from refntk import problems
from refntk.problems.domain import Box
from refntk.studies.start import spread
from refntk.studies.wave import RECORDS, SIDE, Trainings


def scaled(name, factor, **where):
    """The array with some cells multiplied."""

    def change(found):
        array = found.arrays[name].copy()
        array[found.where(**where)] *= factor
        return array

    return change


def jittered(found):
    """Weights that jump up and down at the smaller α."""
    weights = found.arrays["weights"].copy()
    weights[found.where(optimizer="damped", weighting="balanced", alpha=0.1), ::2] *= 3.0
    return weights


FAULTS = {
    "weights that do not help": ({"error": scaled("error", 0.01, optimizer="damped", weighting="fixed")}, "without weights"),
    "an error too large": ({"error": scaled("error", 30.0, optimizer="damped", weighting="balanced")}, "relative L2 error"),
    "sketched unlike full": ({"error": scaled("error", 0.1, optimizer="adam", weighting="trace")}, "full kernel's weights"),
    "a printed form that runs": ({"done": lambda found: np.ones_like(found.arrays["done"])}, "as printed"),
    "rough weights": ({"weights": jittered}, "roughness"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(fault):
    changed, statement = FAULTS[fault]
    assert any(statement in told for told in failed("wave", **changed))


def test_the_printed_form_ends_early_and_leaves_what_it_had():
    found = outcome("wave")
    (i,) = found.where(optimizer="damped", weighting="joint")
    done, records = float(found.arrays["done"][i]), np.isfinite(found.arrays["error"][i])
    assert 0 <= done < 1
    assert 0 <= records.sum() <= 1 + done * RECORDS
    assert np.isfinite(found.arrays["field"][i]).all()


def test_errors_are_those_of_the_fields_that_are_kept():
    """Another grid, so another number, but nearly the same."""
    found, problem = outcome("wave"), problems.get("wave")
    exact = problem.solution(problem.domain.sample((SIDE, SIDE), rng=np.random.default_rng(0))).reshape(SIDE, SIDE)
    whole = np.flatnonzero(found.arrays["done"] == 1)
    kept = np.array([np.linalg.norm(found.arrays["field"][i] - exact) / np.linalg.norm(exact) for i in whole])
    np.testing.assert_allclose(kept, found.arrays["error"][whole, -1], rtol=0.05)


def test_full_weights_stand_beside_their_own():
    """With weights of the full kernel in force nothing is off."""
    of = Trainings(outcome("wave"), "damped")
    assert of.deviation(of.those("trace")[0]) < 1e-9
    assert of.deviation(of.those("balanced")[0]) > 1e-3


@pytest.mark.parametrize("weighting", ["fixed", "trace", "balanced"])
def test_spring_begins_fitted_and_goes_on(weighting):
    """At the smoke scale's sizes; the first record stands after the fit of the last layer, without which the error is 1."""
    study = rn.studies.get("wave")
    config = study.configure("smoke", {"optimizers": ("spring",), "natural_steps": 60})
    cell = next(cell for cell in study.cells(config) if cell["weighting"] == weighting)
    found = study.measure(config, cell, key=17)
    assert found["done"] == 1
    assert found["error"][-1] < 0.7 * found["error"][0]
    assert np.isfinite(found["field"]).all()


def first_layer(slopes, box, *, width=400, **normalization):
    """Values of the first layer at the corners of a box, and the standard deviations of its slopes there."""
    network = rn.MLP([2, width, 5, 1], **normalization)
    theta = spread(network, box, slopes=slopes, gain=2.0, bias=0.5, rng=17)
    layer = network.layers(theta)[0]
    corners = np.array([(x, t) for x in (box.lower[0], box.upper[0]) for t in (box.lower[1], box.upper[1])])
    values = network.normalize(corners, xp=np) @ layer.W + layer.b
    return network, theta, values, np.std(layer.W / np.asarray(network.scale)[:, None], axis=1)


@pytest.mark.parametrize("normalization", [{}, {"shift": (1.5, 4.0), "scale": (0.5, 2.0)}])
def test_a_first_theta_has_its_kinks_in_the_domain(normalization):
    """400 slopes know their standard deviation to within 15 %, four of its own standard deviations."""
    network, theta, values, found = first_layer((0.5, 3.0), Box((1.0, 3.0), (2.0, 5.0)), **normalization)
    assert np.all((values.min(axis=0) < 0) & (values.max(axis=0) > 0))
    np.testing.assert_allclose(found, (0.5, 3.0), rtol=0.15)
    assert np.all(network(theta, np.random.default_rng(3).random((9, 2))) == 0)


def test_xavier_has_them_outside():
    """A planted fault: weights of that size without biases, seen at the corners."""
    network, theta, _, _ = first_layer((0.5, 3.0), Box((1.0, 3.0), (2.0, 5.0)))
    layer = network.layers(theta)[0]
    values = np.array([(1.0, 3.0), (1.0, 5.0), (2.0, 3.0), (2.0, 5.0)]) @ layer.W
    assert not np.all((values.min(axis=0) < 0) & (values.max(axis=0) > 0))
