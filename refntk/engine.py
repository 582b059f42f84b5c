"""The seam between the mathematics and the machine: an engine is a handful of hot primitives, found by name.

Every primitive exists twice, with one name and one signature: in array code (the reference) and in numba (`fast`). The rest of the
house calls `engine.forward(...)` and does not know which one answers. Engines are loaded where they are asked for, so that
nothing imports numba unless somebody wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from .arrays import Namespace, is_numpy
from .errors import InvalidInput, UnknownNameError

HOMES = {
    "reference": {
        "tile": "refntk.kernel.gram",
        "map": "builtins",
        "forward": "refntk.calculus.propagation",
        "tangent": "refntk.calculus.propagation",
        "adjoint": "refntk.calculus.propagation",
        "point_gram": "refntk.kernel.gram",
        "pair_gram": "refntk.kernel.gram",
        "combine": "refntk.kernel.gram",
        "average": "refntk.estimation.average",
    },
    "numba": {
        "tile": "refntk.fast.pool",
        "map": "refntk.fast.pool",
        "forward": "refntk.fast.propagation",
        "tangent": "refntk.fast.propagation",
        "adjoint": "refntk.fast.propagation",
        "point_gram": "refntk.fast.gram",
        "pair_gram": "refntk.fast.gram",
        "combine": "refntk.fast.gram",
        "average": "refntk.fast.average",
    },
}


@dataclass(frozen=True)
class Engine:
    """The primitives of one engine; each is documented where the reference defines it.

    `map(function, items)` runs a function over stretches of rows, in order; `tile(points, bytes_each)` how long they should be.
    """

    name: str
    tile: Callable[[int, int], int]
    map: Callable[..., Iterable[Any]]
    forward: Callable[..., Any]
    tangent: Callable[..., Any]
    adjoint: Callable[..., Any]
    point_gram: Callable[..., Any]
    pair_gram: Callable[..., Any]
    combine: Callable[..., Any]
    average: Callable[..., Any]


def names() -> list[str]:
    """The engines that can be asked for."""
    return list(HOMES)


@cache
def _load(name: str) -> Engine:
    return Engine(name, **{primitive: getattr(import_module(home), primitive) for primitive, home in HOMES[name].items()})


def get(name: str, *, xp: Namespace) -> Engine:
    """The engine of that name, fit for arrays of `xp`. Raises `UnknownNameError`, or `InvalidInput` where it cannot serve `xp`."""
    if name not in names():  # a list, so that a name that cannot be hashed is an unknown name too
        raise UnknownNameError("engine", name, HOMES)
    if name != "reference" and not is_numpy(xp):
        raise InvalidInput("engine", repr(name), "arrays other than NumPy's need engine='reference'")
    return _load(name)
