"""Checks accept what is right, reject what is wrong, name it, and survive any candidate; each door lets an honest one in."""

import json
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy as library

import refntk as rn
from refntk.conformance import (
    Ahead,
    Answer,
    Engine,
    Functions,
    Process,
    Results,
    checks,
    diagnose,
    examine,
    judge,
    load,
    selection,
    told,
)
from refntk.conformance.exchange import answered, question
from refntk.conformance.parameters import NAMES, load_parameters, theta_from
from refntk.conformance.protocol import questions
from refntk.conformance.suite import judge as judged
from refntk.conformance.variants import VARIANTS, linearized
from refntk.errors import DamagedFile, InvalidInput, ShapeError, UnknownNameError
from refntk.vectors import read, truth
from refntk.vectors.reader import FOLDER

ADAPTERS = Path(__file__).parent.parent / "validation" / "adapters"
sys.path.insert(0, str(ADAPTERS))


@cache
def some(problem="wave"):
    comments = ("two neurons", "unequal numbers of points", "two hidden layers", "rows divided by √n")
    return tuple(case for case in read(only=problem) if case.comment in comments)


class Wrong:
    """The reference with changes: `{family: function(case, value, *member)}`; only these families are offered."""

    def __init__(self, **changes):
        for family, change in changes.items():
            setattr(
                self, family, lambda case, *member, f=family, c=change: c(case, self.right(case)["/".join([f, *member])], *member)
            )

    @staticmethod
    @cache
    def _right(name):
        case = next(c for c in read(only=name.rpartition("-")[0]) if c.name == name)
        return truth.quantities(case)[0]

    def right(self, case):
        return self._right(case.name)


def said(**changes):
    return diagnose(examine(Functions("wrong", Wrong(**changes)), some()))


def test_the_reference_passes_and_a_selection_holds_every_flag():
    cases = list(read(only="wave"))
    few = selection(cases)
    assert {flag for case in few for flag in case.flags} == {flag for case in cases for flag in case.flags}
    assert len(few) < len(cases)
    examination = examine(Engine("reference"), few)
    assert examination.passed
    assert {result.verdict for result in examination.results} == {"pass"}


def test_every_quantity_of_the_vectors_has_a_check():
    wanted = {quantity for case in some() for quantity in case.want}
    assert {q for q in wanted if not any(check.covers(q) for check in checks())} == set()


MISTAKES = {
    "not inverted": (5, {"weights": lambda case, value, rule: (1 / value) / np.sum(1 / value)}),
    "mean": (10, {"traces": lambda case, value: value / [len(case.points[t.name]) for t in case.problem.terms]}),
    "root": (2, {"traces": lambda case, value: np.sqrt(value)}),
    "JᵀJ": (21, {"ntk": lambda case, value: Wrong._right(case.name)["jacobian"].T @ Wrong._right(case.name)["jacobian"]}),
    "single": (19, {"ntk": lambda case, value: value.astype(np.float32).astype(float)}),
    "half of it": (15, {"gradient": lambda case, value: value / 2}),
}


@pytest.mark.parametrize("mistake", [name for name in MISTAKES if name != "JᵀJ"])
def test_a_mistake_is_named(mistake):
    number, changes = MISTAKES[mistake]
    found = said(**changes)
    assert [d for d in found if number in d.mistakes], found
    assert found[0].error < 1e-4
    assert found[0].chance < -10 or mistake == "single"  # of the size of errors no chance is stated


def test_what_nothing_explains_is_said_to_be_so():
    (found,) = said(traces=lambda case, value: value * [1.3, 0.7, 1.1, 2.9])
    assert found.words == ""
    assert found.tried > 100
    assert "nothing explains it" in str(found)


def test_lost_digits_alone_are_not_called_wrong():
    """Planted fault: single precision; the last sentence says what it is."""
    examination = examine(Functions("single", Wrong(ntk=lambda case, value: value.astype(np.float32).astype(float))), some())
    assert told.verdict(examination, diagnose(examination)).startswith("single: right but for digits")
    assert "WRONG" in told.verdict(examination)


def test_a_flag_is_pointed_at_only_where_others_passed():
    def off(value):
        return value * np.linspace(1.1, 1.5, len(value))

    few = [case for name in ("wave", "heat") for case in read(only=name) if case.comment in ("two neurons", "rows divided by √n")]
    partly = Functions("partly", Wrong(traces=lambda case, value: off(value) if case.scaling == "mean" else value))
    assert "all failures are cases of MeanScaling" in told.told(examine(partly, few), [])

    class Sparing(Wrong):  # offers the cases of one kind only, and is wrong in all of them
        def __init__(self):
            super().__init__(traces=lambda case, value: off(value) if case.scaling == "mean" else offers_nothing())

    def offers_nothing():
        raise NotImplementedError

    assert "all failures are cases of" not in told.told(examine(Functions("sparing", Sparing()), few), [])


