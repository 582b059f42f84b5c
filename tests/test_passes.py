"""One activation: the tangent pass is the derivative of the forward pass, the adjoint pass its transpose; exact in rationals."""

from fractions import Fraction

import numpy as np
import pytest

from refntk.calculus import activation, passes
from refntk.calculus.jet import Table, identity, jet, partials

SIGMA = activation.polynomial([Fraction(1, 3), Fraction(1, 2), Fraction(-2), Fraction(1, 5), Fraction(3, 4)])
x1, (x2, y2), (x3, y3, z3) = partials(1)[0], partials(2), partials(3)
JETS = {
    "value": jet((identity(1),)),
    "fourth": jet((x1**4,)),
    "mixed": jet((x2**2 * y2, x2 * y2**2)),
    "wave": jet((y2**2 - 4 * x2**2,)),
    "laplacian": jet((x3**2 + y3**2 + z3**2, x3 * y3 * z3)),
}
POINTS, WIDTH = 2, 2
each_jet = pytest.mark.parametrize("name", JETS)
each_table = pytest.mark.parametrize("which", ["table", "last"])


def rationals(shape, seed):
    numbers = np.random.default_rng(seed).integers(-9, 10, size=shape)
    return np.array([Fraction(int(k), 4) for k in numbers.ravel()], dtype=object).reshape(shape)


def forward(table, z):
    return passes.activate(table, SIGMA, z, xp=np)[0]


def derivative(function, degree=12):
    """f'(0) of a polynomial of at most that degree, by Lagrange's formula through whole numbers: no rounding, no step."""
    nodes = list(range(-(degree // 2), degree // 2 + 1))
    total = 0
    for k in nodes:
        others = [j for j in nodes if j != k]
        # derivative at 0 of Π (t - j)/(k - j)
        weight = sum(np.prod([Fraction(0 - j) for j in others if j != i]) for i in others) / np.prod(
            [Fraction(k - j) for j in others]
        )
        total = total + weight * function(Fraction(k))
    return total


@each_jet
@each_table
def test_forward_keeps_shapes_and_value(name, which):
    table = getattr(JETS[name], which)
    z = rationals((table.inputs, POINTS, WIDTH), 1)
    assert forward(table, z).shape == (len(table.rows), POINTS, WIDTH)


def test_forward_by_hand():
    """σ(z) = z³: value, z_x, z_xx of the cube at z = 2, z_x = 3, z_xx = 5."""
    z = np.array([2, 3, 5], dtype=object).reshape(3, 1, 1)
    got, _ = passes.activate(jet((x1**2,)).table, activation.polynomial([0, 0, 0, 1]), z, xp=np)
    assert got.ravel().tolist() == [8, 3 * 4 * 3, 3 * 4 * 5 + 6 * 2 * 9]


@each_jet
@each_table
def test_tangent_is_the_derivative_of_the_forward_pass(name, which):
    table = getattr(JETS[name], which)
    z, dz = rationals((table.inputs, POINTS, WIDTH), 1), rationals((table.inputs, POINTS, WIDTH), 2)
    _, saved = passes.activate(table, SIGMA, z, xp=np)
    got = passes.activate_tangent(table, saved, dz, xp=np)
    assert np.array_equal(got, derivative(lambda t: forward(table, z + t * dz)))


@each_jet
@each_table
def test_tangent_and_adjoint_take_a_batch(name, which):
    table = getattr(JETS[name], which)
    _, saved = passes.activate(table, SIGMA, rationals((table.inputs, POINTS, WIDTH), 1), xp=np)
    dz = rationals((table.inputs, 3, POINTS, WIDTH), 2)
    da = rationals((len(table.rows), 3, POINTS, WIDTH), 3)
    one_by_one = [passes.activate_tangent(table, saved, dz[:, s], xp=np) for s in range(3)]
    assert np.array_equal(passes.activate_tangent(table, saved, dz, xp=np), np.stack(one_by_one, axis=1))
    one_by_one = [passes.activate_adjoint(table, saved, da[:, s], xp=np) for s in range(3)]
    assert np.array_equal(passes.activate_adjoint(table, saved, da, xp=np), np.stack(one_by_one, axis=1))


def matrices(table):
    """The tangent and the adjoint of a table at one point, entry by entry."""
    _, saved = passes.activate(table, SIGMA, rationals((table.inputs, 1, 1), 1), xp=np)
    unit = np.vectorize(Fraction)(np.eye(table.inputs, dtype=int))[:, :, None, None]
    tangent = passes.activate_tangent(table, saved, unit, xp=np)
    unit = np.vectorize(Fraction)(np.eye(len(table.rows), dtype=int))[:, :, None, None]
    return tangent[..., 0, 0], passes.activate_adjoint(table, saved, unit, xp=np)[..., 0, 0]


@each_jet
@each_table
def test_adjoint_is_the_transpose_of_the_tangent(name, which):
    tangent, adjoint = matrices(getattr(JETS[name], which))
    assert np.array_equal(adjoint, tangent.T)


def test_planted_fault_a_dropped_term_breaks_the_tangent():
    table = JETS["wave"].table
    broken = Table((*table.rows[:-1], table.rows[-1][:-1]), table.inputs)
    z, dz = rationals((table.inputs, POINTS, WIDTH), 1), rationals((table.inputs, POINTS, WIDTH), 2)
    _, saved = passes.activate(broken, SIGMA, z, xp=np)
    got = passes.activate_tangent(broken, saved, dz, xp=np)
    assert not np.array_equal(got, derivative(lambda t: forward(table, z + t * dz)))
