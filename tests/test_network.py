"""Networks: the order of θ, how they start, how they are scaled, what they refuse."""

import math
from itertools import pairwise

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, kstest

import refntk as rn
from refntk.calculus.activation import ACTIVATIONS
from refntk.calculus.network import INITIALIZATIONS
from refntk.errors import InvalidInput, NotFiniteError, ShapeError, UnknownNameError

KEY, FALSE_ALARM = 20261117, 1e-9
sizes = st.lists(st.integers(1, 5), min_size=2, max_size=5)
scheme = pytest.mark.parametrize("scheme", INITIALIZATIONS)


def error(got, want, scale):
    """max |got - want| in units of rounding times scale."""
    return np.abs(got - want).max() / (2.0**-53 * scale)


@given(sizes, st.integers(0, 9))
def test_flatten_and_unflatten_are_inverse(sizes, seed):
    network = rn.MLP(sizes)
    theta = network.init(rng=seed, scheme="ntk")
    layers = network.unflatten(theta)
    assert [(W.shape, b.shape) for W, b in layers] == [((i, o), (o,)) for i, o in pairwise(sizes)]
    assert network.size == len(theta) == sum(W.size + b.size for W, b in layers)
    assert np.array_equal(network.flatten(layers), theta)


def test_theta_holds_layer_after_layer_weights_row_major_then_bias():
    (W0, b0), (W1, b1) = rn.MLP([2, 3, 1]).unflatten(np.arange(13.0))
    assert W0.tolist() == [[0, 1, 2], [3, 4, 5]]  # W0[i, o]: from input i to unit o
    assert (b0.tolist(), W1.tolist(), b1.tolist()) == ([6, 7, 8], [[9], [10], [11]], [12])


def by_hand(network, theta, x):
    """u(x) for one point, unit by unit."""
    a, start = [(v - m) / s for v, m, s in zip(x, network.shift, network.scale, strict=True)], 0
    for l, (fan_in, fan_out) in enumerate(pairwise(network.sizes)):
        s = network.output_scale if l == len(network.sizes) - 2 else 1.0
        s /= math.sqrt(fan_in) if network.parametrization == "ntk" and l > 0 else 1.0
        z = [s * sum(a[i] * theta[start + i * fan_out + o] for i in range(fan_in)) for o in range(fan_out)]
        z = [z[o] + theta[start + fan_in * fan_out + o] for o in range(fan_out)]
        start += (fan_in + 1) * fan_out
        a = z if l == len(network.sizes) - 2 else [float(network.activation.derivatives(np.array([v]), 0, xp=np)[0][0]) for v in z]
    return a


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("sizes", [[2, 2], [2, 1, 1], [2, 4, 3, 2]], ids=str)
def test_value_is_that_of_the_formula(activation, parametrization, sizes):
    network = rn.MLP(
        sizes, activation=activation, parametrization=parametrization, output_scale=0.3, shift=[0.5, -1.0], scale=[2.0, 0.25]
    )
    theta = network.init(rng=3, scheme="normal", std=0.5)
    points = np.random.default_rng(1).normal(size=(5, 2))
    want = np.array([by_hand(network, theta, x) for x in points])
    assert error(network(theta, points), want, np.abs(want).max()) < 100


def test_factors_of_the_affine_maps():
    assert rn.MLP([2, 9, 16, 1], output_scale=0.1).scales == (1.0, 1.0, 0.1)
    assert rn.MLP([2, 9, 16, 1], output_scale=0.1, parametrization="ntk").scales == (1.0, 1 / 3, 0.1 / 4)
    assert rn.MLP([4, 1], output_scale=0.1, parametrization="ntk").scales == (0.1,)


@given(
    st.lists(st.sampled_from([-3.0, -0.5, 0.0, 1.0]), min_size=2, max_size=2),
    st.lists(st.sampled_from([0.25, 1.0, 8.0]), min_size=2, max_size=2),
)
def test_normalisation_is_an_affine_layer_of_its_own(shift, scale):
    """Powers of two fold into the first layer without rounding, so that both networks differ by the order of a sum alone."""
    network, plain = rn.MLP([2, 3, 1], shift=shift, scale=scale), rn.MLP([2, 3, 1])
    theta = network.init(rng=5, scheme="ntk")
    (W, b), last = plain.unflatten(theta)
    folded = W / np.array(scale)[:, None]
    other = plain.flatten([(folded, b - np.array(shift) @ folded), last])
    points = np.random.default_rng(2).normal(size=(6, 2))
    assert error(network(theta, points), plain(other, points), 1 + np.abs(theta).sum()) < 30


@pytest.mark.parametrize("library", [array_api_strict, torch])
def test_network_takes_and_returns_arrays_of_any_library(library):
    network = rn.MLP([2, 3, 2], shift=0.5)
    theta, points = network.init(rng=0), np.random.default_rng(1).normal(size=(4, 2))
    got = network(library.asarray(theta), library.asarray(points))
    assert type(got) is type(library.asarray(points))
    assert error(np.asarray(got), network(theta, points), 1) < 10


def test_equal_networks_are_equal_and_hash_alike():
    one, other = rn.MLP([2, 5, 1], shift=1), rn.MLP((2, 5, 1), shift=[1.0, 1.0])
    assert one == other != rn.MLP([2, 5, 1])
    assert hash(one) == hash(other)


# How networks start


@scheme
def test_initialisation_is_a_function_of_its_key(scheme):
    network = rn.MLP([2, 7, 1])
    assert np.array_equal(network.init(rng=1, scheme=scheme), network.init(rng=np.random.default_rng(1), scheme=scheme))
    assert not np.array_equal(network.init(rng=1, scheme=scheme), network.init(rng=2, scheme=scheme))
    assert network.init(rng=1, scheme=scheme).dtype == np.float64


