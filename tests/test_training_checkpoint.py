"""A run that is stopped, by whatever, and goes on must come to the same bits as one that was never stopped."""

import dataclasses
import errno
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from test_training_history import equal

import refntk as rn
from refntk import files
from refntk.errors import DamagedFile, InvalidInput
from refntk.training import train
from refntk.training.optimizers import OPTIMIZERS
from refntk.training.weightings import WEIGHTINGS

PROBLEM, NETWORK = rn.problems.get("poisson1d"), rn.MLP([1, 4, 1])
OWN = ("seconds", "versions")  # what two runs to the same end may differ in


def run(steps, **options):
    options = {"record": 4, "every": 5, "lr": 1e-5, "samples": 3, "checkpoint_every": 3} | options
    return train(PROBLEM, NETWORK, NETWORK.init(rng=17), **({"steps": steps} | options))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_longer_run_from_a_shorter_one(tmp_path, optimizer, weighting):
    """Stopped at 18, which is no multiple of `record` or `every`."""
    path = tmp_path / "run.npz"
    options = {"optimizer": optimizer, "weighting": weighting, "alpha": 1e-4}  # of an average that no single sample turns negative
    run(18, checkpoint=path, **options)
    resumed = run(33, checkpoint=path, resume=True, **options)
    straight = run(33, **options)
    assert straight.steps.tolist() == [*range(0, 33, 4), 33] or straight.config["converged"]
    assert equal(resumed, straight, but=OWN)


def test_eigenvalues_go_on_too(tmp_path):
    run(6, checkpoint=tmp_path / "run.npz", eigenvalues=True)
    assert equal(run(9, checkpoint=tmp_path / "run.npz", resume=True, eigenvalues=True), run(9, eigenvalues=True), but=OWN)


def forgetting(slot):
    """A planted fault: a checkpoint that does not keep one of the arrays."""
    from refntk.training.checkpoint import Checkpoint

    save = Checkpoint.save

    def faulty(self, path):
        state = getattr(self, slot[0])
        save(dataclasses.replace(self, **{slot[0]: state | {slot[1]: np.ones_like(state[slot[1]])}}), path)

    return faulty


@pytest.mark.parametrize("slot", [("optimizer", "v"), ("optimizer", "m"), ("weighting", "average")])
def test_that_check_rejects_a_checkpoint_that_forgets(tmp_path, monkeypatch, slot):
    path, options = tmp_path / "run.npz", {"weighting": "sketched", "every": 2}
    monkeypatch.setattr("refntk.training.checkpoint.Checkpoint.save", forgetting(slot))
    run(18, checkpoint=path, **options)
    monkeypatch.undo()
    assert not equal(run(33, checkpoint=path, resume=True, **options), run(33, **options), but=OWN)


SCRIPT = """
import sys
import refntk as rn
from refntk.training import train
problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 4, 1])
train(problem, network, network.init(rng=17), steps=400, weighting="sketched", samples=3, record=7,
      checkpoint=sys.argv[1], checkpoint_every=5, resume=True)
"""


def test_killed_at_any_moment_it_goes_on_to_the_same_bits(tmp_path):
    """kill -9, twice, after random times: the file is whole whenever it happens."""
    path = tmp_path / "run.npz"
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(path)], env=os.environ)
        deadline = time.monotonic() + 60
        while not path.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(random.uniform(0.0, 0.3))
        process.kill()
        process.wait()
        assert path.exists()
    options = {"weighting": "sketched", "samples": 3, "record": 7}
    theta = NETWORK.init(rng=17)
    resumed = train(PROBLEM, NETWORK, theta, steps=400, checkpoint=path, resume=True, **options)
    straight = train(PROBLEM, NETWORK, theta, steps=400, **options)
    assert equal(resumed, straight, but=OWN)


def test_without_a_file_resuming_begins(tmp_path):
    assert equal(run(6, checkpoint=tmp_path / "run.npz", resume=True), run(6), but=OWN)


def test_a_file_that_stands_there_is_not_lost_by_oversight(tmp_path):
    run(6, checkpoint=tmp_path / "run.npz")
    before = (tmp_path / "run.npz").read_bytes()
    with pytest.raises(InvalidInput, match="resume=True"):
        run(6, checkpoint=tmp_path / "run.npz")
    assert (tmp_path / "run.npz").read_bytes() == before


