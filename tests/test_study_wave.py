"""The study of the wave equation: planted faults are seen by its claims, and a training that ends early is a cell."""

import numpy as np
import pytest
from conducted import failed, outcome

from refntk import problems
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
