"""`refntk weights`: the rules of the library on the problem, parameters and points that were asked for, in three forms."""

import json
import shlex

import numpy as np
import pytest

import refntk as rn
from refntk import plots, weights
from refntk.cli import main
from refntk.cli.weights import told
from refntk.training import History
from refntk.weights import RULES, RULES_OF_U, trace_ratio

RULE_NAMES = [*RULES, *RULES_OF_U]
TINY = ["--count=interior=5", "--count=initial=3", "--count=velocity=4", "--count=boundary=3", "--width=6", "--depth=2"]
COUNTS = {"interior": 5, "initial": 3, "velocity": 4, "boundary": 3}


def numbers(tmp_path, *arguments):
    """What the command writes as JSON."""
    path = tmp_path / "weights.json"
    assert main(["weights", *arguments, f"--json={path}"]) == 0
    return json.loads(path.read_text())


def found(document):
    return {name: rule["weights"] for name, rule in document["rules"].items()}


@pytest.fixture
def run(tmp_path):
    """A run of `refntk train`: its folder."""
    out = tmp_path / "run"
    assert main(["train", "wave", *TINY, "--steps=7", "--record=3", "--seed=3", "--quiet", f"--out={out}"]) == 0
    return out


def test_every_rule_is_told_with_source_formula_and_weights(tmp_path, capsys):
    document = numbers(tmp_path, "wave", *TINY)
    out = capsys.readouterr().out
    assert list(document["rules"]) == sorted(RULE_NAMES)
    told = [text for rule in document["rules"].values() for text in (rule["source"], rule["formula"])]
    told += [f"{value:.3g}" for of in found(document).values() for value in of.values()]
    told += [f"×{value:.3g}" for rule in document["rules"].values() for value in rule["ratios"].values()]
    assert [text for text in told if text not in out] == []
    lines = out.splitlines()
    assert [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in RULE_NAMES] == RULE_NAMES
    assert {len(line) for line in lines[4::2]} == {len(lines[4])}  # aligned: every line of weights ends with the last column


def test_the_numbers_are_the_librarys(tmp_path):
    problem = rn.problems.get("wave", c=3.0)
    network = rn.MLP([2, 6, 6, 1], **problem.normalization)
    rng = np.random.default_rng(np.random.SeedSequence(5, spawn_key=(0,)))
    lin = rn.linearize(problem, network, network.init(rng=5, scheme="ntk"), problem.sample(rng=rng, counts=COUNTS))
    want = weights.compare(lin).weights
    arguments = ["wave", *TINY, "--set=c=3", "--init=ntk"]
    assert found(numbers(tmp_path, *arguments, "--seed=5")) == want
    assert found(numbers(tmp_path, *arguments, "--seed=6")) != want


def test_first_parameters_are_those_of_train(tmp_path, run):
    history = History.load(run / "history.npz")
    want = trace_ratio({term: float(traces[0]) for term, traces in history.traces.items()})
    assert found(numbers(tmp_path, "wave", *TINY, "--seed=3"))["wang_2022"] == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("killed", [False, True])
def test_a_trained_state(tmp_path, run, killed):
    """At the last record, on its points: the full kernel's weights of the history itself."""
    history = History.load(run / "history.npz")
    if killed:
        (run / "history.npz").unlink()
    want = trace_ratio({term: float(traces[-1]) for term, traces in history.traces.items()})
    document = numbers(tmp_path, f"--at={run}")
    assert found(document)["wang_2022"] == pytest.approx(want, rel=1e-12)
    assert found(document)["wang_2022"] != pytest.approx(found(numbers(tmp_path, "wave", *TINY, "--seed=3"))["wang_2022"], rel=1e-3)
    assert document["at"]["start"] == "after 7 steps of training"


def test_the_same_command_gives_the_same_numbers(tmp_path):
    first = numbers(tmp_path, "poisson1d", "--width=5", "--seed=9")
    assert first["at"]["rows"] == {"interior": 2, "boundary": 2}
    assert first["environment"]["versions"]["numpy"] == np.__version__
    assert main(shlex.split(first["command"])[1:]) == 0
    assert json.loads((tmp_path / "weights.json").read_text()) == first


def test_the_figure_is_drawn(tmp_path):
    path = tmp_path / "weights.svg"
    assert main(["weights", "poisson1d", "--width=5", f"--plot={path}"]) == 0
    assert path.read_bytes().startswith(b"<?xml")


def test_the_figure_shows_the_numbers():
    """A mark for each term in the row of each rule, a gap for a share of zero; formulas beside them."""
    names = ["wang_2022", "pina_2025_november"]
    figure = plots.rules(weights.Comparison({names[0]: {"a": 1.5, "b": 3.0}, names[1]: {"a": 1.0, "b": 0.0}}, {}), "two")
    (axes,) = figure.axes
    marks = {line.get_label(): line.get_xdata() for line in axes.lines if line.get_label() in "ab"}
    np.testing.assert_array_equal(marks["a"], [1.5, 1.0])
    np.testing.assert_array_equal(marks["b"], [3.0, np.nan])
    assert [text.get_text() for text in axes.get_yticklabels()] == names
    assert "dimensionless" in axes.get_xlabel()


def test_a_figure_of_nothing():
    assert plots.rules(weights.Comparison({}, {"wang_2022": "no trace"}), "nothing").axes


def test_a_problem_without_a_network_has_no_kernel_of_u(tmp_path, capsys):
    document = numbers(tmp_path, "quadratic")
    assert list(found(document)) == sorted(RULES)
    assert "no network" in capsys.readouterr().out


def test_what_is_refused_is_said(tmp_path, capsys):
    """All parameters zero: u = 0 and no row of the equation depends on them."""
    problem = rn.problems.get("wave")
    network = rn.MLP([2, 3, 1], **problem.normalization)
    found_ = weights.compare(rn.linearize(problem, network, np.zeros(network.size), problem.sample(rng=1, counts=COUNTS)))
    assert "wang_2022" in found_.refused
    assert found_.ratios == {}
    assert "wang_2022: no weights: s['interior']: got 0.0" in told(found_)


def test_points_of_the_callers_own_are_not_guessed(tmp_path, capsys):
    problem = rn.problems.get("wave")
    network = rn.MLP([2, 3, 1])
    points = problem.sample(rng=1, counts=COUNTS)
    rn.train(problem, network, network.init(rng=1), steps=2, points=points).save(tmp_path / "history.npz")
    assert main(["weights", f"--at={tmp_path}"]) == 2
    assert "points of the caller's own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "PROBLEM"),
        (["wavee"], "did you mean 'wave'"),
        (["--at=nowhere"], "no run of `refntk train`"),
        (["wave", "--at={run}", "--width=3"], "--width"),
        (["heat", "--at={run}"], "of 'wave'"),
        (["--at={run}", "--seed=4"], "--seed"),
        (["quadratic", "--width=3"], "has no network"),
        (["wave", *TINY, "--plot=weights.jpeg"], "suffix"),
        (["wave", "--count=interior=0"], "counts"),
    ],
)
def test_what_cannot_be_used_is_said(arguments, word, run, capsys):
    assert main(["weights", *(argument.format(run=run) for argument in arguments)]) == 2
    assert word in capsys.readouterr().err
