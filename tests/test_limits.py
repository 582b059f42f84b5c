"""Infinitely wide networks: closed forms, one neuron against the recursion, and finite networks that tend to both."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from cases import NETWORK_PROBLEMS
from scipy.special import erf

import refntk as rn
from refntk.calculus.activation import ACTIVATIONS, Activation
from refntk.calculus.polynomial import Polynomial, symbols
from refntk.errors import InvalidInput, NotFiniteError, ShapeError, UnknownNameError
from refntk.kernel.limits import METHODS, Shares, limit
from refntk.kernel.normal import RULES
from refntk.kernel.residual import blocks, row_scales
from refntk.problems.homogeneity import linear

LINEAR = [name for name in NETWORK_PROBLEMS if linear(rn.problems.get(name))]
BIAS = 0.7


def few(name, each=2, seed=1):
    problem = rn.problems.get(name)
    return problem, problem.sample(rng=seed, counts={term.name: each for term in problem.terms})


def network(problem, *hidden, **options):
    return rn.MLP([len(problem.coordinates), *hidden, problem.outputs], **problem.normalization, **options)


def shares(problem, net, points, *, bias=0.0, **options):
    return limit(problem, net, points, **options).shares(bias=bias)


def distance(got, want):
    """The largest error of the shares, each in units of its largest entry."""
    pairs = ((got.bias, want.bias), (got.output, want.output), (got.inner, want.inner))
    return max(float(np.abs(np.asarray(g) - w).max() / (np.abs(w).max() or 1.0)) for g, w in pairs)


# Closed forms, differentiated by JAX: E[sin sin'] = e^(-(q + q')/2) sinh ρ, and the arc sine of Williams (1997) for erf.

_e, _g, _x = symbols(3)
ERF = Activation(
    "erf",
    lambda x, *, xp: (erf(x), 2 / math.sqrt(math.pi) * np.exp(-x * x), x),
    (_g, -2 * _x * _g, Polynomial.constant(1, 3)),
    _e,
)


def sine(q, rho, p):
    return jnp.exp(-(q + p) / 2) * jnp.sinh(rho), jnp.exp(-(q + p) / 2) * jnp.cosh(rho)


def arc_sine(q, rho, p):
    square = (1 + 2 * q) * (1 + 2 * p)
    return 2 / jnp.pi * jnp.arcsin(2 * rho / jnp.sqrt(square)), 4 / jnp.pi / jnp.sqrt(square - 4 * rho**2)


CLOSED = {"sin": ("sin", sine), "erf": (ERF, arc_sine)}


def closed(means, mlp, std):
    """x, x' ↦ (output share, inner share) of u itself, layer by layer as in Jacot et al. (2018)."""

    def kernel(x, y):
        x, y = ((z - jnp.array(mlp.shift)) / jnp.array(mlp.scale) for z in (x, y))
        covariance = {pair: std**2 * (a @ b + 1) for pair, (a, b) in {"xx": (x, x), "xy": (x, y), "yy": (y, y)}.items()}
        tangent = x @ y + 1
        for _ in mlp.sizes[1:-1]:
            value, slope = means(covariance["xx"], covariance["xy"], covariance["yy"])
            inner = std**2 * slope * tangent
            tangent = value + 1 + inner
            diagonal = {pair: means(*[covariance[pair]] * 3)[0] for pair in ("xx", "yy")}
            covariance = {pair: std**2 * (v + 1) for pair, v in (diagonal | {"xy": value}).items()}
        return jnp.stack([value, inner])

    return kernel


def differentiated(kernel, problem, points):
    """The shares of a linear problem with one operator a term, by JAX."""

    def along(exponents):
        return [i for i, power in enumerate(exponents) for _ in range(power)]

    def entry(left, right):
        def inside(x, y):
            return sum(c * oracle.d(lambda b: kernel(x, b), y, *along(e)) for e, c in right.operators[0].terms)

        def value(x, y):
            return sum(c * oracle.d(lambda a: inside(a, y), x, *along(e)) for e, c in left.operators[0].terms)

        table = jax.jit(jax.vmap(jax.vmap(value, (None, 0)), (0, None)))
        return np.asarray(table(jnp.asarray(points[left.name]), jnp.asarray(points[right.name])))

    rows = [[entry(left, right) for right in problem.terms] for left in problem.terms]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


