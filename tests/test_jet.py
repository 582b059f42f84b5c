"""The table against brute force: derivatives of σ(z(x)) for polynomials σ and z, multiplied out, in rational numbers."""

import itertools
import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refntk.calculus.jet import Table, faa_di_bruno, identity, jet, partials, set_partitions
from refntk.calculus.polynomial import Polynomial, symbols
from refntk.errors import InvalidInput

SIGMA = [Fraction(1, 2), Fraction(-2), Fraction(3), Fraction(1, 3), Fraction(-1), Fraction(2, 5)]  # degree 5
DIMENSIONS = (1, 2, 3)
ORDER = 4


def exponents(dimension, order):
    return [e for e in itertools.product(range(order + 1), repeat=dimension) if 0 < sum(e) <= order]


@cache
def inner(dimension):
    """A polynomial z none of whose derivatives up to order 4 vanishes at the point."""
    rng = np.random.default_rng(dimension)
    return Polynomial.collect(
        [
            (e, Fraction(int(rng.integers(1, 9)), int(rng.integers(1, 5)) * math.prod(map(math.factorial, e))))
            for e in exponents(dimension, ORDER)
        ]
        + [((0,) * dimension, Fraction(1, 3))],
        dimension,
    )


@cache
def composite(dimension):
    """σ(z), multiplied out; terms beyond order 4 are never seen by derivatives up to order 4 at 0, the point."""
    z, total = inner(dimension), Polynomial.constant(SIGMA[-1], dimension)
    for coefficient in SIGMA[-2::-1]:
        product = total * z + coefficient
        total = Polynomial(tuple((e, c) for e, c in product.terms if sum(e) <= ORDER), dimension)
    return total


def apply(operator, function):
    """The operator applied to a polynomial, at 0."""
    total = Fraction(0)
    for alpha, coefficient in operator.terms:
        derivative = function
        for i, power in enumerate(alpha):
            for _ in range(power):
                derivative = derivative.derivative(i)
        total += coefficient * derivative.coefficient((0,) * function.variables)
    return total


def sigma(order, z):
    """σ^(order)(z)."""
    return sum(c * math.perm(k, order) * z ** (k - order) for k, c in enumerate(SIGMA) if k >= order)


def through(table, z):
    """The output channels of a table for the input channels z."""
    return [sum(t.coefficient * sigma(t.order, z[0]) * math.prod(z[f] for f in t.factors) for t in row) for row in table.rows]


def read_off(found, dimension):
    """Every operator of a jet applied to σ(z), by way of the table."""
    channels = through(found.last, [apply(channel, inner(dimension)) for channel in found.channels])
    return [sum(c * channels[i] for i, c in combination) for combination in found.readout]


MULTI_INDICES = [e for d in DIMENSIONS for e in exponents(d, ORDER)]


@pytest.mark.parametrize("alpha", MULTI_INDICES, ids=str)
def test_every_multi_index_to_order_4_in_up_to_3_dimensions(alpha):
    operator = Polynomial.collect([(alpha, 1)], len(alpha))
    assert read_off(jet((operator,)), len(alpha)) == [apply(operator, composite(len(alpha)))]


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_all_channels_of_a_full_jet_at_once(dimension):
    operators = tuple(Polynomial.collect([(e, 1)], dimension) for e in exponents(dimension, ORDER))
    found = jet(operators, False)
    assert len(found.channels) == len(operators) + 1 == math.comb(ORDER + dimension, dimension)
    assert through(found.table, [apply(c, inner(dimension)) for c in found.channels]) == [
        apply(c, composite(dimension)) for c in found.channels
    ]


def operators(dimension):
    coefficients = st.fractions(min_value=-3, max_value=3, max_denominator=3).filter(bool)
    monomials = st.sampled_from([(0,) * dimension, *exponents(dimension, ORDER)])
    terms = st.lists(st.tuples(monomials, coefficients), min_size=1, max_size=4)
    return terms.map(lambda given: Polynomial.collect(given, dimension)).filter(lambda p: p.terms)


@pytest.mark.parametrize("collapse", [None, True, False])
@given(data=st.data())
def test_random_operators_collapsed_or_not(collapse, data):
    dimension = data.draw(st.sampled_from(DIMENSIONS))
    wanted = tuple(data.draw(st.lists(operators(dimension), min_size=1, max_size=3)))
    found = jet(wanted, collapse)
    assert read_off(found, dimension) == [apply(operator, composite(dimension)) for operator in wanted]
    assert found.channels[0] == identity(dimension)
    assert len(jet(wanted).channels) == min(len(jet(wanted, way).channels) for way in (None, True, False))


