"""Studies by name, one file each. A file that defines a `Study` is found; nothing else need change.

>>> "montecarlo" in names()
True
"""

from __future__ import annotations

import pkgutil
from functools import lru_cache
from importlib import import_module
from typing import Any

from ..errors import UnknownNameError
from .conduct import Conclusion, conduct
from .study import SCALES, Claim, Outcome, Study

__all__ = ["SCALES", "Claim", "Conclusion", "Outcome", "Study", "conduct", "get", "names"]


@lru_cache(maxsize=1)
def _registry() -> dict[str, Study[Any]]:
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    found = [kind() for kind in Study.__subclasses__() if kind.__module__.startswith(__name__ + ".")]
    return {study.name: study for study in sorted(found, key=lambda study: study.name)}


def names() -> list[str]:
    """The studies' names, in alphabetical order."""
    return list(_registry())


def get(name: str, /) -> Study[Any]:
    """The study of that name. Raises `UnknownNameError`."""
    registry = _registry()
    try:
        return registry[name]
    except (KeyError, TypeError):
        raise UnknownNameError("study", name, registry) from None