def test_coordinates_in_another_order_and_averaged_weights_are_named():
    variant = next(v for v in VARIANTS if "reverse order" in v.words)
    known = {case.name: case for case in some()}

    class Swapped:
        def residual(self, case):
            return linearized(variant, known[case.name]).R

    (swapped,) = diagnose(examine(Functions("swapped", Swapped()), some()))
    assert swapped.words == variant.words
    (averaged,) = [d for d in said(weights=lambda case, value, rule: 0.5 + 0.5 * value) if d.check == "weights/wang_2022"]
    assert averaged.words == "averaged with weights of 1 before it: 0.5 + 0.5 λ"


def test_answers_computed_ahead_are_the_same():
    cases = [case for name in ("quadratic", "poisson1d") for case in read(only=name)][:12]
    engine = Engine("reference")
    with Ahead(engine, cases, processes=2) as ahead:
        found = {case.name: ahead.answers(case, questions(case)) for case in cases}
    here = {case.name: engine.answers(case, questions(case)) for case in cases}
    assert {name: set(answers) for name, answers in found.items()} == {name: set(answers) for name, answers in here.items()}
    assert examine(engine, cases).passed
    assert all(np.allclose(found[n][q].value, here[n][q].value) for n in here for q in here[n] if here[n][q].value is not None)


def test_a_right_candidate_has_no_diagnosis():
    assert said(traces=lambda case, value: value) == []


BAD_ANSWERS = {
    "raises": (lambda case, value: 1 / 0, "ZeroDivisionError"),
    "exits": (lambda case, value: sys.exit(0), "SystemExit"),
    "None": (lambda case, value: None, "None"),
    "text": (lambda case, value: "1.0", "real numbers"),
    "ragged": (lambda case, value: [[1.0], [1.0, 2.0]], "real numbers"),
    "complex": (lambda case, value: value * 1j, "real numbers"),
    "NaN": (lambda case, value: value * np.nan, "not finite"),
    "a column": (lambda case, value: value[:, None], "shape"),
    "other terms": (lambda case, value: {"inside": 1.0}, "names"),
}


@pytest.mark.parametrize("kind", BAD_ANSWERS)
def test_bad_answers_fail_with_a_reason(kind):
    change, reason = BAD_ANSWERS[kind]
    examination = examine(Functions("bad", Wrong(traces=change)), some()[:1])
    assert examination.failed[0].worst.why.count(reason) == 1
    assert "WRONG" in told.told(examination, diagnose(examination))


def test_weights_that_do_not_exist_are_refused():
    case = next(case for case in read(only="wave") if "weights/physicsnemo_2026" in case.refused)
    assert judge(case, "weights/physicsnemo_2026", Answer(np.ones(4))).verdict == "FAIL"
    assert judge(case, "weights/physicsnemo_2026", Answer(np.full(4, np.nan))).verdict == "pass"


def test_candidates_do_not_see_what_is_wanted():
    class Curious:
        def traces(self, case):
            return case.want["traces"].mid

    assert "KeyError" in examine(Functions("curious", Curious()), some()[:1]).failed[0].worst.why


# Processes

HONEST = """
import json, sys
from refntk.vectors import read, truth
cases = {case.name: case for case in read(only="wave")}
for line in sys.stdin:
    asked = json.loads(line)
    got, _ = truth.quantities(cases[asked["id"]])
    print(json.dumps({"id": asked["id"], "results": {name: value.tolist() for name, value in got.items()}}), flush=True)
"""


def test_an_honest_process_passes():
    with Process([sys.executable, "-c", HONEST], limit=100.0) as candidate:
        assert examine(candidate, some()).passed


LINE = "import sys, json, time, os\nfor line in sys.stdin:\n    case = json.loads(line)['id']\n    "
HOSTILE = {
    "silent": ("import time; time.sleep(60)", "no answer within"),
    "crashing": ("raise SystemExit('I broke')", "exit status 1"),
    "killed": ("import os; os.kill(os.getpid(), 9)", "signal 9"),
    "huge": ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "more than"),
    "noise": (LINE + "print('hello', flush=True)", "no JSON"),
    "another case": (LINE + "print(json.dumps({'id': 'x', 'results': {}}), flush=True)", "answers 'x'"),
    "text": (LINE + "print(json.dumps({'id': case, 'results': {'ntk': 'none'}}), flush=True)", "hexadecimal"),
    "deep": (LINE + "print('{\"id\": \"' + case + '\", \"results\": ' + '[' * 100000, flush=True)", "no JSON"),
    "infinite": (LINE + 'print(\'{"id": "\' + case + \'", "results": {"traces": [Infinity,1,1,1]}}\', flush=True)', "not finite"),
    "bytes": (LINE + "os.write(1, bytes([255, 254, 10]))", "no JSON"),
    "a liar": (LINE + "print(json.dumps({'id': case, 'results': {'verdict': 'pass', 'traces': [1, 1, 1, 1]}}), flush=True)", ""),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_processes_end_in_a_verdict(kind):
    code, reason = HOSTILE[kind]
    with Process([sys.executable, "-c", code], limit=2.0 if kind == "silent" else 30.0, most=2**18) as candidate:
        examination = examine(candidate, some()[:1])
    assert not examination.passed
    assert reason in examination.failed[0].worst.why


