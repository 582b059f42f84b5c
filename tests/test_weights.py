"""Weights: eq. (5) and (12) with their errors, and every published rule against gradients written out one by one."""

import math
from itertools import permutations

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import refntk as rn
from refntk import problems, sketch, weights
from refntk.errors import InvalidInput, ShapeError, TraceError

TOLERANCE = 1e-10  # relative: a dozen sums of at most 15 terms, a division, a square root


# Eq. (5)


traces = st.dictionaries(st.sampled_from("abcdef"), st.floats(1e-100, 1e100), min_size=1)


@given(traces)
def test_trace_ratio(found):
    got = weights.trace_ratio(found)
    total = math.fsum(found.values())
    assert list(got) == list(found)
    assert all(abs(got[k] * found[k] / total - 1) <= 1e-14 for k in found)
    assert abs(math.fsum(1 / w for w in got.values()) - 1) <= 1e-13
    assert weights.trace_ratio({k: 2 * v for k, v in found.items()}) == got


def test_equation_12_is_equation_5_on_estimates():
    estimates = {"a": sketch.Estimate(6.0, 0.5), "b": sketch.Estimate(2.0, math.nan)}
    assert weights.trace_ratio(estimates) == weights.trace_ratio({"a": 6.0, "b": 2.0})


def test_of_a_linearization():
    problem, network, theta, points, _ = case()
    found = rn.ntk_traces(rn.linearize(problem, network, theta, points))
    assert weights.trace_ratio(found) == {k: sum(found.values()) / v for k, v in found.items()}


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (0.0, "leave the term out"),
        (-0.0, "leave the term out"),
        (-1e-300, "average more samples"),
        (5e-324, "leave the term out"),
        (math.nan, "look for NaN"),
        (math.inf, "look for NaN"),
        (-math.inf, "look for NaN"),
        (sketch.Estimate(-2.0, 1.0), "average more samples"),
    ],
)
def test_no_weight_follows(value, remedy):
    """Term, value and remedy are named, and no other term is blamed."""
    with pytest.raises(TraceError, match=remedy) as caught:
        weights.trace_ratio({"interior": 1.0, "boundary": value, "initial": 1.0})
    assert caught.value.argument == "traces['boundary']"
    assert caught.value.value == float(value) or math.isnan(float(value))
    assert isinstance(caught.value, InvalidInput)


def test_traces_too_large_to_add():
    with pytest.raises(TraceError, match=r"^traces\["):
        weights.trace_ratio({"a": 1.5e308, "b": 1.5e308})


def test_no_traces():
    with pytest.raises(ShapeError, match=r"^traces: "):
        weights.trace_ratio({})


# The published rules


def case(name="wave", **counts):
    """(problem, network, theta, points, (K, residual, blocks)) with different numbers of rows for different terms."""
    problem = problems.get(name)
    counts = counts or {term.name: 2 + i for i, term in enumerate(problem.terms)}
    points = problem.sample(rng=17, counts=counts)
    network = rn.MLP([len(problem.coordinates), 8, 8, problem.outputs])
    theta = network.init(rng=17)
    lin = rn.linearize(problem, network, theta, points)
    return problem, network, theta, points, (rn.ntk(lin), lin.residual, lin.blocks)


def gradients(J, r, blocks):
    """∇L_k of L_k = ‖r_k‖²/n_k, one by one."""
    return {k: 2 / len(r[own]) * sum(r[own][i] * J[own][i] for i in range(len(r[own]))) for k, own in blocks.items()}


def inverse(s):
    return {k: sum(s.values()) / v for k, v in s.items()}


def traces_of(J, blocks):
    return {k: sum(float(row @ row) for row in J[own]) for k, own in blocks.items()}


def means_of(J, blocks):
    return {k: np.mean([float(row @ row) for row in J[own]]) for k, own in blocks.items()}


def wang_2022(J, r, blocks):
    return inverse(traces_of(J, blocks))


def haghighat_2021(J, r, blocks):
    raw = inverse(traces_of(J, blocks))
    return {k: len(blocks) * v / sum(raw.values()) for k, v in raw.items()}


def wang_2023(J, r, blocks):
    s = means_of(J, blocks)
    return {k: np.mean(list(s.values())) / v for k, v in s.items()}


def bai_2023(J, r, blocks):
    return inverse(means_of(J, blocks))


