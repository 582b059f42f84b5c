"""Jets through whole networks: exact against polynomial arithmetic, to rounding against mpmath; tangents and adjoints exact.

In the exact tests every parameter and point is a small whole number and σ a polynomial with whole coefficients, so that float64
makes no error, and the oracle multiplies the network out as a polynomial in the coordinates (and in ε for the tangent).
"""

from fractions import Fraction
from itertools import pairwise

import mpmath_oracle
import numpy as np
import pytest

import refntk as rn
from refntk.calculus import activation, propagation
from refntk.calculus.activation import ACTIVATIONS
from refntk.calculus.jet import identity, jet, partials
from refntk.calculus.polynomial import Polynomial, symbols

SQUARE = activation.polynomial([1, -1, 2])
CUBE = activation.polynomial([0, 1, 0, -1])
POINTS = np.array([[1.0, -2.0], [0.0, 3.0], [2.0, 1.0]])
x, y = partials(2)
OPERATORS = {
    "value": (identity(2),),
    "gradient": (x, y),
    "wave": (y**2 - 4 * x**2,),
    "everything to order 2": (identity(2), x, y, x**2, x * y, y**2),
    "third, mixed": (x**2 * y, y**3),
    "fourth, collapsed": (x**4 + 2 * x**2 * y**2 + y**4, identity(2)),
}
SIZES = ([2, 1], [2, 3], [2, 1, 1], [2, 3, 2], [2, 2, 2, 1])
NETWORKS = [(sizes, sigma) for sizes in SIZES for sigma in (SQUARE, CUBE)]
each_network = pytest.mark.parametrize(("sizes", "sigma"), NETWORKS, ids=[f"{s} degree {a.value.degree}" for s, a in NETWORKS])
each_jet = pytest.mark.parametrize("operators", OPERATORS.values(), ids=OPERATORS)
collapse = pytest.mark.parametrize("collapse", [None, True, False])


def whole_numbers(size, seed):
    return np.random.default_rng(seed).integers(-2, 3, size=size).astype(float)


def build(sizes, sigma):
    return rn.MLP(sizes, activation=sigma, output_scale=0.5, shift=[1.0, 0.0], scale=[0.5, 2.0])


def run(network, operators, collapse=None, points=POINTS):
    theta = whole_numbers(network.size, 7)
    found = jet(operators, collapse)
    return theta, found, propagation.forward(network, network.layers(theta), found, points, xp=np)


def read(found, output):
    """The operators applied to u, (operators, ..., n, outputs)."""
    return np.stack([sum(c * output[i] for i, c in combination) for combination in found.readout])


def multiplied_out(network, theta, variables=2):
    """The outputs as polynomials in the coordinates, with parameters that may themselves be polynomials."""
    xs, start = symbols(variables), 0
    a = [(xs[i] - Fraction(network.shift[i])) / Fraction(network.scale[i]) for i in range(2)]
    for layer, (fan_in, fan_out) in enumerate(pairwise(network.sizes)):
        last = layer == len(network.sizes) - 2
        s = Fraction(network.output_scale) if last else Fraction(1)
        W, b = theta[start : start + fan_in * fan_out], theta[start + fan_in * fan_out : start + (fan_in + 1) * fan_out]
        a = [sum(a[i] * W[i * fan_out + o] * s for i in range(fan_in)) + b[o] for o in range(fan_out)]
        a = a if last else [sum(z**k * Fraction(c) for (k,), c in network.activation.value.terms) for z in a]
        start += (fan_in + 1) * fan_out
    return a


def value(polynomial, point):
    return sum(
        (c * np.prod([Fraction(v) ** e for v, e in zip(point, powers, strict=True)]) for powers, c in polynomial.terms), Fraction(0)
    )


def applied(operator, polynomial, point):
    """operator[polynomial](point); variables beyond the coordinates are kept at 0."""
    total = Fraction(0)
    for alpha, coefficient in operator.terms:
        derivative = polynomial
        for i, power in enumerate(alpha):
            for _ in range(power):
                derivative = derivative.derivative(i)
        total += Fraction(coefficient) * value(derivative, (*point, *(0,) * (polynomial.variables - 2)))
    return total


def oracle(operators, outputs):
    """(operators, points, outputs), rational numbers."""
    return [[[applied(o, u, tuple(map(int, point))) for u in outputs] for point in POINTS] for o in operators]


def fractions(array):
    return np.vectorize(Fraction, otypes=[object])(array).tolist()


@each_network
@each_jet
@collapse
def test_jets_are_exact(sizes, sigma, operators, collapse):
    network = build(sizes, sigma)
    theta, found, tape = run(network, operators, collapse)
    want = oracle(operators, multiplied_out(network, [Fraction(t) for t in theta]))
    assert tape.output.shape == (len(found.live), len(POINTS), sizes[-1])
    assert fractions(read(found, tape.output)) == want


