import dataclasses
import json

import numpy as np
import pytest

import refntk as rn
from refntk import files
from refntk.errors import DamagedFile
from refntk.training import History, train
from refntk.training.history import PER_TERM, SCHEMA, SERIES
from refntk.training.weightings import WEIGHTINGS

PROBLEM, NETWORK = rn.problems.get("poisson1d"), rn.MLP([1, 4, 1])


def made(**options):
    return train(PROBLEM, NETWORK, NETWORK.init(rng=17), **({"steps": 5, "record": 2, "samples": 3} | options))


def content(history, but):
    arrays = {name: (array.dtype, array.shape, array.tobytes()) for name, array in history.arrays().items()}
    return {name: value for name, value in (history.config | arrays).items() if name not in but}


def equal(left, right, *, but=()):
    """Whether two histories hold the same bytes and the same configuration."""
    return content(left, but) == content(right, but)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("eigenvalues", [False, True])
def test_saved_and_loaded_it_is_the_same(tmp_path, weighting, eigenvalues):
    history = made(weighting=weighting, eigenvalues=eigenvalues)
    history.save(tmp_path / "h.npz")
    assert equal(History.load(tmp_path / "h.npz"), history)


def test_that_comparison_sees_a_changed_bit():
    history = made()
    loss = history.loss.copy()
    loss[0] = np.nextafter(loss[0], 1.0)
    assert not equal(dataclasses.replace(history, loss=loss), history)
    assert not equal(dataclasses.replace(history, config=history.config | {"lr": 0.5}), history)


def test_shapes_and_names():
    history, terms = made(weighting="sketched", eigenvalues=True), ["interior", "boundary"]
    assert history.steps.tolist() == [0, 2, 4, 5]
    assert all(getattr(history, name).shape == (4,) for name in SERIES)
    assert all(list(getattr(history, name)) == terms for name in PER_TERM)
    assert all(column.shape == (4,) for name in PER_TERM for column in getattr(history, name).values())
    assert history.eigenvalues.shape == (4, 4)
    assert history.theta.shape == (NETWORK.size,)
    assert history.config["terms"] == terms
    assert history.config["rows"] == {"interior": 2, "boundary": 2}


def test_only_sketches_have_estimates():
    assert {w: bool(made(weighting=w).estimates) for w in WEIGHTINGS} == {w: w == "sketched" for w in WEIGHTINGS}


def test_the_configuration_builds_problem_and_network_again():
    problem = rn.problems.get("wave", c=3.0)
    network = rn.MLP([2, 3, 1], activation="sin", output_scale=0.5, **problem.normalization)
    config = train(problem, network, network.init(rng=17), steps=1).config
    names = ("activation", "output_scale", "parametrization", "shift", "scale")
    assert rn.MLP(config["sizes"], **{name: config[name] for name in names}) == network
    assert rn.problems.get(config["problem"], **config["parameters"]) == problem


def test_the_summary_is_the_end_in_json():
    history = made()
    summary = json.loads(json.dumps(history.summary(), allow_nan=False))
    assert summary["completed"] == 5
    assert summary["loss"] == history.loss[-1]
    assert summary["error"] == history.errors[-1]
    assert summary["weights"] == {term: values[-1] for term, values in history.weights.items()}


def test_an_unknown_error_is_null_in_the_summary():
    problem = rn.problems.get("quadratic")
    assert train(problem, None, problem.init(rng=17), steps=1, lr=1e-6).summary()["error"] is None


CHANGES = {
    "a column is missing": lambda a, c: (a.pop("loss"), c),
    "a term more": lambda a, c: (a, c["terms"].append("edge")),
    "no terms": lambda a, c: (a, c.pop("terms")),
    "terms that are no names": lambda a, c: (a, c.update(terms=[1, 2])),
    "no end": lambda a, c: (a, c.pop("completed")),
    "a row less": lambda a, c: (a.update(loss=a["loss"][:-1]), c),
    "single precision": lambda a, c: (a.update(theta=a["theta"].astype(np.float32)), c),
    "steps that are no integers": lambda a, c: (a.update(steps=a["steps"].astype(np.float64)), c),
    "steps that go back": lambda a, c: (a.update(steps=a["steps"][::-1].copy()), c),
    "no rows": lambda a, c: (a.update({k: v[:0] for k, v in a.items() if k != "theta"}), c),
    "a square theta": lambda a, c: (a.update(theta=np.ones((2, 2))), c),
    "flat eigenvalues": lambda a, c: (a.update(eigenvalues=np.ones(4)), c),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whole_files_that_are_no_histories_are_refused(tmp_path, change):
    history = made()
    arrays, config = dict(history.arrays()), json.loads(json.dumps(history.config))
    CHANGES[change](arrays, config)
    files.write(tmp_path / "h.npz", SCHEMA, {"config": config}, arrays)
    with pytest.raises(DamagedFile):
        History.load(tmp_path / "h.npz")


def test_a_configuration_that_is_no_object_is_refused(tmp_path):
    files.write(tmp_path / "h.npz", SCHEMA, {"config": [1]}, made().arrays())
    with pytest.raises(DamagedFile):
        History.load(tmp_path / "h.npz")


def test_a_checkpoint_is_no_history(tmp_path):
    made(checkpoint=tmp_path / "run.npz")
    with pytest.raises(DamagedFile, match="no refntk history"):
        History.load(tmp_path / "run.npz")