def two_groups(s, blocks):
    """Weights of the equation and of all conditions together, s of two numbers."""
    first, *others = blocks
    return {first: sum(s) / s[0]} | dict.fromkeys(others, sum(s) / s[-1])


def hao_2023(J, r, blocks):
    first, *others = blocks
    rows = [sum(J[blocks[first]]), sum(sum(J[blocks[k]]) for k in others)]
    return two_groups([row @ row for row in rows], blocks)


def neuralpde_2023(J, r, blocks):
    g = gradients(J, r, blocks)
    first, *others = blocks
    return two_groups([v @ v for v in (g[first], sum(g[k] for k in others))], blocks)


def norms(J, r, blocks):
    return {k: float(np.linalg.norm(g)) for k, g in gradients(J, r, blocks).items()}


def uncleared_norms(J, r, blocks):
    grad, found = np.zeros(J.shape[1]), {}
    for k, g in gradients(J, r, blocks).items():
        grad += g
        found[k] = float(np.linalg.norm(grad))
    return found


def paddlescience_2024(J, r, blocks):
    return inverse(uncleared_norms(J, r, blocks))


def paddlescience_2025(J, r, blocks):
    return inverse(norms(J, r, blocks))


def pina_2025_march(J, r, blocks):
    s = uncleared_norms(J, r, blocks)
    return {k: v / sum(s.values()) for k, v in s.items()}


def pina_2025_november(J, r, blocks):
    s = norms(J, r, blocks)
    return {k: v / sum(s.values()) for k, v in s.items()}


def physicsnemo_2026(J, r, blocks):
    """∇ √L_k = J_kᵀ r_k / (n_k √L_k)."""
    root = {k: np.sqrt(np.mean(r[own] ** 2)) for k, own in blocks.items()}
    return inverse({k: np.linalg.norm(J[own].T @ r[own] / len(r[own]) / root[k]) for k, own in blocks.items()})


def check_rule(name, found, lin):
    want = globals()[name](lin.jacobian.dense(), lin.residual, lin.blocks)
    assert list(found) == list(lin.blocks)
    assert max(abs(found[k] / want[k] - 1) for k in want) <= TOLERANCE


@pytest.mark.parametrize("name", weights.RULES)
@pytest.mark.parametrize("of", ["wave", "qtensor", "poisson1d", "transport"])
def test_rule(name, of):
    problem, network, theta, points, given_ = case(of)
    check_rule(name, weights.RULES[name](*given_), rn.linearize(problem, network, theta, points))


@pytest.mark.parametrize("pair", list(permutations(weights.RULES, 2)), ids="-for-".join)
def test_no_rule_passes_for_another(pair):
    """The planted faults are the rules themselves: each is a mistake in the place of every other."""
    problem, network, theta, points, given_ = case()
    with pytest.raises(AssertionError):
        check_rule(pair[0], weights.RULES[pair[1]](*given_), rn.linearize(problem, network, theta, points))


def test_the_first_rule_is_eq_5():
    *_, (K, residual, blocks) = case()
    got = weights.RULES["wang_2022"](K, residual, blocks)
    want = weights.trace_ratio({k: float(np.trace(K[own, own])) for k, own in blocks.items()})
    assert max(abs(got[k] / want[k] - 1) for k in want) <= TOLERANCE


def ratio(name, given_):
    found = weights.RULES[name](*given_)
    return found["boundary"] / found["interior"]


def test_how_the_rules_are_related_in_the_audit():
    """λ_b/λ_r on poisson1d, 1-8-8-1, 40 + 6 points: MEAN = TRACE 6/40, PINA = 1/GRAD, GRAD2 = GRAD², over decades."""
    *_, given_ = case("poisson1d", interior=40, boundary=6)
    trace, grad = ratio("wang_2022", given_), ratio("paddlescience_2025", given_)
    assert abs(ratio("wang_2023", given_) / (trace * 6 / 40) - 1) <= TOLERANCE
    assert abs(ratio("pina_2025_november", given_) * grad - 1) <= TOLERANCE
    assert abs(ratio("neuralpde_2023", given_) / grad**2 - 1) <= TOLERANCE
    found = [ratio(name, given_) for name in weights.RULES]
    assert max(found) / min(found) > 1e4


# Of the kernel of u, and all side by side