def variance_fits(values, variance, kurtosis):
    """Whether Σ v² is what `variance` says, at a false-alarm rate of 1e-9; uniform values scatter less than normal ones."""
    n = values.size
    statistic = float(values.ravel() @ values.ravel()) / variance
    stretched = n + (statistic - n) * math.sqrt(2 / (kurtosis - 1))
    return chi2.ppf(FALSE_ALARM / 2, n) < stretched < chi2.isf(FALSE_ALARM / 2, n)


STATISTICS = {  # scheme → variance of W, variance of b, fourth moment over variance squared
    "xavier": (lambda i, o: 2 / (i + o), 0.0, 3.0),
    "xavier_uniform": (lambda i, o: 2 / (i + o), 0.0, 1.8),
    "ntk": (lambda i, o: 1.0, 1.0, 3.0),
    "normal": (lambda i, o: 0.01, 0.01, 3.0),
}


@scheme
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_initial_variances(scheme, layer):
    network = rn.MLP([3, 300, 100, 300])
    W, b = network.unflatten(network.init(rng=KEY, scheme=scheme, std=0.1 if scheme == "normal" else 1.0))[layer]
    variance, bias, kurtosis = STATISTICS[scheme]
    assert variance_fits(W, variance(*W.shape), kurtosis)
    assert variance_fits(b, bias, 3.0) if bias else not b.any()


@scheme
def test_initial_distribution(scheme):
    W = rn.MLP([100, 300, 1]).unflatten(rn.MLP([100, 300, 1]).init(rng=KEY, scheme=scheme))[0][0]
    law = ("uniform", (-math.sqrt(6 / 400), 2 * math.sqrt(6 / 400))) if scheme == "xavier_uniform" else ("norm", (0, W.std()))
    assert kstest(W.ravel(), law[0], law[1]).pvalue > FALSE_ALARM


def test_planted_fault_variance_one_over_fan_in_is_rejected():
    W = np.random.default_rng(KEY).standard_normal((300, 100)) / math.sqrt(300)
    assert not variance_fits(W, 2 / 400, 3.0)


# What is refused


@pytest.mark.parametrize(
    "sizes", [[], [3], 3, "21", "abc", [2, 0, 1], [2, -1], [2, 2.5, 1], [1, math.nan], [1, math.inf], [[1], [1]], None]
)
def test_sizes_that_are_no_network(sizes):
    with pytest.raises(InvalidInput, match=r"sizes: .* at least two positive whole numbers"):
        rn.MLP(sizes)


BAD = {
    "activation": (["relu", None, [], 3], UnknownNameError),
    "parametrization": (["mup", None, []], UnknownNameError),
    "output_scale": ([0, -1.0, math.nan, math.inf, "a", None], InvalidInput),
    "shift": ([math.nan, None, [0.0, math.inf]], NotFiniteError),
    "scale": ([0.0, -1.0, [1.0, 0.0]], InvalidInput),
}


@pytest.mark.parametrize(("option", "value"), [(k, v) for k, (values, _) in BAD.items() for v in values])
def test_options_out_of_range_are_named(option, value):
    with pytest.raises(BAD[option][1], match=option):
        rn.MLP([2, 3, 1], **{option: value})


@pytest.mark.parametrize("option", ["shift", "scale"])
@pytest.mark.parametrize("value", [[1.0], [1.0, 1.0, 1.0], [[1.0, 1.0]]])
def test_one_number_per_input(option, value):
    with pytest.raises(ShapeError, match=option):
        rn.MLP([2, 3, 1], **{option: value})


@pytest.mark.parametrize("value", ["a", object()])
def test_normalisation_must_be_numbers(value):
    with pytest.raises(InvalidInput, match="shift"):
        rn.MLP([2, 1], shift=value)


@pytest.mark.parametrize("scheme", ["he", None, ["xavier"]])
def test_unknown_scheme(scheme):
    with pytest.raises(UnknownNameError, match="scheme"):
        rn.MLP([2, 1]).init(rng=0, scheme=scheme)


@pytest.mark.parametrize("std", [-1.0, math.nan, math.inf, "a"])
def test_standard_deviation_out_of_range(std):
    with pytest.raises(InvalidInput, match="std"):
        rn.MLP([2, 1]).init(rng=0, scheme="normal", std=std)


@pytest.mark.parametrize("scheme", ["xavier", "xavier_uniform", "ntk"])
def test_standard_deviation_where_the_scheme_has_its_own(scheme):
    with pytest.raises(InvalidInput, match="only 'normal'"):
        rn.MLP([2, 1]).init(rng=0, scheme=scheme, std=0.1)


@pytest.mark.parametrize("theta", [np.zeros(12), np.zeros(14), np.zeros((13, 1)), [0.0] * 13, np.float64(1.0)])
def test_parameters_of_the_wrong_size(theta):
    with pytest.raises(InvalidInput, match="theta"):
        rn.MLP([2, 3, 1]).unflatten(theta)


def test_layers_of_the_wrong_number_or_shape():
    network = rn.MLP([2, 3, 1])
    (W0, b0), (W1, b1) = network.unflatten(np.zeros(13))
    with pytest.raises(ShapeError, match="1 layers"):
        network.flatten([(W0, b0)])
    with pytest.raises(ShapeError, match=r"layers\[0\]\[0\]"):
        network.flatten([(W0.T, b0), (W1, b1)])
    with pytest.raises(ShapeError, match=r"layers\[1\]\[1\]"):
        network.flatten([(W0, b0), (W1, b0)])


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.zeros((4, 3)), np.zeros(2)])
def test_points_of_the_wrong_shape(points):
    with pytest.raises(ShapeError, match="points"):
        rn.MLP([2, 1])(np.zeros(3), points)
