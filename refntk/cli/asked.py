"""What is to be trained or weighed, as options of a command: a problem, a network for it, its first parameters."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import problems
from ..calculus.activation import ACTIVATIONS
from ..calculus.network import INITIALIZATIONS, MLP
from ..errors import InvalidInput
from ..problems.base import DirectProblem, Problem

WIDTH, DEPTH, ACTIVATION, INIT, SEED = 100, 3, "tanh", "xavier", 17


def declare(parser: argparse.ArgumentParser, **positional: Any) -> None:
    """The options of problem and network; `positional` are argparse's of PROBLEM."""
    what = parser.add_argument_group("problem")
    what.add_argument("problem", metavar="PROBLEM", help="a name from `refntk problems`", **positional)
    what.add_argument(
        "--set", action="append", type=pair(number), default=[], metavar="NAME=VALUE", help="a parameter of the equation"
    )
    what.add_argument(
        "--count", action="append", type=pair(_points), default=[], metavar="TERM=N", help="points of a term, 300; a grid, 30x10"
    )
    net = parser.add_argument_group("network")
    net.add_argument("--width", type=int, metavar="N", help=f"neurons of each hidden layer (default: {WIDTH})")
    net.add_argument("--depth", type=int, metavar="N", help=f"hidden layers (default: {DEPTH})")
    net.add_argument("--activation", default=ACTIVATION, metavar="|".join(ACTIVATIONS), help=f"(default: {ACTIVATION})")
    net.add_argument("--init", default=INIT, metavar="|".join(INITIALIZATIONS), help=f"how parameters start (default: {INIT})")


def problem_of(options: argparse.Namespace) -> Problem:
    """The problem asked for, with its parameters."""
    return problems.get(options.problem, **dict(options.set))


def network_of(problem: Problem, options: argparse.Namespace) -> tuple[MLP | None, np.ndarray]:
    """The network that width and depth ask for, on inputs normalised as the problem offers, and its first parameters."""
    if isinstance(problem, DirectProblem):
        for name in ("width", "depth"):
            if (value := getattr(options, name)) is not None:
                raise InvalidInput(name, value, f"problem {problem.name!r} has no network; leave it out")
        return None, problem.init(rng=options.seed)
    width, depth = (default if given is None else given for given, default in ((options.width, WIDTH), (options.depth, DEPTH)))
    if depth < 1:
        raise InvalidInput("depth", depth, "choose at least one hidden layer")
    sizes = [len(problem.coordinates), *[width] * depth, problem.outputs]
    shift, scale = (problem.normalization[name] for name in ("shift", "scale"))
    network = MLP(sizes, activation=options.activation, shift=shift, scale=scale)
    return network, network.init(rng=options.seed, scheme=options.init)


def pair(kind: Callable[[str], Any]) -> Callable[[str], tuple[str, Any]]:
    """`NAME=VALUE` as a pair."""

    def pair(text: str) -> tuple[str, Any]:
        name, _, value = text.partition("=")
        if not name:
            raise ValueError(text)
        return name, kind(value)

    return pair


def number(text: str) -> float | str:
    """A number if it reads as one; whoever asked judges the rest."""
    try:
        return float(text)
    except ValueError:
        return text


def _points(text: str) -> int | tuple[int, ...]:
    """`300` as a number, `30x10` as the cells of a grid."""
    cells = tuple(int(part) for part in text.split("x"))
    return cells if len(cells) > 1 else cells[0]