@pytest.mark.parametrize("activation", CLOSED)
@pytest.mark.parametrize(("name", "method", "hidden"), [("heat", "neuron", 1), ("poisson1d", "recursion", 2)])
def test_closed_forms(name, method, hidden, activation):
    problem, points = few(name, 3)
    σ, means = CLOSED[activation]
    net = network(problem, *[1] * hidden, activation=σ, parametrization="ntk")
    found = shares(problem, net, points, std=0.8, method=method)
    want = differentiated(closed(means, net, 0.8), problem, points)
    ones = np.repeat([float(term.name != "interior") for term in problem.terms], 3)
    good = Shares(np.outer(ones, ones), want[..., 0], want[..., 1])
    assert distance(found, good) < 1e-8
    assert distance(shares(problem, net, points, std=0.8 + 1e-6, method=method), good) > 1e-7


def test_third_derivatives_in_closed_form():
    """∂t + ∂x³, the linear part of the KdV equation, at both points."""
    dx, dt = rn.calculus.jet.partials(2)
    problem, points = few("wave")
    term = rn.problems.Term.linear("interior", problem.domain, 2, dt + dx**3)

    class Airy(type(problem)):
        terms = (term,)

    points = {"interior": points["interior"]}
    net = network(problem, 1, activation="sin")
    want = differentiated(closed(sine, net, 1.0), Airy(), points)
    found = shares(Airy(), net, points, method="recursion")
    assert np.abs(found.output - want[..., 0]).max() < 1e-9 * np.abs(want[..., 0]).max()
    assert np.abs(found.inner - want[..., 1]).max() < 1e-9 * np.abs(want[..., 1]).max()


# One neuron against the recursion, and both against themselves with twice as many nodes.


@pytest.mark.parametrize("name", NETWORK_PROBLEMS)
def test_one_neuron_and_the_recursion_agree(name):
    """On every problem, at the fields that an output bias makes; an entire activation converges fast in four variables too."""
    problem, points = few(name)
    net = network(problem, 1, activation="sin")
    one, two, off = (
        shares(problem, net, points, bias=BIAS, method=method, rule="hermite", nodes=nodes, std=std)
        for method, nodes, std in (("neuron", 24, 1.0), ("recursion", 40, 1.0), ("recursion", 40, 1 + 1e-6))
    )
    assert distance(one, two) < 1e-8
    assert distance(one, off) > 1e-7


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("method", METHODS)
def test_twice_as_many_nodes_change_little(activation, method):
    """The default numbers of nodes; the tables of `normal.py` are for tanh, the hardest."""
    problem, points = few("poisson1d", 3)
    net = network(problem, 1, activation=activation)
    default = METHODS[method][1]
    found = [shares(problem, net, points, method=method, nodes=n) for n in (default // 4, default, 2 * default)]
    assert distance(found[1], found[2]) < 1e-7
    assert activation != "tanh" or distance(found[0], found[2]) > 1e-6


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("method", METHODS)
def test_both_rules_agree(rule, method):
    problem, points = few("poisson1d", 3)
    net = network(problem, 1, activation="softplus")
    want = shares(problem, net, points)
    assert distance(shares(problem, net, points, method=method, rule=rule, nodes=160), want) < 1e-7


@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-8, 1e-7, 1e-4])
def test_the_recursion_bears_points_that_nearly_coincide(gap):
    problem = rn.problems.get("poisson1d")
    points = {"interior": [[0.3], [0.3 + gap]], "boundary": [[0.0], [gap]]}
    net = network(problem, 1, activation="sin")
    one, two = (shares(problem, net, points, method=m, rule="hermite", nodes=60) for m in METHODS)
    assert distance(two, one) < 1e-13


# Finite networks. With one hidden layer the formula is the mean of K at every width and every s.


def draws(problem, points, net, count, *, std=1.0, bias=None, of=rn.ntk):
    """K of `count` networks, (count, n, n); keys 0, 1, 2, …"""
    found = []
    for key in range(count):
        theta = net.init(rng=key, scheme="normal", std=std)
        if bias is not None:
            theta[-net.outputs :] = bias
        found.append(of(rn.linearize(problem, net, theta, points)))
    return np.array(found)


def deviation(samples, want):
    """The largest |mean - want| in standard errors, block by block, with rounding as the least error."""
    error = samples.std(axis=0, ddof=1) / math.sqrt(len(samples)) + 1e-12 * np.abs(want).max()
    return float((np.abs(samples.mean(axis=0) - want) / error).max())


