"""What the strategies hand out is what they say, for everything in the registries, and each check of it rejects a planted fault."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

import refntk as rn
from refntk import probes, problems, strategies
from refntk.calculus.activation import ACTIVATIONS
from refntk.errors import UnknownNameError
from refntk.problems.base import DirectProblem

NETWORKS = [name for name in problems.names() if not isinstance(problems.get(name), DirectProblem)]


@pytest.mark.parametrize("name", problems.names())
@settings(max_examples=10)
@given(data=st.data())
def test_every_problem_can_be_linearized(name, data):
    problem, network, theta, points = data.draw(strategies.cases([name]))
    lin = rn.linearize(problem, network, theta, points)
    assert problem.name == name
    assert lin.shape == (sum(len(x) * t.components for x, t in zip(points.values(), problem.terms, strict=True)), len(theta))
    assert np.all(np.isfinite(lin.residual))
    assert np.abs(theta).max() <= 1


@pytest.mark.parametrize("name", problems.names())
def test_every_problem_is_drawn(name):
    assert find(strategies.problems(), lambda problem: problem.name == name).name == name


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_drawn(activation):
    found = find(strategies.networks(problems.get(NETWORKS[0])), lambda network: network.activation.name == activation)
    assert found.activation.name == activation


def test_problems_shrink_to_the_first():
    assert find(strategies.problems(), lambda problem: True).name == problems.names()[0]


@pytest.mark.parametrize("name", NETWORKS[:1])
def test_cases_shrink_to_no_hidden_layer_and_one_point_a_term(name):
    problem, network, theta, points = find(strategies.cases([name]), lambda case: True)
    assert network.sizes == (len(problem.coordinates), problem.outputs)
    assert not theta.any()
    assert {len(x) for x in points.values()} == {1}


def check_kernel(kernel, rank=None, signs="any"):
    K, J, n = kernel.K, kernel.J, len(kernel.K)
    assert np.array_equal(K, J @ J.T)
    assert np.array_equal(K, np.rint(K))
    assert np.linalg.matrix_rank(J) == J.shape[1]
    assert rank in (None, J.shape[1])
    assert signs != "nonnegative" or K.min() >= 0
    assert signs != "negative" or K.min() < 0
    rows = [i for block in kernel.blocks.values() for i in range(block.start, block.stop)]
    assert rows == list(range(n))
    assert all(block.stop > block.start for block in kernel.blocks.values())


@pytest.mark.parametrize("signs", strategies.SIGNS)
@pytest.mark.parametrize("rank", [None, 1, 3, 8])
@given(data=st.data())
def test_kernels(rank, signs, data):
    check_kernel(data.draw(strategies.kernels(rank=rank, signs=signs)), rank, signs)


@given(strategies.kernels(n=5, terms=["a", "b"]))
def test_kernels_of_given_rows_and_terms(kernel):
    assert kernel.K.shape == (5, 5)
    assert list(kernel.blocks) == ["a", "b"]


KERNEL = find(strategies.kernels(n=3, rank=2, signs="negative"), lambda kernel: True)
FAULTS = {
    "rank": lambda: check_kernel(KERNEL, rank=1),
    "signs": lambda: check_kernel(KERNEL, signs="nonnegative"),
    "not J Jᵀ": lambda: check_kernel(replace(KERNEL, K=2 * KERNEL.K)),
    "columns dependent": lambda: check_kernel(replace(KERNEL, J=(J := np.ones((3, 2))), K=J @ J.T)),
    "a row left out": lambda: check_kernel(replace(KERNEL, blocks={"a": slice(0, 2)})),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault):
    check_kernel(KERNEL, rank=2, signs="negative")
    with pytest.raises(AssertionError):
        FAULTS[fault]()


@given(st.data())
def test_probes(data):
    signs = data.draw(strategies.probes(3, 2))
    normals = data.draw(strategies.probes(3, 2, kind="normal"))
    assert signs.shape == normals.shape == (3, 2)
    assert np.all(np.abs(signs) == 1)
    assert np.all(np.abs(normals) <= 8)


@pytest.mark.parametrize("kind", list(probes.KINDS))
def test_every_sign_of_a_probe_is_drawn(kind):
    assert find(strategies.probes(2, 1, kind=kind), lambda g: g[0, 0] < 0 < g[1, 0]).shape == (2, 1)


@given(strategies.traces())
def test_traces_give_weights(traces):
    assert abs(sum(1 / weight for weight in rn.weights.trace_ratio(traces).values()) - 1) <= 1e-12


def test_unknown_names():
    with pytest.raises(UnknownNameError, match=r"^signs: "):
        find(strategies.kernels(signs="positive"), lambda kernel: True)
    with pytest.raises(UnknownNameError, match=r"^kind: "):
        strategies.probes(2, 1, kind="uniform")


def test_refntk_does_not_need_hypothesis_and_strategies_say_so():
    program = """
import sys
sys.modules["hypothesis"] = None
import refntk
try:
    import refntk.strategies
except refntk.errors.MissingDependency as error:
    assert "refntk[strategies]" in str(error)
else:
    raise AssertionError("no error")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_refntk_does_not_import_hypothesis():
    subprocess.run([sys.executable, "-c", "import sys, refntk; assert 'hypothesis' not in sys.modules"], check=True)
