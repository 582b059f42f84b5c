"""The seam between the mathematics and the machine: an engine is a handful of hot primitives, found by name.

Every primitive exists twice, with one name and one signature: in array code (the reference) and in numba (`fast`). The rest of the
house calls `engine.activate(...)` and does not know which one answers. Engines are loaded where they are asked for, so that
nothing imports numba unless somebody wants it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from .arrays import Namespace, is_numpy
from .errors import InvalidInput, UnknownNameError

HOMES = {
    "reference": {
        "activate": "refntk.calculus.passes",
        "activate_tangent": "refntk.calculus.passes",
        "activate_adjoint": "refntk.calculus.passes",
        "point_gram": "refntk.kernel.gram",
        "pair_gram": "refntk.kernel.gram",
    },
}


@dataclass(frozen=True)
class Engine:
    """The primitives of one engine; each is documented where the reference defines it."""

    name: str
    activate: Callable[..., Any]
    activate_tangent: Callable[..., Any]
    activate_adjoint: Callable[..., Any]
    point_gram: Callable[..., Any]
    pair_gram: Callable[..., Any]


def names() -> list[str]:
    """The engines that can be asked for."""
    return list(HOMES)


@cache
def _load(name: str) -> Engine:
    return Engine(name, **{primitive: getattr(import_module(home), primitive) for primitive, home in HOMES[name].items()})


def get(name: str, *, xp: Namespace) -> Engine:
    """The engine of that name, fit for arrays of `xp`. Raises `UnknownNameError`, or `InvalidInput` where it cannot serve `xp`."""
    if name not in HOMES:
        raise UnknownNameError("engine", name, HOMES)
    if name != "reference" and not is_numpy(xp):
        raise InvalidInput("engine", repr(name), "arrays other than NumPy's need engine='reference'")
    return _load(name)