def u(network, theta, x):
    """A tanh network written out, for complex θ too."""
    a = (x - np.array(network.shift)) / np.array(network.scale)
    for i, (W, b) in enumerate(network.unflatten(theta)):
        a = (np.tanh(a) if i else a) @ W + b
    return a


def zhao_2024(network, theta, points):
    """From the derivatives of u by every parameter, by complex steps: `f'(θ) = Im f(θ + ih)/h` without cancellation."""
    steps = theta + 1e-30j * np.eye(theta.size)
    return inverse({k: sum(float(np.sum((u(network, t, x).imag / 1e-30) ** 2)) for t in steps) for k, x in points.items()})


def off(got, want):
    assert list(got) == list(want)
    return max(abs(got[k] / want[k] - 1) for k in want)


@pytest.mark.parametrize("of", ["wave", "qtensor", "poisson1d", "transport"])
def test_the_rule_of_u(of):
    problem, network, theta, points, _ = case(of)
    found = weights.compare(rn.linearize(problem, network, theta, points))
    assert list(found.weights) == [*weights.RULES, *weights.RULES_OF_U]
    want = zhao_2024(network, theta, points)
    assert off(found.weights["zhao_2024"], want) <= TOLERANCE
    assert min(off(found.weights[name], want) for name in weights.RULES) > 1e-3  # no rule of the residual passes for it


@pytest.mark.parametrize("name", weights.RULES)
def test_side_by_side(name):
    problem, network, theta, points, given_ = case()
    found = weights.compare(rn.linearize(problem, network, theta, points))
    want, first = weights.RULES[name](*given_), weights.RULES["wang_2022"](*given_)
    assert found.weights[name] == want
    assert found.ratios[name] == {k: want[k] / first[k] for k in want}
    assert found.imbalance[name] == max(want[k] / first[k] for k in want) / min(want[k] / first[k] for k in want)


@pytest.mark.parametrize("name", weights.RULES)
def test_a_formula_tells_a_rule(name):
    """Aggregate, functional and rows, each in its symbols; no two rules have the same that are not the same."""
    rule = weights.RULES[name]
    assert rule.formula.startswith("λ_k = ")
    assert ", s_k = " in rule.formula
    assert ("as one" in rule.formula) == (rule.rows is not dict)
    parts = (rule.functional, rule.aggregate, rule.rows)
    same = [r for r in weights.RULES.values() if r.formula == rule.formula]
    assert {(r.functional, r.aggregate, r.rows) for r in same} == {parts}


@pytest.mark.parametrize("scaling", ["mean", "quadrature"])
@pytest.mark.parametrize("of", ["wave", "quadratic"])
def test_scaled_rows_are_not_compared(of, scaling):
    problem = problems.get(of)
    network = None if of == "quadratic" else rn.MLP([2, 4, 1])
    theta = problem.init(rng=1) if network is None else network.init(rng=1)
    points = problem.sample(rng=1, counts={term.name: 4 for term in problem.terms})
    with pytest.raises(InvalidInput, match="scaling='sum'"):
        weights.compare(rn.linearize(problem, network, theta, points, scaling=scaling))


def test_a_problem_without_u_has_the_rules_of_the_residual():
    problem = problems.get("quadratic")
    found = weights.compare(rn.linearize(problem, None, problem.init(rng=1), problem.sample(rng=1)))
    assert list(found.weights) == list(weights.RULES)


def test_refused_rules_do_not_hide_the_others():
    """Zero residual: rules made of gradients have no weights, the traces have."""
    problem, network = problems.get("heat"), rn.MLP([2, 3, 1])
    theta = network.init(rng=1)
    theta[-4:] = 0.0  # u = 0
    points = problem.sample(rng=1, counts={"interior": 3, "initial": 1, "boundary": 2})
    points["initial"] = np.zeros((1, 2))  # where the data are zero too
    found = weights.compare(rn.linearize(problem, network, theta, points))
    assert "wang_2022" in found.weights
    assert "physicsnemo_2026" in found.refused
    assert not set(found.weights) & set(found.refused)
    assert {*found.weights, *found.refused} == {*weights.RULES, *weights.RULES_OF_U}


ORDER_DEPENDENT = {name for name, rule in weights.RULES.items() if rule.rows is weights.accumulated}


