"""A recorded run built again: problem, network, the parameters at its end, and the points that the next step would take."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .. import files, problems
from ..calculus.network import MLP
from ..errors import InvalidInput
from ..problems.base import Problem
from .checkpoint import SCHEMA
from .describe import describe
from .history import History


def rebuild(history: History, /) -> tuple[Problem, MLP | None, np.ndarray, dict[str, np.ndarray]]:
    """`(problem, network, theta, points)` for `linearize`, unscaled: where the last record of a history was made.

    Raises `InvalidInput` where the points were the caller's own, which no file holds.

    >>> import refntk as rn
    >>> problem, network = rn.problems.get("wave", c=3.0), rn.MLP([2, 4, 1])
    >>> counts = {term.name: 3 for term in problem.terms}
    >>> history = rn.train(problem, network, network.init(rng=17), steps=2, counts=counts, rng=17)
    >>> traces = rn.ntk_traces(rn.linearize(*rebuild(history)))
    >>> all(abs(traces[term] / recorded[-1] - 1) < 1e-12 for term, recorded in history.traces.items())
    True
    """
    config = history.config
    problem = problems.get(config["problem"], **config["parameters"])
    shape = ("activation", "output_scale", "parametrization", "shift", "scale")
    network = None if config["sizes"] is None else MLP(config["sizes"], **{name: config[name] for name in shape})
    counts = {term: tuple(count) if isinstance(count, list) else count for term, count in (config["counts"] or {}).items()}
    step = config["completed"] if config["resample"] else 0
    rng = np.random.default_rng(np.random.SeedSequence(config["seed"], spawn_key=(step,)))
    points = problem.sample(rng=rng, counts=counts)
    digest: Any = config["points_sha256"]
    if digest is not None and digest != describe(problem, network, history.theta, points, {})["points_sha256"]:
        raise InvalidInput("history", "points of the caller's own", "no file holds them: linearize at them yourself")
    return problem, network, history.theta, points


def unfinished(path: str | os.PathLike[str], /) -> History:
    """The history in a checkpoint, for a run that wrote no other. Raises `DamagedFile`, `OSError`."""
    meta, arrays = files.read(path, SCHEMA)
    return History.of_arrays(path, meta, arrays)
