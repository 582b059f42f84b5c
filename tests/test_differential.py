"""The harness of validation/differential: honest contenders agree; a wrong one is flagged and made small; no case is done twice."""

import importlib.util
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parent.parent / "validation" / "differential"))

from contenders import CONTENDERS, QUANTITIES, by_torch, with_torch
from differences import SMALLEST, TOLERANCE, compared, disagreements, error, scales
from drawn import Recipe, as_case, recipe
from judgement import judgements
from reduction import reduced

import refntk as rn

FOLDER = Path(__file__).parent.parent / "validation" / "differential"
SMALL = {"hidden": [3, 2], "parametrization": "standard", "output_scale": 0.5, "normalized": True, "exponent": -0.3}


def small(problem, activation="tanh", **parameters):
    return Recipe(problem=problem, parameters=parameters, activation=activation, counts=[2, 1, 1, 2], key=5, **SMALL).case()


CASES = {  # JAX compiles every operation for every shape: it takes part where they are few
    "poisson1d": (lambda: small("poisson1d"), list(CONTENDERS)),
    "quadratic": (lambda: small("quadratic"), list(CONTENDERS)),
    "qtensor": (lambda: small("qtensor", "swish"), ["reference", "numba", "torch"]),
    "operators": (lambda: small("operators", "sin", operators=5, components=3), ["reference", "numba", "torch"]),
}


@pytest.mark.parametrize("name", CASES)
def test_honest_contenders_agree(name):
    case, names = CASES[name]
    errors, undetermined = compared(case(), {of: CONTENDERS[of] for of in names})
    assert undetermined == ()
    assert disagreements(errors) == []
    assert {of for pair in errors for of in pair.split("-")} == set(names)
    assert {quantity for of in errors.values() for quantity in of} == set(QUANTITIES)


class Sign(with_torch.Torch):
    """The sign of u_tt is wrong."""

    def D(self, network, theta):
        right = super().D(network, theta)
        return lambda x, *along: -right(x, *along) if along == (1, 1) else right(x, *along)


def sign(case):
    return by_torch(case, Sign)


def half(case):
    """The gradient of Σ r² for that of ½ Σ r²."""
    found = by_torch(case)
    return found | {"gradient": 2 * found["gradient"]}


FAULTS = {"sign": (sign, "residual"), "half": (half, "gradient")}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_flagged_and_made_small(fault):
    wrong, first = FAULTS[fault]
    pair = {"reference": CONTENDERS["reference"], "torch": wrong}

    def fails(case):
        return ("reference-torch", first) in disagreements(compared(case, pair)[0])

    case = small("wave")
    assert fails(case)
    found = reduced(case, fails, budget=60)
    assert fails(found)
    assert found.network.sizes == (2, 1, 1)
    assert all(len(x) == 1 for x in found.points.values())
    assert sum(found.theta == np.round(found.theta)) > 0
    honest, _ = compared(found, {"reference": CONTENDERS["reference"], "torch": by_torch})
    assert disagreements(honest) == []


def test_balls_say_who_is_wrong():
    """A contender with a planted fault, among honest ones; entries in which they differ are enough."""
    pytest.importorskip("flint")
    names = {"reference": CONTENDERS["reference"], "numba": CONTENDERS["numba"], "torch": sign}
    found = judgements(small("wave"), list(QUANTITIES), names)
    assert {quantity: of["wrong"] for quantity, of in found.items()} == {quantity: ["torch"] for quantity in QUANTITIES}
    assert max(of["errors"]["reference"] for of in found.values()) < 10


def one_neuron(problem, theta):
    """At one point of every term."""
    problem = rn.problems.get(problem)
    points = {term.name: np.array([[0.3, 0.25]]) for term in problem.terms}
    return as_case(problem, rn.MLP([2, 1, 1]), np.array(theta), points)


