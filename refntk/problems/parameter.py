"""The parameters of a PDE as dataclass fields that say which values they admit; `Problem` checks them when it is made."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import Field, field
from numbers import Real
from typing import Any

from ..errors import InvalidInput, NotFiniteError, UnknownNameError


def number(default: float, remedy: str, *, when: Callable[[float], bool]) -> Any:
    """A field for a finite number for which `when` holds; `remedy` is what the error says otherwise.

    A field with a bare number for its default admits every finite number.

    >>> from refntk import problems
    >>> problems.get("heat", diffusivity=-1.0)
    Traceback (most recent call last):
    refntk.errors.InvalidInput: diffusivity: got -1.0; choose a positive number
    """
    return field(default=default, metadata={"remedy": remedy, "when": when})


def positive(default: float) -> Any:
    """A field for a positive number."""
    return number(default, "choose a positive number", when=lambda value: value > 0)


def choice(default: str, *others: str) -> Any:
    """A field for one of several names."""
    return field(default=default, metadata={"names": (default, *others)})


def check(parameter: Field[Any], value: object) -> None:
    """Raises an `InvalidInput` that names the parameter unless it admits `value`."""
    names = parameter.metadata.get("names")
    if names is not None:
        if not isinstance(value, str) or value not in names:
            raise UnknownNameError(parameter.name, value, names)
    elif isinstance(parameter.default, Real):
        if not isinstance(value, Real) or isinstance(value, bool):
            raise InvalidInput(parameter.name, repr(value), "give a real number")
        if not math.isfinite(value):
            raise NotFiniteError(parameter.name, value, "give a finite number")
        if not parameter.metadata.get("when", math.isfinite)(value):
            raise InvalidInput(parameter.name, value, parameter.metadata["remedy"])
