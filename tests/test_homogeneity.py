"""Degrees of the monomials of every problem, the thresholds that follow, and what a term must do to be told from a polynomial."""

import dataclasses

import numpy as np
import pytest
from cases import NETWORK_PROBLEMS

import refntk as rn
from refntk.errors import UnknownNameError
from refntk.problems.homogeneity import degrees, linear, threshold

INTERIOR = {  # of ∂r/∂(field), and the threshold of K_ff; every other term, and every other interior, is linear
    "qtensor": (((0,), (0, 2)), 1.0),
    "nonlinear": (((0,), (2,)), 1.0),
    "sine_gordon": (((0,), None), 1.0),
    "kdv": (((0,), (1,), (1,)), 1.0),
    "eikonal": (((1,), (1,)), 0.75),
}


@pytest.mark.parametrize("name", NETWORK_PROBLEMS)
def test_degrees_and_thresholds(name):
    problem = rn.problems.get(name)
    want, s = INTERIOR.get(name, (((0,),), 0.5))
    assert degrees(problem, "interior") == want
    assert threshold(problem, "interior", "interior") == s
    assert linear(problem) == (s == 0.5)
    others = [term.name for term in problem.terms if term.name != "interior"]
    assert [degrees(problem, term) for term in others] == [((0,),)] * len(others)
    assert [threshold(problem, term, term) for term in others] == [0.5] * len(others)
    mixed = {0.5: 0.5, 0.75: 2 / 3, 1.0: 1.0}[s]
    assert [threshold(problem, *pair) for term in others for pair in ((term, "interior"), ("interior", term))] == (
        [mixed] * 2 * len(others)
    )


def powers(*exponents):
    """The eikonal problem with partials that are sums of these powers of the first field."""

    class Powers(type(rn.problems.get("eikonal"))):
        @property
        def terms(self):
            def partials(points, *fields, xp):
                return [sum(fields[0] ** k for k in exponents)[..., None]] * 2

            return (dataclasses.replace(super().terms[0], partials=partials),)

    return Powers()


@pytest.mark.parametrize("exponents", [(0,), (1,), (2, 5), (8,), (0, 8)])
def test_powers_are_found(exponents):
    assert degrees(powers(*exponents), "interior") == (exponents,) * 2


def test_the_threshold_grows_with_the_degree():
    found = [threshold(powers(p), "interior", "interior") for p in range(5)]
    assert found == [(1 + 2 * p) / (2 + 2 * p) for p in range(5)]
    assert threshold(powers(1, 2), "interior", "interior") == 1.0


@pytest.mark.parametrize("function", [np.cos, np.exp, np.tanh, np.reciprocal, np.sqrt], ids=lambda f: f.__name__)
def test_other_functions_are_no_polynomials(function):
    problem = rn.problems.get("eikonal")

    class Other(type(problem)):
        terms = (dataclasses.replace(problem.terms[0], partials=lambda points, *f, xp: [function(f[0])[..., None]] * 2),)

    assert degrees(Other(), "interior") == (None,) * 2
    assert not linear(Other())


def test_unknown_terms_are_refused():
    problem = rn.problems.get("wave")
    for ask in (lambda: degrees(problem, "interiour"), lambda: threshold(problem, "interior", "initiall")):
        with pytest.raises(UnknownNameError, match="did you mean"):
            ask()