def test_what_cannot_be_started_is_an_input_error():
    with pytest.raises(InvalidInput, match="cannot be started"):
        Process(["/nowhere/to/be/found"])


# Files and names


def lines(path, cases):
    path.write_text(
        "".join(
            json.dumps({"id": c.name, "results": {q: v.tolist() for q, v in truth.quantities(c)[0].items()}}) + "\n" for c in cases
        )
    )
    return path


def test_files_of_results_are_judged(tmp_path):
    lines(tmp_path / "mine.jsonl", some()[:2])
    got = truth.quantities(some()[2])[0]
    np.savez(tmp_path / f"{some()[2].name}.npz", **got)
    assert examine(Results(tmp_path), some()[:3]).passed
    (tmp_path / f"{some()[2].name}.npz").write_bytes(b"PK no")
    assert "cannot be read" in examine(Results(tmp_path), some()[:3]).failed[0].worst.why


@pytest.mark.parametrize("text", ["[]", "{", '{"id": 1, "results": {}}', '{"id": "a", "results": {}}\n' * 2, "\x00"])
def test_hostile_files_are_input_errors(tmp_path, text):
    (tmp_path / "mine.jsonl").write_text(text)
    with pytest.raises(InvalidInput):
        Results(tmp_path)


def test_a_question_holds_what_the_case_gives():
    case = some()[0]
    asked = json.loads(question(case))
    assert np.array_equal(asked["theta"], case.theta)
    assert set(asked["quantities"]) == set(questions(case)) >= {*case.want, *case.refused}
    assert answered(json.dumps({"id": case.name, "results": {"traces": ["0x1p+0"] * 4}}).encode(), case)["traces"].value.sum() == 4


@pytest.mark.parametrize("name", ["nowhere_to_be_found", "refntk.weights:nothing", "refntk.weights:Rule", "refntk.weights:RULES"])
def test_names_that_are_no_candidate_are_input_errors(name):
    with pytest.raises(InvalidInput):
        load(name)


# pytest


def test_expected_failures_need_a_reason_and_must_fail():
    (good,) = [r for r in examine(Engine("reference"), some()[:1]).results if r.check.name == "traces"]
    (bad,) = [r for r in examine(Functions("", Wrong(traces=lambda case, value: value * 2)), some()[:1]).results if r.judged]
    judged(good, "mine", None)
    with pytest.raises(AssertionError, match="take it out"):
        judged(good, "mine", "it did once")
    with pytest.raises(AssertionError, match="a factor 2"):
        judged(bad, "mine", None)
    with pytest.raises(pytest.xfail.Exception, match="known"):
        judged(bad, "mine", "known")


# Other people's parameters


def given(network, theta, names, layout):
    found = {}
    for l, (W, b) in enumerate(network.unflatten(theta)):
        weight, bias = (n.replace(r"(\d+)", str(2 * l)) for n in names)
        found |= {weight: W if layout == "in,out" else W.T, bias: b}
    return found


PLAIN = {
    "torch": ("net.(\\d+).weight", "net.(\\d+).bias"),
    "flax": ("params.Dense_(\\d+).kernel", "params.Dense_(\\d+).bias"),
    "equinox": (".layers[(\\d+)].weight", ".layers[(\\d+)].bias"),
    "deepxde": ("linears.(\\d+).weight", "linears.(\\d+).bias"),
    "pina": ("model.(\\d+).weight", "model.(\\d+).bias"),
}
SQUARE = rn.MLP([2, 4, 4, 1])


@pytest.mark.parametrize("library", NAMES)
def test_parameters_of_a_library_are_read(library):
    theta, x = SQUARE.init(rng=17), np.array([[0.1, 0.2], [0.5, -0.3]])
    layout = NAMES[library][2]
    mapping = given(SQUARE, theta, PLAIN[library], layout)
    assert np.array_equal(theta_from(mapping, SQUARE, layout=layout, names=library, probe=(x, SQUARE(theta, x))), theta)


