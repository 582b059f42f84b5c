"""The options of a training run, checked once, and what of them a file keeps."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from .. import engine as engines
from ..errors import InvalidInput, UnknownNameError
from ..estimation import probes
from ..kernel.residual import SCALINGS
from .natural import Natural
from .optimizers import OPTIMIZERS, Optimizer
from .spring import Spring
from .weightings import WEIGHTINGS, Weighting

ROUND = 100  # the default of `every` for optimizers whose rounds have many steps


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of `train` by its names, `every` and `resample` no longer left open. Raises `InvalidInput` that names one."""

    steps: int
    optimizer: str
    options: Mapping[str, Any] | None
    lr: float
    decay: tuple[float, int] | None
    weighting: str
    every: int
    alpha: float
    samples: int
    dt: float | None
    probe: str
    balance: bool
    h: float | Callable[[float], float]
    weights: Mapping[str, float] | None
    resample: bool
    counts: Mapping[str, Any] | None
    scaling: str
    seed: int
    engine: str
    record: int
    eigenvalues: bool

    def __post_init__(self) -> None:
        for name, known in (
            ("optimizer", OPTIMIZERS),
            ("weighting", WEIGHTINGS),
            ("probe", probes.KINDS),
            ("scaling", SCALINGS),
            ("engine", engines.names()),
        ):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known)
        self.optimization()  # names what is wrong with its options
        for name in ("steps", "every", "samples", "record"):
            whole(name, getattr(self, name))
        for name in ("balance", "eigenvalues", "resample"):
            if getattr(self, name) not in (True, False):
                raise InvalidInput(name, repr(getattr(self, name)), "choose True or False")
        _positive("lr", self.lr)
        if not 0 < _number("alpha", self.alpha) <= 1:
            raise InvalidInput("alpha", self.alpha, "choose the share of the new sample in (0, 1]")
        if self.dt is not None:
            _positive("dt", self.dt)
        self._check_decay()
        self._check_h()
        if self.resample and not OPTIMIZERS[self.optimizer].resamples():
            raise InvalidInput("resample", True, f"{self.optimizer!r} compares losses and needs fixed points: resample=False")
        if self.weights is not None and self.weighting != "fixed":
            raise InvalidInput("weights", self.weights, f"they are used with weighting='fixed', not {self.weighting!r}")

    def _check_decay(self) -> None:
        if self.decay is None:
            return
        try:
            factor, every = self.decay
        except (TypeError, ValueError):
            raise InvalidInput("decay", repr(self.decay), "give (factor, every), such as (0.9, 1000), or None") from None
        if not 0 < _number("decay[0]", factor) <= 1:
            raise InvalidInput("decay[0]", factor, "choose a factor in (0, 1]")
        whole("decay[1]", every)

    def _check_h(self) -> None:
        """Corollary 2 asks for a non-decreasing function into [0, ∞); o(t) cannot be checked."""
        if not callable(self.h):
            _positive("h", self.h)
            return
        values = self.h_values()
        if not all(math.isfinite(v) for v in values) or values[0] < 0 or sorted(values) != values:
            raise InvalidInput("h", values, "at t = 0, 1, 10, ..., 10⁶ it must be finite, not negative and not decreasing")

    def h_values(self) -> list[float]:
        """A function h at a few t: what a file keeps of it."""
        assert callable(self.h)
        return [float(self.h(t)) for t in (0, *(10**k for k in range(7)))]

    def optimization(self) -> Optimizer:
        """The optimizer of that name, with its options."""
        found = OPTIMIZERS[self.optimizer]
        if isinstance(found, Natural):
            return replace(found, options=self.options or {}, seed=self.seed)
        if isinstance(found, Spring):
            return found.having(self.options or {})
        if self.options:
            raise InvalidInput("options", self.options, f"they are for natural gradients; {self.optimizer!r} has none")
        return found

    def weighing(self) -> Weighting:
        """The weighting of that name, with the options it uses."""
        kind: Any = WEIGHTINGS[self.weighting]
        return kind(**{field.name: getattr(self, field.name) for field in fields(kind)})

    def config(self) -> dict[str, Any]:
        """The options as JSON; a function h is kept as its values at t = 0, 1, 10, ..., 10⁶."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain(kept | {"h": self.h_values() if callable(self.h) else self.h})


def plain(value: Any) -> Any:
    """`value` in the types of JSON.

    >>> plain({"counts": (3, np.int64(4)), "lr": np.float64(0.5)})
    {'counts': [3, 4], 'lr': 0.5}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def whole(name: str, value: Any) -> int:
    """`value` as a positive whole number. Raises `InvalidInput`."""
    try:
        number = 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise InvalidInput(name, repr(value), "choose a positive whole number")
    return number


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool | str) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise InvalidInput(name, repr(value), "give a finite number")
    return float(value)


def _positive(name: str, value: Any) -> None:
    if not _number(name, value) > 0:
        raise InvalidInput(name, value, "choose a positive number")


def seed_of(rng: int | np.random.Generator | None) -> int:
    """The one number from which every point and probe of a run follows; a `Generator` is drawn from once, None from the system.

    >>> seed_of(17)
    17
    """
    if rng is None:
        rng = np.random.default_rng()
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**63))
    try:
        seed = -1 if isinstance(rng, bool) else operator.index(rng)
    except TypeError:
        seed = -1
    if not 0 <= seed < 2**63:
        raise InvalidInput("rng", repr(rng), "pass a whole number in [0, 2⁶³) or a numpy.random.Generator")
    return seed
