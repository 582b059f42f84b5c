"""What single precision costs: against the same numbers computed twice by hand, on every engine and library."""

import numpy as np
import pytest
import torch
from cases import NETWORK_PROBLEMS, case
from elementwise import cupy

import refntk as rn
from refntk import engine
from refntk.errors import InvalidInput
from refntk.rounding import rounding_error

U = 2.0**-24


def single(c, library=np, dtype=np.float32, **options):
    """The case in float32, in the arrays of a library."""

    def to(array):
        return library.asarray(np.asarray(array, dtype))

    return rn.linearize(c.problem, c.network, to(c.theta), {term: to(x) for term, x in c.points.items()}, **options)


def numbers(found):
    return [*found.residual.values(), *found.traces.values(), *found.weights.values(), found.gradient, found.ntk]


@pytest.mark.parametrize("name", NETWORK_PROBLEMS)
@pytest.mark.parametrize("engine", engine.names())
def test_single_precision_costs_single_precision(name, engine):
    found = rounding_error(single(case(name), engine=engine), ntk=True)
    assert 0 < max(numbers(found)) < 300 * U


@pytest.mark.parametrize("engine", engine.names())
def test_double_precision_costs_nothing_more(engine):
    assert set(numbers(rounding_error(case("wave").linearize(engine=engine), ntk=True))) == {0.0}


def test_errors_are_those_of_the_two_computations():
    c = case("wave")
    lin = single(c)
    wide = {term: x.astype(np.float32).astype(float) for term, x in c.points.items()}
    exact = rn.linearize(c.problem, c.network, c.theta.astype(np.float32).astype(float), wide)
    found, rows = rounding_error(lin, ntk=True), lin.blocks["velocity"]

    def error(got, want):
        return np.abs(got - want).max() / np.abs(want).max()

    pairs = [(found.residual["velocity"], lin.residual[rows], exact.residual[rows])]
    pairs += [(found.gradient, lin.jacobian.T @ lin.residual, exact.jacobian.T @ exact.residual)]
    pairs += [(found.ntk, rn.ntk(lin), rn.ntk(exact))]
    traces = [rn.ntk_traces(at)["velocity"] for at in (lin, exact)]
    weights = [rn.weights.trace_ratio(rn.ntk_traces(at))["velocity"] for at in (lin, exact)]
    pairs += [(found.traces["velocity"], *traces), (found.weights["velocity"], *weights)]
    assert [told for told, *_ in pairs] == [error(*computed) for _, *computed in pairs]


@pytest.mark.parametrize("scaling", ["sum", "mean", "quadrature"])
def test_scaled_rows_are_widened_with_their_scales(scaling):
    c = case("wave")
    options = {"quadrature": {"interior": np.array([0.1, 0.2, 0.3], np.float32)}} if scaling == "quadrature" else {}
    assert max(rounding_error(single(c, scaling=scaling, **options)).residual.values()) < 300 * U


@pytest.mark.parametrize("library", [lambda: torch, cupy], ids=["torch", "cupy"])
def test_other_libraries(library):
    found, want = rounding_error(single(case("wave"), library()), ntk=True), rounding_error(single(case("wave")), ntk=True)
    assert isinstance(found.gradient, float)
    assert max(numbers(found)) < 4 * max(numbers(want))


def test_the_kernel_is_left_out_unless_asked_for():
    assert rounding_error(single(case("wave"))).ntk is None


def test_planted_fault_half_precision_is_seen():
    assert max(numbers(rounding_error(single(case("wave"), dtype=np.float16), ntk=True))) > 300 * U


def test_what_is_no_network_is_refused():
    with pytest.raises(InvalidInput, match="a network"):
        rounding_error(case("quadratic").linearize())
