"""Appendix B's study: its condition numbers are those of the matrices, and each claim is refuted by a planted fault."""

import numpy as np
import pytest
from conducted import failed, outcome

from refntk.natural import piecewise


@pytest.mark.parametrize(
    ("column", "matrix"), list(enumerate(["hat_mass", "circle", "relu_mass", "hat_stiffness", "relu_stiffness"]))
)
def test_condition_numbers_are_those_of_the_matrices(column, matrix):
    """From singular values at the least N, where they have digits enough."""
    found = outcome("condition")
    N = found.cells[0]["N"]
    A = piecewise.hat_mass(N, periodic=True) if matrix == "circle" else getattr(piecewise, matrix)(N)
    assert found.arrays["condition"][0, column] == pytest.approx(np.linalg.cond(A), rel=1e-9)


def column(i, change):
    def changed(found):
        values = found.arrays["condition"].copy()
        values[:, i] = change(values[:, i])
        return values

    return {"condition": changed}


FAULTS = {
    "nothing": {},
    "the free end taken for a circle": column(0, lambda kappa: np.full_like(kappa, 3.0)),
    "a circle with an end": column(1, lambda kappa: kappa + 1e-6),
    "M₂ with the order of K₂": column(2, np.sqrt),
    "K₁ as well conditioned as M₁": column(3, lambda kappa: 3 + 0 * kappa),
    "K₂ with the order of M₂": column(4, np.square),
    "an identity without its last row": {"mass": lambda found: found.arrays["mass"] + 1e-3},
    "the printed D₂ an identity after all": {"symmetric": lambda found: 0 * found.arrays["symmetric"]},
    "the printed factor": {"factor": lambda found: found.column("N") / 2},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault):
    assert len(failed("condition", **FAULTS[fault])) == (fault != "nothing")