@pytest.mark.parametrize("name", [n for n, rule in weights.RULES.items() if rule.rows is not weights.lumped])
def test_only_accumulated_gradients_depend_on_the_order_of_the_terms(name):
    *_, (K, residual, blocks) = case("poisson1d")
    n = blocks["interior"].stop
    order = np.r_[n : len(residual), 0:n]
    swapped = {"boundary": slice(0, len(residual) - n), "interior": slice(len(residual) - n, len(residual))}
    got = weights.RULES[name](K[np.ix_(order, order)], residual[order], swapped)
    want = weights.RULES[name](K, residual, blocks)
    off = max(abs(got[k] / want[k] - 1) for k in want)
    assert (off > 0.01) if name in ORDER_DEPENDENT else (off <= TOLERANCE)


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=lambda xp: xp.__name__)
@pytest.mark.parametrize("name", weights.RULES)
def test_other_libraries(xp, name):
    *_, (K, residual, blocks) = case()
    got, want = weights.RULES[name](xp.asarray(K), xp.asarray(residual), blocks), weights.RULES[name](K, residual, blocks)
    assert all(type(value) is float for value in got.values())
    assert max(abs(got[k] / want[k] - 1) for k in want) <= TOLERANCE


@pytest.mark.parametrize("name", weights.RULES)
def test_one_term_alone(name):
    K, residual = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, 2.0])
    assert weights.RULES[name](K, residual, {"data": slice(0, 2)}) == {"data": 1.0}


@pytest.mark.parametrize("name", weights.RULES)
def test_a_kernel_of_zeros_has_no_weights(name):
    with pytest.raises(TraceError, match=r"^s\['a'\]: got 0.0"):
        weights.RULES[name](np.zeros((2, 2)), np.ones(2), {"a": slice(0, 1), "b": slice(1, 2)})


@pytest.mark.parametrize("name", weights.RULES)
def test_a_kernel_with_nan_has_no_weights(name):
    with pytest.raises(TraceError, match=r"^s\['[ab]'\]: got nan"):
        weights.RULES[name](np.full((2, 2), np.nan), np.ones(2), {"a": slice(0, 1), "b": slice(1, 2)})


def test_a_root_loss_has_no_gradient_at_zero():
    with pytest.raises(TraceError, match=r"^s\['b'\]: got nan"):
        weights.RULES["physicsnemo_2026"](np.eye(2), np.array([1.0, 0.0]), {"a": slice(0, 1), "b": slice(1, 2)})


def test_a_share_may_be_zero():
    got = weights.RULES["pina_2025_november"](np.eye(2), np.array([1.0, 0.0]), {"a": slice(0, 1), "b": slice(1, 2)})
    assert got == {"a": 1.0, "b": 0.0}


def test_a_gradient_that_vanishes_up_to_rounding_has_norm_zero():
    K = np.array([[1.0, -1.0], [-1.0, 1.0 - 1e-16]])
    K[0, 0] = 1.0 - 2e-16
    norm = weights.gradient_norm(K, np.ones(2), {"a": slice(0, 2)}, {"a": slice(0, 2)})
    assert norm == {"a": 0.0}


@pytest.mark.parametrize("name", weights.RULES)
@pytest.mark.parametrize(
    ("K", "residual", "blocks", "error"),
    [
        (np.eye(3), np.ones(2), {"a": slice(0, 2)}, ShapeError),
        (np.ones((2, 3)), np.ones(2), {"a": slice(0, 2)}, ShapeError),
        (np.eye(2), np.ones((2, 1)), {"a": slice(0, 2)}, ShapeError),
        (np.eye(2), np.ones(2), {"a": slice(0, 1)}, ShapeError),
        (np.eye(2), np.ones(2), {"a": slice(1, 2)}, ShapeError),
        (np.eye(2), np.ones(2), {"a": slice(0, 2), "b": slice(2, 2)}, ShapeError),
        (np.eye(2), np.ones(2), {"a": slice(0, 2), "b": slice(1, 2)}, ShapeError),
        (np.eye(2), np.ones(2), {}, ShapeError),
        ("K", np.ones(2), {"a": slice(0, 2)}, InvalidInput),
        (np.eye(2), None, {"a": slice(0, 2)}, InvalidInput),
    ],
)
def test_what_is_no_kernel_with_its_rows(name, K, residual, blocks, error):
    with pytest.raises(error):
        weights.RULES[name](K, residual, blocks)
