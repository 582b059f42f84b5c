"""Every activation and its derivatives to order 5 against mpmath, in units of rounding: at zero, near it, deep in saturation."""

from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest
from mpmath_oracle import SIGMA

from refntk.calculus import activation
from refntk.calculus.activation import ACTIVATIONS
from refntk.errors import UnknownNameError

ORDER = 5
UNIT = 2.0**-53
THRESHOLD = 30  # LAPACK's
RNG = np.random.default_rng(17)
PLACES = {
    "random": RNG.normal(scale=2, size=24),
    "tiny": np.array([1e-3, 1e-8, 1e-200, -1e-200, 5e-324, -1e-3]),
    "zero": np.array([0.0, -0.0]),
    "saturated": np.array([s * x for x in (18.0, 19.0, 40.0, 300.0, 700.0, 800.0) for s in (1, -1)]),
}
registered = pytest.mark.parametrize("name", ACTIVATIONS)
everywhere = pytest.mark.parametrize("place", PLACES)
every_order = pytest.mark.parametrize("order", range(ORDER + 1))


@cache
def exact(name, x):
    """[σ(x), σ'(x), ...] by mpmath, with digits enough to see e^(-2|x|) beside 1 and the smallest double beside 0."""
    with mpmath.workdps(60 + int(0.9 * abs(x)) + 660 * (abs(x) < 1e-3)):
        return list(mpmath.diffs(SIGMA[name], mpmath.mpf(x), ORDER + 1))


def errors(name, got, x, order):
    """|got - want| in units of rounding times |σ^(k)| + min(|x|, 1) |σ^(k+1)|: relative, except within an ulp or so of a zero.

    Below the smallest normal number an error of one subnormal is granted.
    """
    found = []
    for value, place in zip(got, x, strict=True):
        want, slope = exact(name, float(place))[order : order + 2]
        scale = abs(want) + min(abs(place), 1) * abs(slope)
        excess = max(abs(mpmath.mpf(float(value)) - want) - mpmath.mpf(2) ** -1073, 0)
        found.append(float(excess / (UNIT * scale)) if excess else 0.0)
    return np.array(found)


@registered
def test_every_activation_has_an_oracle(name):
    assert name in SIGMA


@registered
@every_order
@everywhere
def test_derivatives_are_exact_to_rounding(name, order, place):
    x = PLACES[place]
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        got = ACTIVATIONS[name].derivatives(x, order, xp=np)[order]
    assert got.shape == x.shape
    assert errors(name, got, x, order).max() <= THRESHOLD


@registered
def test_derivatives_come_in_order_and_one_more_than_asked(name):
    x = PLACES["random"]
    few, many = (ACTIVATIONS[name].derivatives(x, order, xp=np) for order in (1, ORDER))
    assert (len(few), len(many)) == (2, ORDER + 1)
    assert np.array_equal(few, many[:2])


def test_planted_fault_one_minus_tanh_squared_is_rejected_at_18():
    assert errors("tanh", 1 - np.tanh([18.0]) ** 2, [18.0], 1).max() > 1e6 * THRESHOLD


def test_planted_fault_relative_error_of_1e_14_is_rejected():
    x = PLACES["random"]
    assert errors("sin", np.cos(x) * (1 + 1e-14), x, 1).max() > THRESHOLD


@pytest.mark.parametrize("order", range(ORDER + 1))
def test_polynomials_are_exact_in_rational_arithmetic(order):
    coefficients = [Fraction(k + 1, k + 2) * (-1) ** k for k in range(7)]
    x = np.array([Fraction(2, 3), Fraction(-5, 7)], dtype=object)
    got = activation.polynomial(coefficients).derivatives(x, order, xp=np)[order]
    falling = [Fraction(np.prod([k - i for i in range(order)], dtype=int)) for k in range(7)]
    want = [
        sum(c * f * v ** (k - order) for k, (c, f) in enumerate(zip(coefficients, falling, strict=True)) if k >= order) for v in x
    ]
    assert got.tolist() == want


@registered
def test_get_finds_by_name_and_passes_instances_through(name):
    assert activation.get(name) is ACTIVATIONS[name]
    assert activation.get(ACTIVATIONS[name]) is ACTIVATIONS[name]


@pytest.mark.parametrize("name", ["relu6", "", None, 3, ["tanh"]])
def test_unknown_activation(name):
    with pytest.raises(UnknownNameError, match="activation"):
        activation.get(name)
