"""The bias in Δt: against closed forms where R is quadratic, and with faults planted in what is measured."""

import numpy as np
import pytest
from conducted import failed, measure, outcome

from refntk import studies
from refntk.studies import bias
from refntk.studies.cases import case

H = 2.0**-7


@pytest.fixture
def quadratic():
    """K, ∇²R (n, p, p) and J of the quadratic predictor, R_i = Σ_j θ_j² u_ij - y_i, for some rows."""
    at = case("quadratic", 6, (1,), 17)
    u = at.points["data"][:, :1] ** np.arange(3)
    return at, at.K, 2 * u[:, :, None] * np.eye(3), 2 * at.theta * u


def test_one_product_is_off_by_half_a_step_of_curvature(quadratic):
    """`½ Δt ∇²R[v, v]` with v = Jᵀg, in the root mean square over signs, of that of K g, exactly."""
    at, K, curvature, J = quadratic
    V = J.T @ bias.signs(6)
    off = 0.5 * np.einsum("ijk,js,ks->is", curvature, V, V)
    want = H / np.trace(K) ** 0.5 * np.sqrt((off**2).sum(axis=0).mean()) / np.linalg.norm(K)
    assert bias._algorithm_2(at, H, "forward")["sample"] == pytest.approx(want, rel=1e-11)


def test_the_mean_trace_of_theorem_5_is_off_by_a_quarter_of_curvature_squared(quadratic):
    """`¼ ε² E‖∇²R[g, g]‖²` over Tr K."""
    at, K, curvature, _ = quadratic
    g = bias.signs(3)
    square = (np.einsum("ijk,js,ks->is", curvature, g, g) ** 2).sum(axis=0).mean()
    assert bias._theorem_5(at, H)["trace"] == pytest.approx(H**2 / 3 * square / 4 / np.trace(K), rel=1e-9)


FAULTS = {
    "1e-4 too large": ("sketch.products", lambda right: lambda *a, **k: right(*a, **k) * (1 + 1e-4)),
    "Δt taken for 2 Δt": ("sketch.products", lambda right: lambda *a, **k: right(*a, **k) / 2),
    "half of the signs": ("signs", lambda right: lambda n: right(n)[:, : 2 ** (n - 1)]),
    "one sign left out": ("signs", lambda right: lambda n: right(n)[:, 1:]),
    "forward for central": ("sketch.products", lambda right: lambda *a, **k: right(*a, **k | {"difference": "forward"})),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_measurement_is_found(fault, monkeypatch):
    where, wrong = FAULTS[fault]
    place, name = (bias.sketch, "products") if "." in where else (bias, where)
    monkeypatch.setattr(place, name, wrong(getattr(place, name)))
    study = studies.get("bias")
    config = study.configure("smoke")
    cells = study.cells(config)
    found = study.combine(config, cells, [measure(study, cell) for cell in cells])
    assert [claim for claim in study.claims(found) if not claim.holds]


CHANGES = {
    "nothing": {},
    "samples of order 2": {"sample": lambda found: found.arrays["sample"] ** 2},
    "means of order 1": {"trace": lambda found: np.sqrt(found.arrays["trace"])},
    "no rounding": {"sample": lambda found: 2.0 ** -np.array([float(cell["halvings"]) for cell in found.cells])},
    "rounding a thousand times worse": {"kernel_rounding": lambda found: found.arrays["kernel_rounding"] / 1000},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_the_numbers_is_found(change):
    assert bool(failed("bias", **CHANGES[change])) == bool(CHANGES[change])


def test_the_mean_of_central_differences_is_that_of_forward_ones():
    """To rounding, at every step: averaging over ±g is what the mean over all signs does anyway."""
    found = outcome("bias")
    a, b = (found.where(problem="wave", method=method) for method in ("forward", "central"))
    units = np.abs(found.arrays["trace"][a] - found.arrays["trace"][b]) / found.arrays["trace_rounding"][a]
    assert units.max() <= bias.THRESHOLD
