"""The study of Corollary 2's rule: faults planted in its outcome are seen."""

import numpy as np
import pytest
from conducted import failed, outcome

from refntk.studies.spacing import ALWAYS


def last(found, value):
    """Renewals with those of the largest c set."""
    renewed = found.arrays["renewed"].copy()
    renewed[found.where(bound=found.config.bounds[-1])] = value
    return renewed


FAULTS = {
    "the bound passed": ({"over": lambda found: found.arrays["over"] + 1.1}, "over its bound"),
    "fewer renewals at a larger c": ({"renewed": lambda found: 1 - found.arrays["renewed"]}, "least growth"),
    "always in motion": ({"renewed": lambda found: np.ones_like(found.arrays["renewed"])}, "at c = 0.01"),
    "rarely in motion": ({"renewed": lambda found: last(found, 0.5)}, "at c = 10000"),
    "a solution that is lost": (
        {"error": lambda found: found.arrays["error"] * np.where(found.column("bound") == 1.0, 100, 1)[:, None]},
        "error over that",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(fault):
    changed, statement = FAULTS[fault]
    assert any(statement in told for told in failed("spacing", **changed))


def test_weights_of_every_step_are_renewed_at_every_step():
    found = outcome("spacing")
    assert (found.arrays["renewed"][found.where(bound=ALWAYS)] == 1).all()
    assert (found.arrays["over"][found.where(bound=ALWAYS)] == 0).all()
