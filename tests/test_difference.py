"""Difference quotients: exact where they must be, of the order they promise, and no silent zero or infinity."""

import array_api_strict
import numpy as np
import pytest
import torch

from refntk.errors import InvalidInput, NotFiniteError, ShapeError, UnknownNameError
from refntk.estimation import bounds
from refntk.estimation.difference import DIFFERENCES, second_derivatives, slopes

THETA = np.array([0.3, -1.2, 0.7])
V = np.array([[1.0, 0.5], [-0.5, 0.25], [2.0, -1.0]])
A = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]])
ORDER = {"forward": 1, "central": 2}


def wavy(theta):
    return np.sin(A @ theta)


def exact():
    return np.cos(A @ THETA)[:, None] * (A @ V)


def check_order(quotients, order):
    errors = [np.abs(quotients(dt) - exact()).max() for dt in (1e-2, 1e-3)]
    assert abs(np.log10(errors[0] / errors[1]) - order) <= 0.05


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_order(difference):
    check_order(lambda dt: slopes(wavy, THETA, V, dt, difference=difference), ORDER[difference])


FAULTS = {
    "half a step": lambda dt: np.stack([(wavy(THETA + dt * v / 2) - wavy(THETA)) / dt for v in V.T], axis=1),
    "step not divided out": lambda dt: np.stack([wavy(THETA + dt * v) - wavy(THETA) for v in V.T], axis=1),
    "start forgotten": lambda dt: np.stack([wavy(THETA + dt * v) / dt for v in V.T], axis=1),
    "central, once the step": lambda dt: np.stack([(wavy(THETA + dt * v) - wavy(THETA - dt * v)) / dt for v in V.T], axis=1),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault, difference):
    with pytest.raises(AssertionError), np.errstate(divide="ignore"):
        check_order(FAULTS[fault], ORDER[difference])


@pytest.mark.parametrize("difference", DIFFERENCES)
@pytest.mark.parametrize("dt", [2.0**-20, 1.0, 2.0**20])
def test_linear_maps_at_every_step(difference, dt):
    got = slopes(lambda theta: A @ theta, THETA, V, dt, difference=difference)
    assert np.abs(got - A @ V).max() <= 1e-15 * np.abs(A).max() * (np.abs(THETA).max() / dt + np.abs(V).max())


def test_a_given_start_spares_an_evaluation():
    calls = []

    def counted(theta):
        calls.append(theta)
        return wavy(theta)

    want = slopes(counted, THETA, V, 1e-3)
    assert len(calls) == 3
    np.testing.assert_array_equal(slopes(counted, THETA, V, 1e-3, start=wavy(THETA)), want)
    assert len(calls) == 5


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=lambda xp: xp.__name__)
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_other_libraries(xp, difference):
    there = xp.asarray(A)
    got = slopes(lambda theta: xp.sin(there @ theta), xp.asarray(THETA), xp.asarray(V), 1e-3, difference=difference)
    assert type(got) is type(there)
    assert np.abs(np.asarray(got) - slopes(wavy, THETA, V, 1e-3, difference=difference)).max() <= 1e-12


@pytest.mark.parametrize("dt", [0, 0.0, -1e-4, float("nan"), float("inf"), "1e-4", True, 1j])
def test_steps_that_are_none(dt):
    with pytest.raises(InvalidInput, match=r"^dt: "):
        slopes(wavy, THETA, V, dt)


def test_a_step_that_moves_nothing():
    with pytest.raises(InvalidInput, match=r"^dt: .*moves no parameter"):
        slopes(wavy, THETA, V, 1e-30)


@pytest.mark.parametrize("size", [0.0, 1e-17, 1e-13])
def test_a_direction_that_is_nothing(size):
    """Small against the rounding of θ at any reasonable step: no fault of the step's."""
    assert slopes(wavy, THETA, np.full((3, 1), size), 1e-4).tolist() == [[0.0], [0.0]]


def test_a_step_out_of_the_numbers():
    with np.errstate(over="ignore"), pytest.raises(NotFiniteError, match=r"^dt: .*parameters"):
        slopes(wavy, THETA, 1e10 * V, 1e300)


def test_residuals_out_of_the_numbers():
    with np.errstate(over="ignore"), pytest.raises(NotFiniteError, match=r"^dt: .*residuals"):
        slopes(lambda theta: theta**2, THETA, V, 1e200)


def test_directions_of_the_wrong_shape():
    with pytest.raises(ShapeError, match=r"^directions: "):
        slopes(wavy, THETA, V.T, 1e-4)


@pytest.mark.parametrize("difference", ["backward", "", None, ["forward"]])
def test_unknown_difference(difference):
    with pytest.raises(UnknownNameError, match=r"^difference: "):
        slopes(wavy, THETA, V, 1e-4, difference=difference)


# Second derivatives ------------------------------------------------------------------------------------------


def second_exact():
    """∇² sin(Aθ)[v, w] = -sin(Aθ) (Av)(Aw)."""
    tangents = A @ V
    return -np.sin(A @ THETA)[:, None, None] * tangents[:, :, None] * tangents[:, None, :]


def check_second(derivatives):
    errors = [np.abs(derivatives(dt) - second_exact()).max() for dt in (1e-1, 1e-2)]
    assert abs(np.log10(errors[0] / errors[1]) - 2) <= 0.05
    assert errors[1] <= 1e-2


def test_second_derivatives():
    check_second(lambda dt: second_derivatives(wavy, THETA, V, dt))


def forward_twice(dt):
    def at(*directions):
        return wavy(THETA + dt * sum(directions, np.zeros(3)))

    return np.stack([np.stack([(at(v, w) - at(v) - at(w) + at()) / dt**2 for w in V.T], axis=-1) for v in V.T], axis=-2)


SECOND_FAULTS = {
    "one-sided": forward_twice,
    "half": lambda dt: second_derivatives(wavy, THETA, V, dt) / 2,
    "only the diagonal": lambda dt: second_derivatives(wavy, THETA, V, dt) * np.eye(2),
    "the step once": lambda dt: second_derivatives(wavy, THETA, V, dt) * dt,
}


@pytest.mark.parametrize("fault", SECOND_FAULTS)
def test_faults_of_second_derivatives_are_found(fault):
    with pytest.raises(AssertionError):
        check_second(SECOND_FAULTS[fault])


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=lambda xp: xp.__name__)
def test_second_derivatives_in_other_libraries(xp):
    there = xp.asarray(A)
    got = second_derivatives(lambda theta: xp.sin(there @ theta), xp.asarray(THETA), xp.asarray(V), 1e-2)
    assert type(got) is type(there)
    assert np.abs(np.asarray(got) - second_derivatives(wavy, THETA, V, 1e-2)).max() <= 1e-9
    same = bounds.curvature(lambda theta: xp.sin(there @ theta), xp.asarray(THETA), xp.asarray(V), 1e-2)
    assert abs(same / bounds.curvature(wavy, THETA, V, 1e-2) - 1) <= 1e-9


def test_second_derivatives_of_the_wrong_shape_or_step():
    with pytest.raises(ShapeError, match=r"^directions: "):
        second_derivatives(wavy, THETA, V.T, 1e-2)
    with pytest.raises(InvalidInput, match=r"^dt: "):
        second_derivatives(wavy, THETA, V, 0.0)
