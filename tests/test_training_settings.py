import json
import math

import numpy as np
import pytest

import refntk as rn
from refntk.errors import InvalidInput, UnknownNameError
from refntk.training import train
from refntk.training.optimizers import OPTIMIZERS
from refntk.training.settings import plain, seed_of
from refntk.training.weightings import WEIGHTINGS

PROBLEM, NETWORK = rn.problems.get("poisson1d"), rn.MLP([1, 4, 1])


def short(**options):
    return train(PROBLEM, NETWORK, NETWORK.init(rng=17), **({"steps": 2, "samples": 2} | options))


BAD = {
    "steps": [0, -1, 2.5, True, "ten", None],
    "lr": [0.0, -1e-3, math.nan, math.inf, "fast"],
    "decay": [0.9, (0.9,), "slow"],
    "decay[0]": [(0.0, 10), (1.5, 10), (math.nan, 10)],
    "decay[1]": [(0.9, 0), (0.9, 2.5)],
    "every": [0, 1.5],
    "alpha": [0.0, -0.1, 1.1, math.nan, None],
    "samples": [0, 1.5],
    "dt": [0.0, -1.0, math.nan],
    "balance": ["yes", None],
    "h": [0.0, -1.0, math.nan, lambda t: -1.0, lambda t: -t, lambda t: math.nan],
    "weights": [{"interior": 1.0}],
    "record": [0, 2.5],
    "eigenvalues": ["all"],
    "rng": [-1, 2.5, "seed", 2**63, True],
    "checkpoint_every": [0],
    "counts": [{"interior": 0}, {"nowhere": 3}],
    "resume": [True],
}
ARGUMENT = {"decay[0]": "decay", "decay[1]": "decay"}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_bad_options_are_named(name, value):
    with pytest.raises(InvalidInput) as caught:
        short(**{ARGUMENT.get(name, name): value})
    assert caught.value.argument == name


@pytest.mark.parametrize("name", ["optimizer", "weighting", "probe", "scaling", "engine"])
def test_unknown_names_offer_known_ones(name):
    with pytest.raises(UnknownNameError, match="known: ") as caught:
        short(**{name: "sketch"})
    assert caught.value.argument == name


@pytest.mark.parametrize("weights", [{"boundary": -1.0}, {"boundary": math.nan}, {"edge": 1.0}, {"boundary": [1.0, 2.0]}])
def test_fixed_weights_are_checked(weights):
    with pytest.raises(InvalidInput, match="weights"):
        short(weighting="fixed", weights=weights)


POINTS = {"interior": [[0.5]], "boundary": [[0.0], [1.0]]}


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"optimizer": "lbfgs", "resample": True}, "resample"),
        ({"points": POINTS, "resample": True}, "resample"),
        ({"points": POINTS, "counts": {"interior": 3}}, "counts"),
        ({"points": {"interior": [[0.5]]}}, "points"),
    ],
)
def test_options_that_exclude_each_other(options, argument):
    with pytest.raises(InvalidInput) as caught:
        short(**options)
    assert caught.value.argument == argument


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_every_pair_runs_and_its_options_are_json(optimizer, weighting):
    history = short(optimizer=optimizer, weighting=weighting, lr=1e-5)
    assert json.loads(json.dumps(history.config, allow_nan=False)) == history.config
    assert history.config["optimizer"] == optimizer
    assert np.isfinite(history.theta).all()


def test_a_function_h_is_kept_by_its_values():
    assert short(weighting="spaced", h=lambda t: 3.0 + t).config["h"] == [
        3.0,
        4.0,
        13.0,
        103.0,
        1003.0,
        10003.0,
        100003.0,
        1000003.0,
    ]


def test_numpy_numbers_are_numbers():
    assert short(lr=np.float32(0.5), steps=np.int64(1), rng=np.int32(5)).config["seed"] == 5
    assert plain({"a": (np.int64(1), None, "b", True)}) == {"a": [1, None, "b", True]}


def test_seeds():
    assert seed_of(0) == 0
    assert seed_of(np.random.default_rng(3)) == seed_of(np.random.default_rng(3)) != seed_of(np.random.default_rng(4))
    assert seed_of(None) != seed_of(None)