DIFFERENT = {
    "lr": 2e-3,
    "optimizer": "gd",
    "weighting": "trace",
    "rng": 18,
    "record": 5,
    "alpha": 0.5,
    "decay": None,
    "scaling": "mean",
    "resample": False,
    "counts": {"interior": 3},
    "eigenvalues": True,
    "h": 2.0,
}
NAMED = {"rng": "seed", "counts": "counts"}


@pytest.mark.parametrize("name", DIFFERENT)
def test_another_run_is_not_taken_up(tmp_path, name):
    run(6, checkpoint=tmp_path / "run.npz", weighting="sketched")
    with pytest.raises(InvalidInput) as caught:
        run(9, checkpoint=tmp_path / "run.npz", resume=True, **({"weighting": "sketched"} | {name: DIFFERENT[name]}))
    assert caught.value.argument == NAMED.get(name, name)


def test_other_parameters_are_another_run(tmp_path):
    run(6, checkpoint=tmp_path / "run.npz")
    with pytest.raises(InvalidInput, match="theta_sha256"):
        train(
            PROBLEM, NETWORK, NETWORK.init(rng=18), steps=9, record=4, every=5, lr=1e-5, samples=3,
            checkpoint=tmp_path / "run.npz", resume=True,
        )  # fmt: skip


def test_other_functions_h_are_told_apart(tmp_path):
    options = {"weighting": "spaced", "checkpoint": tmp_path / "run.npz"}
    run(6, h=lambda t: 5.0 * t**0.5, **options)
    assert run(7, h=lambda t: 5.0 * t**0.5, resume=True, **options).config["completed"] == 7
    with pytest.raises(InvalidInput, match=r"^h: "):
        run(8, h=lambda t: 6.0 * t**0.5, resume=True, **options)


def test_fewer_steps_than_made_are_refused(tmp_path):
    run(9, checkpoint=tmp_path / "run.npz")
    with pytest.raises(InvalidInput, match=r"^steps: got 6; .* made 9 already"):
        run(6, checkpoint=tmp_path / "run.npz", resume=True)


def test_as_many_steps_as_made_give_the_history_again(tmp_path):
    first = run(9, checkpoint=tmp_path / "run.npz")
    assert equal(run(9, checkpoint=tmp_path / "run.npz", resume=True), first, but=OWN)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    run(6, checkpoint=path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedFile):
        run(9, checkpoint=path, resume=True)


def test_a_history_is_no_checkpoint(tmp_path):
    run(6).save(tmp_path / "run.npz")
    with pytest.raises(DamagedFile, match="no refntk checkpoint"):
        run(9, checkpoint=tmp_path / "run.npz", resume=True)


def test_an_array_of_no_state_is_refused(tmp_path, monkeypatch):
    from refntk.training.checkpoint import SCHEMA

    run(6, checkpoint=tmp_path / "run.npz")
    meta, arrays = files.read(tmp_path / "run.npz", SCHEMA)
    files.write(tmp_path / "run.npz", SCHEMA, meta, arrays | {"points.interior": np.ones(2)})
    with pytest.raises(DamagedFile, match=r"points\.interior"):
        run(9, checkpoint=tmp_path / "run.npz", resume=True)


def test_a_place_that_cannot_be_written_is_known_after_one_step(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere") as caught:
        run(50, checkpoint=tmp_path / "nowhere" / "run.npz")
    assert caught.value.history.config["completed"] == 1


def test_a_disk_that_fills_up_leaves_the_last_checkpoint_and_the_history(tmp_path, monkeypatch):
    path, replace, calls = tmp_path / "run.npz", os.replace, []

    def filling(source, target):
        calls.append(target)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", filling)
    with pytest.raises(OSError, match="No space left") as caught:
        run(33, checkpoint=path)
    monkeypatch.undo()
    assert caught.value.history.config["completed"] == 9
    assert equal(run(33, checkpoint=path, resume=True), run(33), but=OWN)  # from step 6, the third checkpoint