@each_network
@each_jet
def test_tangents_are_exact(sizes, sigma, operators):
    """d/dε of the jet at θ + ε v: ε is one more variable of the polynomial."""
    network = build(sizes, sigma)
    theta, found, tape = run(network, operators)
    v = whole_numbers((network.size, 2), 8)
    got = read(found, propagation.tangent(tape, directions(network, v), xp=np))  # (operators, S, n, outputs)
    widened, epsilon = [Polynomial.collect([((*e, 0), c) for e, c in o.terms], 3) for o in operators], symbols(3)[2]
    moved = [
        multiplied_out(network, [Fraction(t) + Fraction(d) * epsilon for t, d in zip(theta, column, strict=True)], 3)
        for column in v.T
    ]
    want = [oracle(widened, [u.derivative(2) for u in us]) for us in moved]
    assert [fractions(got[:, s]) for s in range(2)] == want


def directions(network, columns):
    """Columns (p, S) as layers of tangents."""
    layers = [network.unflatten(column) for column in columns.T]
    return [(np.stack([W for W, _ in layer]), np.stack([b for _, b in layer])) for layer in zip(*layers, strict=True)]


def jacobians(network, operators):
    """∂(live jet)/∂θ by p tangents, and by one adjoint per component with the parameter gradients of the module's docstring."""
    _, found, tape = run(network, operators)
    forward = propagation.tangent(tape, directions(network, np.eye(network.size)), xp=np)  # (C, p, n, o)
    forward = np.moveaxis(forward, 1, -1).reshape(-1, network.size)
    seeds = np.eye(forward.shape[0]).reshape(-1, *tape.output.shape).swapaxes(0, 1)  # (C, S, n, o)
    adjoints = propagation.adjoint(tape, seeds, xp=np)
    columns = []
    for layer, a, d, is_last in zip(tape.layers, tape.inputs, adjoints, [False] * (len(tape.layers) - 1) + [True], strict=True):
        columns.append(layer.scale * np.einsum("cni,csno->sio", a, d).reshape(len(forward), -1))
        has_bias = not is_last or found.live[0] == 0
        columns.append(d[0].sum(axis=1) if has_bias else np.zeros((len(forward), d.shape[-1])))
    return forward, np.concatenate(columns, axis=1)


@each_network
@each_jet
def test_adjoint_is_the_transpose_of_the_tangent(sizes, sigma, operators):
    forward, backward = jacobians(build(sizes, sigma), operators)
    assert np.array_equal(forward, backward)


# Transcendental activations: mpmath differentiates the network itself


ALPHAS = [(i, j) for i in range(5) for j in range(5) if i + j <= 4]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_jets_to_order_4_agree_with_mpmath(name):
    network = rn.MLP([2, 3, 2, 2], activation=name, shift=[0.5, 0.0], scale=[0.3, 2.0])
    theta = network.init(rng=11, scheme="normal", std=0.7)
    point = np.array([[0.4, -1.3]])
    operators = tuple(x**i * y**j for i, j in ALPHAS)
    found = jet(operators, False)
    got = read(found, propagation.forward(network, network.layers(theta), found, point, xp=np).output)[:, 0, :]
    want = np.array(
        [[mpmath_oracle.applied(operator, u, point[0]) for u in mpmath_oracle.outputs(network, theta)] for operator in operators]
    )
    scale = np.array([0.3**-i * 2.0**-j for i, j in ALPHAS])[:, None]  # u = O(1) in the normalised coordinates
    assert (np.abs(got - want) / scale).max() < 1e-13


def test_planted_fault_normalisation_left_out_of_the_chain_rule():
    """Mistake 18 of the audit: derivatives with respect to the normalised coordinate."""
    network = build([2, 2, 1], SQUARE)
    theta, found, tape = run(network, (x,))
    plain = rn.MLP([2, 2, 1], activation=SQUARE, output_scale=0.5)
    normalised = (POINTS - network.shift) / network.scale
    wrong = propagation.forward(plain, plain.layers(theta), found, normalised, xp=np).output
    want = oracle((x,), multiplied_out(network, [Fraction(t) for t in theta]))
    assert fractions(read(found, tape.output)) == want != fractions(read(found, wrong))


def test_planted_fault_a_bias_on_every_channel():
    network = build([2, 2, 1], SQUARE)
    theta, found, tape = run(network, (x**2,))
    wrong = tape.output + theta[-1]  # the output's bias added to u_xx
    want = oracle((x**2,), multiplied_out(network, [Fraction(t) for t in theta]))
    assert theta[-1] != 0
    assert fractions(read(found, wrong)) != want
