"""Polynomials against the definition: the value of a sum, a product or a derivative is that of the values."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refntk.calculus.polynomial import Polynomial, symbols

VARIABLES = 2
rationals = st.fractions(min_value=-3, max_value=3, max_denominator=4)
terms = st.lists(st.tuples(st.tuples(*[st.integers(0, 3)] * VARIABLES), rationals), max_size=5)
polynomials = terms.map(lambda given: Polynomial.collect(given, VARIABLES))
points = st.tuples(*[rationals] * VARIABLES)


def value(polynomial, point):
    total = Fraction(0)
    for exponents, coefficient in polynomial.terms:
        for x, power in zip(point, exponents, strict=True):
            coefficient = coefficient * x**power
        total += coefficient
    return total


@given(polynomials, polynomials, points)
def test_sum_difference_and_product_are_those_of_the_values(p, q, x):
    found = value(p + q, x), value(p - q, x), value(p * q, x), value(-p, x)
    assert found == (value(p, x) + value(q, x), value(p, x) - value(q, x), value(p, x) * value(q, x), -value(p, x))


@given(polynomials, rationals, points)
def test_numbers_act_from_both_sides(p, c, x):
    found = value(c + p, x), value(p + c, x), value(c * p, x), value(p - c, x), value(c - p, x)
    want = value(p, x)
    assert found == (c + want, want + c, c * want, want - c, c - want)


@given(polynomials, rationals.filter(bool), points)
def test_division_by_a_number(p, c, x):
    assert value(p / c, x) == value(p, x) / c


@given(polynomials, st.integers(0, 3), points)
def test_power_is_repeated_multiplication(p, k, x):
    assert value(p**k, x) == value(p, x) ** k


@given(polynomials, st.integers(0, VARIABLES - 1), points)
def test_derivative_is_the_linear_part_of_the_taylor_expansion(p, i, x):
    """A polynomial of degree ≤ 3 in x_i is divided exactly: Σ weights · p(x + k h) of the 4-point forward formula, h = 1."""
    weights = (Fraction(-11, 6), Fraction(3), Fraction(-3, 2), Fraction(1, 3))
    shifted = [tuple(a + k * (j == i) for j, a in enumerate(x)) for k in range(4)]
    assert value(p.derivative(i), x) == sum(w * value(p, s) for w, s in zip(weights, shifted, strict=True))


@given(polynomials, polynomials)
def test_equal_polynomials_are_equal_objects_with_equal_hashes(p, q):
    one, other = (p + q) ** 2, p * p + 2 * (q * p) + q * q
    assert one == other
    assert hash(one) == hash(other)


@given(polynomials)
def test_terms_are_sorted_by_degree_and_hold_no_zero(p):
    assert all(c != 0 for _, c in p.terms)
    assert [sum(e) for e, _ in p.terms] == sorted(sum(e) for e, _ in p.terms)
    assert p.degree == max((sum(e) for e, _ in p.terms), default=0)
    assert (p - p).terms == ()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_symbols_are_the_unit_monomials(count):
    assert [s.terms for s in symbols(count)] == [((tuple(int(i == j) for j in range(count)), 1),) for i in range(count)]


def test_coefficient_of_a_monomial_and_of_none():
    x, y = symbols(2)
    assert ((3 * x * y**2).coefficient((1, 2)), (3 * x * y**2).coefficient((2, 1))) == (3, 0)


def test_oracle_rejects_a_derivative_that_forgets_the_exponent():
    """The planted fault: d/dx x³ = x²."""
    x = symbols(1)[0]
    assert value(x**2, (Fraction(2),)) != value((x**3).derivative(0), (Fraction(2),))
