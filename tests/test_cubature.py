"""Cubature: probabilities that add up to 1, every sign once, and moments of normals exact as far as promised and no further."""

import math
from itertools import product

import numpy as np
import pytest

from refntk.errors import InvalidInput
from refntk.estimation.cubature import all_signs, gauss_hermite


@pytest.mark.parametrize("n", [1, 3, 12])
def test_every_sign_once(n):
    signs, probability = all_signs(n)
    assert {tuple(g) for g in signs.T} == set(product([-1.0, 1.0], repeat=n))
    assert np.array_equal(probability, np.full(2**n, 2.0**-n))


def check_moments(rule, n, nodes):
    """E of every monomial g₁^a g_n^b of degree below twice the nodes in each: (a - 1)!! (b - 1)!! for even a and b."""
    g, probability = rule(n, nodes)
    assert g.shape == (n, nodes**n)
    degrees = range(2 * nodes)
    odd = [math.prod(range(k - 1, 0, -2)) if k % 2 == 0 else 0 for k in degrees]
    want = odd if n == 1 else np.outer(odd, odd)
    got = [probability @ g[0] ** a for a in degrees]
    got = got if n == 1 else [[probability @ (g[0] ** a * g[-1] ** b) for b in degrees] for a in degrees]
    assert np.max(np.abs(np.array(got) - want)) <= 1e-12 * np.max(want)


@pytest.mark.parametrize(("n", "nodes"), [(1, 1), (1, 6), (2, 3), (4, 4)])
def test_moments_of_normals(n, nodes):
    check_moments(gauss_hermite, n, nodes)


FAULTS = {
    "the physicists' abscissae": lambda n, nodes: (gauss_hermite(n, nodes)[0] / 2**0.5, gauss_hermite(n, nodes)[1]),
    "not normalised": lambda n, nodes: (gauss_hermite(n, nodes)[0], 2.5 * gauss_hermite(n, nodes)[1]),
    "all nodes alike": lambda n, nodes: (gauss_hermite(n, nodes)[0], np.full(nodes**n, nodes**-n)),
    "signs": lambda n, nodes: all_signs(n),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault):
    with pytest.raises(AssertionError):
        check_moments(FAULTS[fault], 2, 3)


def test_beyond_the_promise():
    """Three nodes take E g⁶ = 15 for 9."""
    g, probability = gauss_hermite(1, 3)
    assert abs(probability @ g[0] ** 6 - 9) <= 1e-12


@pytest.mark.parametrize("n", [0, -1, 20])
def test_too_few_or_too_many(n):
    with pytest.raises(InvalidInput, match=r"^n: "):
        all_signs(n)