@pytest.mark.parametrize("s", [0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("name", LINEAR)
def test_linear_problems_have_the_mean_at_every_width(name, s):
    """400 networks of width 64, all blocks, for s = 1/4 beyond the limit. At 5 standard errors at most 36 normal means give a false
    alarm with probability 2e-5."""
    problem, points = few(name)
    net = network(problem, 64, output_scale=64**-s)
    samples = draws(problem, points, net, 400, std=0.9)
    assert deviation(samples, limit(problem, net, points, std=0.9).mean()) < 5
    assert deviation(samples, limit(problem, net, points, std=1.0).mean()) > 5


NONLINEAR = sorted(set(NETWORK_PROBLEMS) - set(LINEAR))


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear_problems_have_the_mean_of_wide_networks(name):
    """s = 1, 40 networks of width 4096, all blocks; 36 means of 40 values: 4e-4 at 5 standard errors.

    That blocks which vanish in the limit pass as well says that they vanish as they should.
    """
    problem, points = few(name)
    net = network(problem, 4096, output_scale=1 / 4096)
    samples = draws(problem, points, net, 40, bias=BIAS)
    wide = limit(problem, net, points)
    assert deviation(samples, wide.mean(bias=BIAS)) < 5
    assert deviation(samples, wide.ntk(s=1.0, bias=BIAS)) > 8
    assert deviation(samples, wide.mean(bias=BIAS, gain=1.3 / 4096)) > 8


FAULTS = {
    "no output bias": lambda s, gain: gain * (s.output + s.inner),
    "no output weights": lambda s, gain: s.bias + gain * s.inner,
    "no inner weights": lambda s, gain: s.bias + gain * s.output,
    "another exponent": lambda s, gain: s.bias + gain**1.2 * (s.output + s.inner),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_mean_is_seen(fault):
    problem, points = few("poisson2d")
    net = network(problem, 64, output_scale=64**-0.75)
    samples = draws(problem, points, net, 400)
    wide = limit(problem, net, points)
    assert deviation(samples, wide.mean()) < 5
    assert deviation(samples, FAULTS[fault](wide.shares(), wide.gain)) > 8


def test_each_share_is_that_of_its_parameters():
    """J's columns are inner weights and biases, output weights, output bias."""
    problem, points = few("poisson2d")
    net = network(problem, 64, output_scale=1 / 8)
    found, inner = shares(problem, net, points), 3 * 64
    parts = {"inner": slice(0, inner), "output": slice(inner, inner + 64), "bias": slice(inner + 64, None)}

    def gram(columns):
        return lambda lin: lin.dense()[:, columns] @ lin.dense()[:, columns].T

    far = {k: deviation(draws(problem, points, net, 200, of=gram(part)), getattr(found, k)) for k, part in parts.items()}
    assert max(far.values()) < 5, far


@pytest.mark.parametrize("hidden", [(256, 256), (192, 192, 192)], ids=str)
def test_deep_networks_tend_to_the_recursion(hidden):
    """Here the mean of K is off by an order of 1/width, below its standard error over 64 networks."""
    problem, points = few("wave")
    net = network(problem, *hidden, parametrization="ntk")
    samples = draws(problem, points, net, 64)
    assert deviation(samples, limit(problem, net, points).ntk(s=0.5)) < 5
    shallow = network(problem, *hidden[1:], parametrization="ntk")
    assert deviation(samples, limit(problem, shallow, points).ntk(s=0.5)) > 8


def root_mean_square(x):
    return math.sqrt(np.mean(x * x))


WIDTHS = [2**k for k in range(6, 13)]


def slopes(average, samples, want, rows):
    """d log ‖K - want‖_F / d log width for each pair of terms; the norm is an average over the samples, (count, n, n) a width."""
    found = {}
    for (k, i), (m, j) in itertools.combinations_with_replacement(rows.items(), 2):
        errors = [average(np.linalg.norm(K[:, i, j] - want[i, j], axis=(1, 2))) for K in samples]
        found[k, m] = np.polyfit(np.log(WIDTHS), np.log(errors), 1)[0]
    return found


def test_finite_kernels_tend_to_the_limit_as_the_root_of_the_width():
    """s = 1/2, 150 networks of each width 2⁶ … 2¹²: the root mean square falls with the exponent -1/2 in every block.

    Its standard error is 0.035 in the block with the longest tails, and 0.12 is more than three of them.
    """
    problem, points = few("poisson2d")
    want, rows = limit(problem, network(problem, 1), points).ntk(s=0.5), blocks(problem, points)
    samples = [draws(problem, points, network(problem, width, output_scale=width**-0.5), 150) for width in WIDTHS]
    right, wrong = (slopes(root_mean_square, samples, to, rows) for to in (want, 1.4 * want))
    assert max(abs(value + 0.5) for value in right.values()) < 0.12, right
    assert min(abs(value + 0.5) for value in wrong.values()) > 0.12, wrong


EXPONENTS = {  # of K - K∞ for s = 1: of interior with itself, of interior with conditions on u, of those with themselves
    "sine_gordon": (-0.5, -0.5, -1.0),
    "kdv": (-1.0, -0.5, -1.0),  # ∂r/∂u = 6 u_x vanishes in the limit
    "eikonal": (-2.0, -1.5, -1.0),  # gain^(1 + p), gain^(1 + p/2), gain: p = 1
}


@pytest.mark.parametrize("name", EXPONENTS)
def test_nonlinear_kernels_tend_to_the_share_of_the_output_bias(name):
    """80 networks of each width, their median: products of several sums over neurons have long tails.

    The standard error of an exponent is below 0.04, as among other keys.
    """
    problem, points = few(name)
    want, rows = limit(problem, network(problem, 1), points).ntk(s=1.0, bias=BIAS), blocks(problem, points)
    samples = [draws(problem, points, network(problem, width, output_scale=1 / width), 80, bias=BIAS) for width in WIDTHS]
    found = slopes(np.median, samples, want, rows)
    condition = "boundary" if name == "eikonal" else "initial"
    got = [found[pair] for pair in (("interior", "interior"), ("interior", condition), (condition, condition))]
    assert max(abs(g - w) for g, w in zip(got, EXPONENTS[name], strict=True)) < 0.12, got


# Doors.


@pytest.mark.parametrize("scaling", ["mean", "quadrature"])
def test_rows_are_scaled_as_those_of_linearize(scaling):
    problem, points = few("poisson2d", 3)
    net = network(problem, 8)
    factor = np.concatenate([np.full(3, row_scales(problem, points, scaling)[t.name]) for t in problem.terms])
    plain, scaled = shares(problem, net, points), shares(problem, net, points, scaling=scaling)
    assert distance(scaled, Shares(*(factor[:, None] * k * factor for k in (plain.bias, plain.output, plain.inner)))) < 1e-14


@pytest.mark.parametrize("method", METHODS)
def test_any_library_of_arrays(method):
    strict = pytest.importorskip("array_api_strict")
    problem, points = few("sine_gordon")
    net = network(problem, 1)
    found = shares(problem, net, {k: strict.asarray(x) for k, x in points.items()}, method=method, nodes=20, bias=BIAS)
    assert isinstance(found.inner, type(strict.asarray(points["interior"])))
    assert distance(found, shares(problem, net, points, method=method, nodes=20, bias=BIAS)) < 1e-13


@pytest.mark.parametrize("method", METHODS)
def test_kernels_are_symmetric_and_without_negative_eigenvalues(method):
    problem, points = few("transport", 4)
    found = shares(problem, network(problem, 1), points, method=method)
    kernels = [found.bias, found.output, found.inner]
    assert all(np.array_equal(k, k.T) for k in kernels)
    assert min(np.linalg.eigvalsh(k).min() / np.trace(k) for k in kernels) > -1e-9


def refused(error, message, *, sizes=(2, 4, 1), points=None, parametrization="standard", **options):
    problem, drawn = few("wave")
    with pytest.raises(error, match=message):
        limit(problem, rn.MLP(sizes, parametrization=parametrization), drawn if points is None else points, **options)


def test_what_cannot_be_used_is_refused():
    refused(ShapeError, "3 inputs", sizes=(3, 4, 1))
    refused(InvalidInput, "hidden layer", sizes=(2, 1))
    refused(InvalidInput, "'ntk'", sizes=(2, 4, 4, 1))
    refused(InvalidInput, "choose 'recursion'", sizes=(2, 4, 4, 1), parametrization="ntk", method="neuron")
    refused(UnknownNameError, "did you mean 'neuron'", method="neurons")
    refused(UnknownNameError, "did you mean 'hermite'", rule="hermit")
    refused(InvalidInput, "nodes", nodes=0)
    refused(InvalidInput, "std", std=0.0)
    refused(NotFiniteError, "interior", points={t.name: [[math.nan, 0.5]] for t in rn.problems.get("wave").terms})
    with pytest.raises(InvalidInput, match="needs a network"):
        limit(rn.problems.get("quadratic"), rn.MLP([2, 4, 1]), {})


@pytest.mark.parametrize(("name", "s"), [("wave", 0.49), ("wave", math.nan), ("kdv", 0.5)])
def test_no_limit_is_said(name, s):
    problem, points = few(name)
    with pytest.raises(InvalidInput, match="has no limit"):
        limit(problem, network(problem, 1), points).ntk(s=s)
