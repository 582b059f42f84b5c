"""What went wrong, said so that the reader can mend it: the argument, the value, the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InvalidInput(ValueError):
    """An argument that cannot be used. `argument`, `value` and `remedy` stand as attributes.

    >>> raise InvalidInput("alpha", 0.0, "choose a number in (0, 1]")
    Traceback (most recent call last):
    refntk.errors.InvalidInput: alpha: got 0.0; choose a number in (0, 1]
    """

    def __init__(self, argument: str, value: object, remedy: str):
        super().__init__(argument, value, remedy)  # all three in .args, so that the error pickles
        self.argument, self.value, self.remedy = argument, value, remedy

    def __str__(self) -> str:
        return f"{self.argument}: got {self.value}; {self.remedy}"


class ShapeError(InvalidInput):
    """An array, or a collection, of the wrong shape or size (no points included)."""


class NotFiniteError(InvalidInput):
    """An array that holds NaN or an infinity."""


class UnknownNameError(InvalidInput):
    """A name that no registry holds; the message offers the nearest ones."""

    def __init__(self, argument: str, value: object, known: Iterable[str]):
        known = list(known)
        near = difflib.get_close_matches(str(value), known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        super().__init__(argument, repr(value), f"{hint}known: {', '.join(known)}")
        self.args = (argument, value, known)


class TraceError(InvalidInput):
    """A kernel trace that is zero, negative or not finite, so that no weight follows from it."""


class DamagedFile(InvalidInput):
    """A file that is cut off, altered, foreign or too large to be trusted."""


class MissingDependency(ImportError):
    """An optional package is needed and not installed; the message names the extra to install."""