@given(data=st.data())
def test_table_jacobian_is_the_derivative_of_the_table(data):
    """Rows as polynomials in the input channels themselves, differentiated as polynomials."""
    dimension = data.draw(st.sampled_from(DIMENSIONS))
    table = jet((data.draw(operators(dimension)),)).table
    z = symbols(table.inputs)
    zero = Polynomial.constant(0, table.inputs)
    rows = through(table, z)
    want = {(c, g): row.derivative(g) for c, row in enumerate(rows) for g in range(table.inputs) if row.derivative(g).terms}
    found = {pair: sum((through(Table((terms,), 0), z)), start=zero) for pair, terms in table.jacobian.items()}
    assert found == want


CASES = {  # operators → the smallest number of channels
    "wave": (lambda dx, dt: (dt**2 - 4 * dx**2,), 2, 4),
    "heat": (lambda dx, dt: (dt - dx**2,), 2, 3),
    "transport": (lambda dx, dt: (dt + 30 * dx,), 2, 2),
    "kdv": (lambda dx, dt: (dt + dx**3, dx, dx**0), 2, 4),
    "third derivative": (lambda dx: (dx**3,), 1, 4),
    "mixed": (lambda dx, dy: (dx * dy,), 2, 4),
    "value": (lambda dx: (dx**0,), 1, 1),
    "helmholtz": (lambda dx, dy: (dx**2 + dy**2 + 9 * dx**0,), 2, 4),
    **{f"laplacian {d}": (lambda *dx: (sum(p**2 for p in dx),), d, d + 2) for d in range(1, 7)},
}


@pytest.mark.parametrize("name", CASES)
def test_no_more_channels_than_needed(name):
    make, dimension, want = CASES[name]
    assert len(jet(make(*partials(dimension))).channels) == want


def test_where_terms_share_derivatives_single_channels_are_kept():
    """u_xx + u_yy beside u_xx: five channels (1, x, y, xx, yy) or (1, x, y, xx, Δ), not six."""
    dx, dy = partials(2)
    assert len(jet((dx**2 + dy**2, dx**2)).channels) == 5


@pytest.mark.parametrize(("count", "bell"), list(enumerate([1, 1, 2, 5, 15, 52, 203])))
def test_set_partitions_are_counted_by_bell_and_all_different(count, bell):
    found = [tuple(sorted(tuple(sorted(block)) for block in p)) for p in set_partitions(range(count))]
    assert len(set(found)) == len(found) == bell
    assert all(sorted(itertools.chain(*p)) == list(range(count)) for p in found)


STIRLING = {1: [1], 2: [1, 1], 3: [1, 3, 1], 4: [1, 7, 6, 1]}


@pytest.mark.parametrize("alpha", MULTI_INDICES, ids=str)
def test_multiplicities_by_number_of_blocks_are_stirling_numbers(alpha):
    counts = [0] * sum(alpha)
    for blocks, multiplicity in faa_di_bruno(alpha):
        counts[len(blocks) - 1] += multiplicity
    assert counts == STIRLING[sum(alpha)]


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_seeds_are_the_jets_of_the_coordinates(dimension):
    operator = sum(p**3 + 5 * p for p in partials(dimension)) + 2 * identity(dimension)
    found = jet((operator, partials(dimension)[0]))
    want = [tuple(apply(c, x) for c in found.channels) for x in symbols(dimension)]
    assert [found.seed(i) for i in range(dimension)] == want


def test_last_table_holds_what_is_read_out_and_no_more():
    dx, dt = partials(2)
    found = jet((dt**2 - 4 * dx**2,))
    assert found.last.rows == tuple(found.table.rows[c] for c in found.live)
    assert found.last.inputs == found.table.inputs == len(found.channels)
    assert (found.live, found.table.order, found.dimension) == ((3,), 2, 2)


@pytest.mark.parametrize("operators", [(), (identity(2), 0 * identity(2))])
def test_no_operator_or_a_zero_one_is_refused(operators):
    with pytest.raises(InvalidInput, match="operators"):
        jet(operators)


@pytest.mark.parametrize("forgotten", range(2))
def test_planted_fault_a_missing_term_of_uxx_is_seen(forgotten):
    """Mistake 25 of the audit: a second derivative without σ'' z_x² (or without σ' z_xx)."""
    operator = partials(1)[0] ** 2
    found = jet((operator,))
    row = found.last.rows[0]
    broken = Table((row[:forgotten] + row[forgotten + 1 :],), found.last.inputs)
    z = [apply(channel, inner(1)) for channel in found.channels]
    assert through(found.last, z) == [apply(operator, composite(1))] != through(broken, z)
