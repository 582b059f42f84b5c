"""Partial differential equations by name, one file each. A file that defines a `Problem` is found; nothing else need change.

>>> get("wave").coordinates
('x', 't')
"""

from __future__ import annotations

import pkgutil
from dataclasses import fields
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
    found = [kind for kind in _subclasses(Problem) if kind.__module__.startswith(__name__ + ".") and hasattr(kind, "name")]
    return {kind.name: kind for kind in sorted(found, key=_place)}


def _place(kind: type[Problem]) -> tuple[int, str, str]:
    """Where a problem stands: by paper, papers not named above last, then by section."""
    paper, section = kind.source
    return PAPERS.index(paper) if paper in PAPERS else len(PAPERS), paper, section


def _subclasses(kind: type[Problem]) -> list[type[Problem]]:
    return [below for child in kind.__subclasses__() for below in (child, *_subclasses(child))]


def names() -> list[str]:
    """The problems' names, in the order of the papers and their sections.

    >>> names()[:3]
    ['poisson1d', 'quadratic', 'wave']
    """
    return list(_registry())


def get(name: str, /, **parameters: Any) -> Problem:
    """The problem of that name; keyword arguments override the PDE's parameters.

    Raises `UnknownNameError` for a name, `InvalidInput` for a parameter that does not exist or a value that it does not admit.

    >>> get("wave", c=3.0).c
    3.0
    """
    try:
        kind = _registry()[name]
    except (KeyError, TypeError):
        raise UnknownNameError("problem", name, _registry()) from None
    known = {field.name for field in fields(kind)}
    for parameter in parameters:
        if parameter not in known:
            raise InvalidInput(parameter, parameters[parameter], f"{name!r} has the parameters {sorted(known) or 'none'}")
    return kind(**parameters)
