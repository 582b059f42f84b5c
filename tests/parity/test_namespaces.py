"""The public chain on every array library: the same numbers to rounding, in arrays of the library that came in."""

import array_api_strict
import numpy as np
import pytest
import torch
from cases import case
from elementwise import cupy

import refntk as rn
from refntk import arrays, problems
from refntk.calculus.activation import ACTIVATIONS
from refntk.errors import InvalidInput
from refntk.training.weightings import WEIGHTINGS

LIBRARIES = {"numpy": lambda: np, "strict": lambda: array_api_strict, "torch": lambda: torch, "cupy": cupy}
UNITS = {"float64": 2.0**-53, "float32": 2.0**-24}
each_problem = pytest.mark.parametrize("name", problems.names())
precision = pytest.mark.parametrize("dtype", UNITS)


@pytest.fixture(params=LIBRARIES)
def library(request):
    return LIBRARIES[request.param]()


def chain(name, library, dtype, **changed):
    """Everything the public face makes of a problem, `{what: array or float}`, from arrays of one library and dtype."""
    c = case(name, **changed)

    def to(array):
        return library.asarray(array, dtype=getattr(library, dtype))

    theta, points = to(c.theta), {term: to(x) for term, x in c.points.items()}
    lin = rn.linearize(c.problem, c.network, theta, points, scaling="mean")
    n, p = lin.shape
    V, W = np.random.default_rng(2).standard_normal((p, 2)), np.sign(np.random.default_rng(3).standard_normal((n, 2)))
    terms = list(lin.blocks)
    first, last = terms[0], terms[-1]
    sketched = rn.sketch.products(c.problem, c.network, theta, points, to(W), None, scaling="mean")
    quadrature = {first: to(np.arange(1.0, 1.0 + len(c.points[first])))}
    found = {
        "residual": lin.residual,
        "J @ v": lin.jacobian @ to(V[:, 0]),
        "J @ V": lin.jacobian @ to(V),
        "J.T @ w": lin.jacobian.T @ to(W[:, 0]),
        "J.T @ W": lin.jacobian.T @ to(W),
        "dense": lin.jacobian.dense(),
        "ntk": rn.ntk(lin),
        "diagonal": rn.ntk_diagonal(lin),
        "block": rn.ntk_block(lin, first, last),
        "product": rn.ntk_product(lin, to(W)),
        "spectrum": rn.ntk_spectrum(lin),
        "sketched products": sketched,
        "sketched kernel": rn.sketch.estimate_ntk(to(W), sketched),
        "quadrature": rn.linearize(c.problem, c.network, theta, points, scaling="quadrature", quadrature=quadrature).residual,
        **{f"trace of {term}": value for term, value in rn.ntk_traces(lin).items()},
    }
    if c.network is not None:
        found["network"] = c.network(theta, points[first])
    return found


def scales(reference):
    """What each error is measured against: the largest entry of the quantity; of K for what is a part of it."""
    K = np.abs(reference["ntk"]).max()
    return {what: K if what == "block" or "trace" in what else 1e-3 + np.abs(value).max() for what, value in reference.items()}


def worst(found, reference, unit):
    """The quantity that is furthest off, in units of rounding times its scale, and by how much."""
    scale = scales(reference)
    errors = {k: np.abs(arrays.to_numpy(found[k]) - reference[k]).max() / (unit * scale[k]) for k in reference}
    return max(errors.items(), key=lambda item: item[1])


THRESHOLD = 300  # the largest seen is 44


@each_problem
@precision
def test_chain_equals_numpys_to_rounding(name, library, dtype):
    reference = chain(name, np, "float64")
    found = chain(name, library, dtype)
    assert sorted(found) == sorted(reference)
    what, error = worst(found, reference, UNITS[dtype])
    assert error < THRESHOLD, what


