"""The passes as source, read as Python: exactly what the reference lines compute, in rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest

from refntk.calculus import expression, passes
from refntk.calculus.activation import polynomial
from refntk.calculus.jet import Table, identity, jet, partials

SIGMA = polynomial([0.25, -2, 0.5, 3, 0.125])  # dyadic: exact in the numbers of the source
x1, (x2, y2), (x3, y3, z3) = partials(1)[0], partials(2), partials(3)
JETS = {
    "value": jet((identity(1),)),
    "fourth": jet((x1**4,)),
    "mixed": jet((x2**2 * y2, x2 * y2**2)),
    "wave": jet((y2**2 - 4 * x2**2,)),
    "laplacian": jet((x3**2 + y3**2 + z3**2, x3 * y3 * z3)),
}
TABLES = {f"{name} {which}": getattr(found, which) for name, found in JETS.items() for which in ("table", "last")}
each_table = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


def rationals(count, seed):
    return [Fraction(int(k), 4) for k in np.random.default_rng(seed).integers(-9, 10, size=count)]


def computed(what, z, other=()):
    """The rows of a pass, evaluated; a name that the pass does not say it reads is not there."""
    names = {"T": Fraction, "g0": z[0], **{f"z{f}": z[f] for f in what.factors}, **{f"o{c}": other[c] for c in what.sources}}
    for line in expression.derivatives(SIGMA, what.orders):
        exec(line, names)
    return [eval(row, names) for row in what.rows]


def array(values):
    return np.array(values, dtype=object)[:, None, None]


@each_table
def test_forward(table):
    z = rationals(table.inputs, 1)
    assert computed(expression.forward(table), z) == passes.activate(table, SIGMA, array(z), xp=np)[0].ravel().tolist()


@each_table
@pytest.mark.parametrize("which", ["tangent", "adjoint"])
def test_linear(table, which):
    z = rationals(table.inputs, 1)
    other = rationals(table.inputs if which == "tangent" else len(table.rows), 2)
    _, saved = passes.activate(table, SIGMA, array(z), xp=np)
    want = getattr(passes, f"activate_{which}")(table, saved, array(other), xp=np)
    assert computed(getattr(expression, which)(table), z, other) == want.ravel().tolist()


def test_planted_fault_a_dropped_term():
    table = JETS["wave"].table
    broken = Table((*table.rows[:-1], table.rows[-1][:-1]), table.inputs)
    z = rationals(table.inputs, 1)
    assert computed(expression.forward(broken), z) != computed(expression.forward(table), z)


@pytest.mark.parametrize("value", [1 / 3, -2, Fraction(1, 8), 1e-300, 0])
def test_numbers_are_exact(value):
    assert eval(expression.number(value), {"T": Fraction}) == Fraction(value)