@pytest.mark.parametrize("bias", [2.0, 100.0, 250.0])
def test_scales_know_numbers_whose_squares_are_none(bias):
    """u_xx of tanh z is about 8 e^(-2z): by a relative change of the bias it changes 2z times as much."""
    case = one_neuron("wave", [1.0, 0.0, bias, 1.0, 0.0])
    scale, undetermined = scales(case)
    size = abs(CONTENDERS["reference"](case)["residual"][0])
    assert 0.1 * bias < scale["residual"][0] / size < 10 * bias
    root = np.max(scale["jacobian"][0])
    assert 0.1 * root <= scale["ntk"][0, 0] ** 0.5 <= 10 * root or root**2 < SMALLEST
    assert undetermined == ()


def test_chance_is_no_disagreement():
    """cos u of a u of 1e17 in one row of J among rows that are determined: nothing is said of it, all of the others."""
    scale, undetermined = scales(one_neuron("sine_gordon", [1.0, 0.5, 0.25, 1e17, 0.0]))
    assert "jacobian" in undetermined
    assert np.isinf(scale["jacobian"]).all(axis=1).tolist() == [True, False, False, False]
    assert np.isinf(scale["jacobian"]).any(axis=1).tolist() == [True, False, False, False]


def test_an_entry_of_K_between_ill_and_well_conditioned_rows():
    """cos u of a u of 1e8 in one of the rows: the product of the roots of K's diagonal would call right answers wrong."""
    case = one_neuron("sine_gordon", [1.0, 0.5, 0.25, 1e8, 0.0])
    K = [CONTENDERS[name](case)["ntk"] for name in ("reference", "numba", "torch")]
    scale, undetermined = scales(case)
    assert undetermined == ()
    root = np.diagonal(scale["ntk"]) ** 0.5
    assert max(error(a, b, scale["ntk"]) for a in K for b in K) < 10
    assert root[0] * root[1] * 10 < scale["ntk"][0, 1]


def test_a_large_case_is_made_small_neuron_by_neuron():
    """Planted fault: seven neurons far apart, all of them needed."""
    needed = {3, 11, 12, 20, 37, 44, 51}
    recipe_ = {**SMALL, "hidden": [60, 20]}
    case = Recipe(problem="heat", parameters={}, activation="tanh", counts=[1, 1, 1, 1], key=5, **recipe_).case()
    W = case.network.unflatten(case.theta)[0][0][0]
    marks = set(np.round(W[sorted(needed)], 12))

    def fails(simpler):
        return marks <= set(np.round(simpler.network.unflatten(simpler.theta)[0][0][0], 12))

    assert reduced(case, fails).network.sizes[1] == len(needed)


def test_errors_are_infinite_where_only_one_is_a_number():
    one, nan = np.ones(2), np.full(2, np.nan)
    assert error(one, one + 2.0**-52, one) == 2.0
    assert (error(one, one, 0 * one), error(nan, nan, one), error(one, nan, one)) == (0.0, 0.0, np.inf)
    assert not np.inf <= TOLERANCE


def test_a_case_is_a_function_of_seed_and_number():
    drawn = [recipe(17, i) for i in range(3)]
    assert [recipe(17, i) for i in (2, 1, 0)] == drawn[::-1]
    assert drawn[0] != recipe(18, 0)
    assert Recipe(**json.loads(json.dumps(drawn[1].plain()))) == drawn[1]


def test_a_case_that_is_done_is_never_done_again(tmp_path, monkeypatch):
    """After kill -9 in the middle of a line."""
    spec = importlib.util.spec_from_file_location("differential_run", FOLDER / "run.py")
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    done = []

    def record(seed, i):
        done.append(i)
        return {"case": i, "seed": seed}

    monkeypatch.setattr(program, "record", record)
    options = SimpleNamespace(out=tmp_path, cases=6, seed=17)
    records, computed = program.run(options)
    assert ([one["case"] for one in records], computed) == (list(range(6)), 6)
    whole = (tmp_path / "cases.jsonl").read_bytes()
    (tmp_path / "cases.jsonl").write_bytes(whole[: whole.rfind(b"\n", 0, -1) - 5])
    done.clear()
    records, computed = program.run(options)
    assert ([one["case"] for one in records], computed, done) == (list(range(6)), 2, [4, 5])
    assert (tmp_path / "cases.jsonl").read_bytes() == whole
