"""Partial differential equations by name, one file each. A file that defines a `Problem` is found; nothing else need change.

>>> get("wave").coordinates
('x', 't')
"""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from importlib import import_module
from typing import Any

from ..errors import InvalidInput, UnknownNameError
from .base import Problem, Term

__all__ = ["Problem", "Term", "get", "names"]

PAPERS = ("Hirsch & Pichi 2025", "Best McKay et al. 2025", "Zhou & Yan 2024")


@lru_cache(maxsize=1)
def _registry() -> dict[str, type[Problem]]:
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    found = [c for c in _subclasses(Problem) if c.__module__.startswith(__name__ + ".") and hasattr(c, "name")]
    return {c.name: c for c in sorted(found, key=lambda c: (PAPERS.index(c.source[0]), c.source[1]))}


def _subclasses(cls: type) -> list[Any]:
    return [d for c in cls.__subclasses__() for d in (c, *_subclasses(c))]


def names() -> list[str]:
    """The problems' names, in the order of the papers and their sections."""
    return list(_registry())


def get(name: str, **parameters: float) -> Problem:
    """The problem of that name; keyword arguments override the PDE's parameters.

    Raises `UnknownNameError` for a name, `InvalidInput` for a parameter that does not exist.

    >>> get("wave", c=3.0).c
    3.0
    """
    try:
        kind = _registry()[name]
    except (KeyError, TypeError):
        raise UnknownNameError("problem", name, _registry()) from None
    known = {field for base in kind.__mro__ for field in getattr(base, "__dataclass_fields__", {})}
    for parameter in parameters:
        if parameter not in known:
            raise InvalidInput(parameter, parameters[parameter], f"{name!r} has the parameters {sorted(known) or 'none'}")
    return kind(**parameters)
