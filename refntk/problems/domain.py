"""Where points come from: boxes, their faces, and unions of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Protocol

import numpy as np

from ..errors import InvalidInput, ShapeError

Count = int | tuple[int, ...]


class Domain(Protocol):
    """What a term samples its points from."""

    @property
    def measure(self) -> float:
        """Length, area or volume in the domain's own dimension; the number of points of a finite set."""

    def sample(self, count: Count, *, rng: np.random.Generator) -> np.ndarray:
        """`count` points (count, dimension) drawn uniformly; a tuple of counts asks for a midpoint grid instead."""


@dataclass(frozen=True)
class Box:
    """The box [lower, upper]; a coordinate whose bounds agree is fixed, so faces and corners are boxes too.

    >>> Box((0.0, 0.0), (1.0, 2.0)).face(0, 1.0)
    Box(lower=(1.0, 0.0), upper=(1.0, 2.0))
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @property
    def free(self) -> tuple[int, ...]:
        """The coordinates that vary."""
        return tuple(i for i, (low, high) in enumerate(zip(self.lower, self.upper, strict=True)) if low < high)

    @property
    def measure(self) -> float:
        """The product of the free sides; 1 for a single point."""
        return math.prod(self.upper[i] - self.lower[i] for i in self.free)

    def face(self, coordinate: int, value: float) -> Box:
        """The part where one coordinate has this value."""
        lower, upper = list(self.lower), list(self.upper)
        lower[coordinate] = upper[coordinate] = value
        return Box(tuple(lower), tuple(upper))

    def faces(self, *coordinates: int) -> Union:
        """The lower and the upper face of each of these coordinates (of all that vary, if none is named)."""
        chosen = coordinates or self.free
        return Union(tuple(self.face(i, side[i]) for i in chosen for side in (self.lower, self.upper)))

    def sample(self, count: Count, *, rng: np.random.Generator) -> np.ndarray:
        """Uniform points (count, dimension), or the midpoints of a tensor grid with `count[i]` cells along free coordinate i.

        >>> Box((0.0,), (1.0,)).sample((2,), rng=np.random.default_rng())
        array([[0.25],
               [0.75]])
        """
        lower, side = np.asarray(self.lower), np.asarray(self.upper) - np.asarray(self.lower)
        if not isinstance(count, tuple):
            return lower + side * rng.random((count, len(self.lower)))
        if len(count) != len(self.free):
            raise ShapeError("counts", count, f"a grid here needs {len(self.free)} counts, one per free coordinate")
        axes = [np.array([0.5])] * len(self.lower)
        for i, cells in zip(self.free, count, strict=True):
            axes[i] = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(self.lower))
        return lower + side * grid


@dataclass(frozen=True)
class Union:
    """Several boxes, each with an equal share of the points; the first ones take what an even split leaves over."""

    parts: tuple[Box, ...]

    @property
    def measure(self) -> float:
        """The sum of the parts' measures."""
        return sum(part.measure for part in self.parts)

    def sample(self, count: Count, *, rng: np.random.Generator) -> np.ndarray:
        """Points part after part; a tuple of counts puts the same grid on each."""
        if isinstance(count, tuple):
            return np.concatenate([part.sample(count, rng=rng) for part in self.parts])
        shares = share(count, len(self.parts))
        return np.concatenate([part.sample(n, rng=rng) for part, n in zip(self.parts, shares, strict=True)])


def share(count: int, parts: int) -> list[int]:
    """`count` as `parts` whole numbers that differ by at most one, the larger first.

    >>> share(7, 3)
    [3, 2, 2]
    """
    return [(count + parts - 1 - i) // parts for i in range(parts)]


def check_count(name: str, count: Count) -> None:
    """Raises `InvalidInput` unless `count` is a positive whole number or a tuple of them."""
    numbers: Sequence[object] = count if isinstance(count, tuple) and count else (count,)
    if any(isinstance(n, bool) or not isinstance(n, Integral) or n < 1 for n in numbers):
        raise InvalidInput("counts", f"{name}: {count!r}", "give a positive number of points, or a tuple for a grid")