def test_a_probe_finds_what_shapes_do_not():
    """Planted fault: a transposed square matrix."""
    theta, x = SQUARE.init(rng=17), np.array([[0.1, 0.2], [0.5, -0.3]])
    mapping = given(SQUARE, theta, PLAIN["torch"], "out,in")
    mapping["net.2.weight"] = mapping["net.2.weight"].T
    with pytest.raises(InvalidInput, match="off by"):
        theta_from(mapping, SQUARE, layout="out,in", probe=(x, SQUARE(theta, x)))
    with pytest.raises(ShapeError, match="other layout"):
        theta_from(mapping, SQUARE, layout="in,out", probe=(x, SQUARE(theta, x)))
    with pytest.raises(UnknownNameError):
        theta_from(mapping, SQUARE, layout="rows", probe=(x, SQUARE(theta, x)))


def test_files_of_parameters_are_read_and_not_trusted(tmp_path):
    mapping = {"0.weight": np.ones((2, 3))}
    library.save_file(mapping, tmp_path / "a.safetensors")
    np.savez(tmp_path / "a.npz", **mapping)
    for kind in ("npz", "safetensors"):
        assert np.array_equal(load_parameters(tmp_path / f"a.{kind}")["0.weight"], mapping["0.weight"])
        (tmp_path / f"b.{kind}").write_bytes(b"nothing")
        with pytest.raises(DamagedFile):
            load_parameters(tmp_path / f"b.{kind}")


# Other languages


ONE_NEURON = "poisson1d-002"  # 12 rows: its kernel lies in the file beside


@pytest.fixture(scope="module")
def cpp(tmp_path_factory):
    """`judged(path)`: what the reader in C++ says of a file, {word: number}; and the program itself."""
    if shutil.which("g++") is None:
        pytest.skip("no C++ compiler")
    program = str(tmp_path_factory.mktemp("cpp") / "reader")
    subprocess.run(["g++", "-std=c++17", "-O1", str(ADAPTERS / "reader.cpp"), "-o", program], check=True, timeout=200)

    def judged(path):
        told_by = subprocess.run([program, str(path)], capture_output=True, text=True, check=True, timeout=100).stdout
        return {name: float(value) for name, value in (line.split() for line in told_by.splitlines())}

    return judged, program


def test_the_reader_in_cpp_reads_and_agrees(cpp):
    judged, program = cpp
    errors = judged(FOLDER / "poisson1d.json")
    assert errors.pop("cases") > 20
    assert set(errors) == {"residual", "jacobian", "ntk", "traces"}
    assert max(errors.values()) < 30
    with Process([program], limit=100.0) as candidate:
        assert examine(candidate, selection(read(only="poisson1d"))).passed


def test_the_reader_in_cpp_reads_the_file_beside(cpp, tmp_path):
    """Planted faults: one number of one kernel that lies there is changed; the file ends early; it is gone."""
    judged, _ = cpp
    document, tensors = json.loads((FOLDER / "poisson1d.json").read_text()), library.load_file(FOLDER / "poisson1d.safetensors")
    for group in document["groups"]:
        group["tests"] = [test for test in group["tests"] if test["id"] == ONE_NEURON]
    path, beside = tmp_path / "one.json", tmp_path / "one.safetensors"
    path.write_text(json.dumps(document))
    library.save_file(tensors, beside)
    right = judged(path)
    assert right["cases"] == 1
    assert right["ntk"] < 30
    kernel = tensors[f"{ONE_NEURON}/want/ntk/mid"]
    kernel[1, 2] *= 1 + 1e-9
    library.save_file(tensors, beside)
    assert judged(path)["ntk"] > 1e4
    beside.write_bytes(beside.read_bytes()[:-1])
    with pytest.raises(subprocess.CalledProcessError):
        judged(path)
    beside.unlink()
    with pytest.raises(subprocess.CalledProcessError):
        judged(path)


# Adapters


@pytest.mark.parametrize("module", ["with_torch:Torch", "with_jax:Jax"])
def test_adapters_are_right(module):
    few = sorted(some(), key=lambda case: case.theta.size)[:2]
    assert examine(load(module), few).passed


FAST = {  # mutants: a problem whose rows show the mistake
    **dict.fromkeys(
        ("traces: accumulated", "weights: not inverted", "W as (out, in)", "biases left out", "average: α on the old"), "wave"
    ),
    "u held constant in nonlinear terms": "nonlinear",
    "rows that join two points: one of them": "transport",
}


@pytest.mark.parametrize("name", FAST)
def test_a_mutant_is_rejected_and_named(name):
    from judge_mutants import judge as verdict

    found = verdict(name, [case for case in some(FAST[name]) if case.theta.size < 60])
    assert found["rejected"], found
    assert found["named"], found
