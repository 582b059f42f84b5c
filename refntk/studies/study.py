"""What a study is: a frozen configuration, a grid of cells, what they combine to, the claims it checks, and its figures.

A study is one file of this folder that defines a `Study`; nothing else need change. A cell is a pure function of configuration,
cell and key, so that it may run anywhere, in any order, and again: its arrays are the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from ..errors import InvalidInput, UnknownNameError
from .figure import Figure

SCALES = ("smoke", "desk", "paper")  # seconds; about ten minutes on two cores at most; the paper's own sizes

Cell = Mapping[str, Any]  # one point of the grid: JSON scalars by name
Arrays = Mapping[str, np.ndarray]
C = TypeVar("C")  # the configuration: a frozen dataclass of JSON values and tuples of them


@dataclass(frozen=True)
class Claim:
    """One statement that a study checks: the number claimed, the number measured, and whether the measured one bears it out.

    `interval` is the 95 % confidence interval of what was measured, where chance has a part in it.
    """

    statement: str
    claimed: str
    measured: float
    holds: bool
    interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """NumPy's scalars become Python's; a number that is none bears nothing out."""
        object.__setattr__(self, "measured", float(self.measured))
        object.__setattr__(self, "holds", bool(self.holds) and not math.isnan(self.measured))

    def plain(self) -> dict[str, Any]:
        """The claim as JSON values, what is not finite as null.

        >>> Claim("order", "2", math.nan, True).plain()
        {'statement': 'order', 'claimed': '2', 'measured': None, 'holds': False, 'interval': None}
        """
        ends = [end if math.isfinite(end) else None for end in self.interval or ()]
        return asdict(self) | {
            "measured": self.measured if math.isfinite(self.measured) else None,
            "interval": ends or None,
        }

    def __str__(self) -> str:
        """The claim on one line."""
        spread = "" if self.interval is None else " [{:.4g}, {:.4g}]".format(*self.interval)
        return f"{'holds' if self.holds else 'FAILS'}: {self.statement}: {self.measured:.4g}{spread}, claimed {self.claimed}"


@dataclass(frozen=True, eq=False)
class Outcome(Generic[C]):
    """What all cells gave: `arrays[name][i]` belongs to `cells[i]`; claims and figures follow from this and nothing else."""

    config: C
    cells: Sequence[Cell]
    arrays: Arrays

    def where(self, **values: Any) -> np.ndarray:
        """The positions (int64) of the cells with these values, in the order of the grid.

        >>> Outcome(None, [{"n": 1}, {"n": 2}, {"n": 1}], {}).where(n=1)
        array([0, 2])
        """
        return np.array([i for i, cell in enumerate(self.cells) if all(cell[k] == v for k, v in values.items())], dtype=np.int64)

    def column(self, name: str, **values: Any) -> np.ndarray:
        """A parameter of the cells as an array, of those with these values.

        >>> Outcome(None, [{"n": 1}, {"n": 2}, {"n": 1}], {}).column("n")
        array([1, 2, 1])
        """
        return np.array([self.cells[i][name] for i in self.where(**values)])


class Study(ABC, Generic[C]):
    """A study of configuration C. Its docstring says in one line what is asked, then how it is answered."""

    name: ClassVar[str]
    source: ClassVar[str]  # what it checks: paper and place
    scales: Mapping[str, C]  # a configuration for each of SCALES
    version: ClassVar[int] = 1

    @abstractmethod
    def cells(self, config: C) -> list[Cell]:
        """The grid, in the order of the outcome."""

    @abstractmethod
    def measure(self, config: C, cell: Cell, *, key: int) -> Arrays:
        """What one cell gives; `key` in [0, 2^64) is all its chance.

        The same names, dtypes and shapes for every cell, unless `combine` says otherwise.
        """

    def combine(self, config: C, cells: Sequence[Cell], found: Sequence[Arrays]) -> Outcome[C]:
        """The outcome: the cells' arrays one upon the other, unless a study says otherwise."""
        return Outcome(config, cells, {name: np.stack([arrays[name] for arrays in found]) for name in found[0]})

    @abstractmethod
    def claims(self, outcome: Outcome[C]) -> list[Claim]:
        """What the outcome says about each statement."""

    @abstractmethod
    def figures(self, outcome: Outcome[C]) -> list[Figure]:
        """The outcome to look at."""

    def configure(self, scale: str, changes: Mapping[str, Any] | None = None) -> C:
        """The configuration of a scale with some values changed. Raises `UnknownNameError`, `InvalidInput`."""
        if scale not in list(self.scales):
            raise UnknownNameError("scale", scale, self.scales)
        config: Any = self.scales[scale]
        known = {field.name for field in fields(config)}
        for name, value in (changes or {}).items():
            if name not in known:
                raise UnknownNameError("set", name, known)
            there = getattr(config, name)
            try:
                config = replace(config, **{name: _as_type(there)(value)})
                plain(config)  # which no NaN and no infinity can be
            except (TypeError, ValueError, KeyError) as error:
                raise InvalidInput(name, repr(value), f"give a value like {there!r}") from error
        return config


def _as_type(example: Any) -> Callable[[Any], Any]:
    """A reader of values like the example: tuples element by element."""
    if isinstance(example, tuple):
        inner = _as_type(example[0])
        return lambda value: tuple(inner(v) for v in (value.split(",") if isinstance(value, str) else value))
    if isinstance(example, bool):
        return lambda value: {"true": True, "false": False}[str(value).lower()]
    return type(example)


def plain(config: Any) -> dict[str, Any]:
    """A configuration as JSON values."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(config), allow_nan=False))
    return found


def identity(study: Study[Any], config: Any, cell: Cell, *, seed: int, code: str) -> dict[str, Any]:
    """All that a cell's arrays depend on, as JSON values: no more, so that it is found again, and no less."""
    return {"study": study.name, "config": plain(config), "cell": dict(cell), "seed": seed, "code": code}


def key_of(study: Study[Any], cell: Cell, *, seed: int) -> int:
    """The key of a cell in [0, 2^64): SHA-256 of study, cell and seed. Chance does not change with the rest of the grid."""
    text = json.dumps([study.name, dict(cell), seed], sort_keys=True, allow_nan=False)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