@each_problem
@precision
def test_arrays_out_are_of_the_library_and_type_that_came_in(name, library, dtype):
    kind, wanted = type(library.asarray([1.0])), getattr(library, dtype)
    found = chain(name, library, dtype)
    wrong = {k: (type(v), getattr(v, "dtype", None)) for k, v in found.items() if not (isinstance(v, kind) and v.dtype == wanted)}
    assert {k: kind for k, (kind, _) in wrong.items()} == {k: float for k in found if k.startswith("trace of")}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_on_every_library(activation, library):
    reference = chain("qtensor", np, "float64", activation=activation, each=2)
    what, error = worst(chain("qtensor", library, "float64", activation=activation, each=2), reference, UNITS["float64"])
    assert error < THRESHOLD, what


@pytest.mark.parametrize("activation", ACTIVATIONS)
@precision
def test_fused_passes_change_nothing_but_rounding(activation, dtype, monkeypatch):
    """On CuPy's arrays: the whole chain with its kernels, and by the reference lines alone."""
    library = cupy()
    fused = chain("qtensor", library, dtype, activation=activation, each=2)
    monkeypatch.setattr(arrays, "elementwise", lambda xp: None)
    plain = chain("qtensor", library, dtype, activation=activation, each=2)
    what, error = worst(fused, {k: arrays.to_numpy(v) for k, v in plain.items()}, UNITS[dtype])
    assert error < THRESHOLD, what


def algorithm_2(c, library):
    """K times a probe by Algorithm 2's difference."""
    theta, points = library.asarray(c.theta), {term: library.asarray(x) for term, x in c.points.items()}
    signs = np.sign(np.random.default_rng(3).standard_normal((c.linearize().shape[0], 2)))
    return arrays.to_numpy(rn.sketch.products(c.problem, c.network, theta, points, library.asarray(signs), 1e-3))


@each_problem
def test_algorithm_2_on_every_library(name, library):
    """A difference over Δt = 1e-3 keeps three digits less: what is compared has the size of R / Δt."""
    c = case(name)
    want = algorithm_2(c, np)
    scale = np.abs(want).max() + np.abs(c.linearize().residual).max() / 1e-3
    assert np.abs(algorithm_2(c, library) - want).max() < THRESHOLD * UNITS["float64"] * scale


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_training_takes_the_same_steps_on_every_library(weighting, library):
    c = case("wave")

    def history(library):
        points = {term: library.asarray(x) for term, x in c.points.items()}
        options = {"steps": 4, "every": 2, "samples": 3, "weighting": weighting, "points": points, "record": 1}
        return rn.train(c.problem, c.network, library.asarray(c.theta), **options)

    found, want = history(library), history(np)
    assert isinstance(found.theta, np.ndarray)
    np.testing.assert_allclose(found.theta, want.theta, rtol=1e-9)
    for term in found.weights:
        np.testing.assert_allclose(found.traces[term], want.traces[term], rtol=1e-9, err_msg=term)
        np.testing.assert_allclose(found.weights[term], want.weights[term], rtol=1e-9, err_msg=term)


@pytest.mark.parametrize("other", ["theta", "points", "some points", "operand"])
def test_arrays_of_two_libraries_are_refused(other, library):
    """No copy is made behind anybody's back."""
    c = case("wave")
    foreign = torch if library is not torch else np
    mine, theirs = (lambda x: library.asarray(x, dtype=library.float64)), (lambda x: foreign.asarray(x, dtype=foreign.float64))
    theta = (theirs if other == "theta" else mine)(c.theta)
    points = {
        k: (theirs if other == "points" or (other, k) == ("some points", "velocity") else mine)(x) for k, x in c.points.items()
    }
    with pytest.raises(InvalidInput, match="arrays of one library"):
        _ = rn.linearize(c.problem, c.network, theta, points).jacobian @ theirs(c.theta)


@precision
def test_planted_fault_half_the_digits_are_seen(dtype):
    """Mistake 19 of the audit: single precision where double is promised (and half where single is)."""
    reference, lower = chain("wave", np, "float64"), {"float64": "float32", "float32": "float16"}[dtype]
    lossy = {k: np.asarray(v, dtype=lower).astype(float) for k, v in reference.items()}
    assert worst(lossy, reference, UNITS[dtype])[1] > THRESHOLD
