"""Candidates that take turns, A B C A B C …, in one process.

Two times taken in different minutes say little about each other on a machine that does anything else. In turns, whatever slows the
machine slows all candidates alike, and their ratios stand. Between turns there is a pause: the workers of OpenBLAS, and of other
thread pools, go on spinning for a while after a product and would slow down whoever comes next. Behind the pause a turn begins with
a call that does not count: in a training a step follows a step, and not somebody else's work and a fifth of a second of sleep.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from ..errors import InvalidInput

ROUNDS, WARMUPS = 9, 2
PAUSE = 0.2  # seconds; a numba step 50 ms behind a threaded product took 91 ms, 100 ms behind it and later 67 ms (wave, width 500)
SHORTEST = 0.01  # seconds; what takes less is called several times in a row and the time divided
LONG = 1.0  # seconds; what takes more begins its turn at once

Call = Callable[[], Any]
Name = TypeVar("Name")


@dataclass(frozen=True)
class Measurement:
    """Seconds per call, one number a round, each the mean over `calls` calls in a row.

    >>> fast, slow = Measurement((1.0, 2.0, 3.0)), Measurement((2.0, 6.0, 9.0))
    >>> slow.over(fast)
    {'min': 2.0, 'median': 3.0}
    """

    seconds: tuple[float, ...]
    calls: int = 1

    @property
    def min(self) -> float:
        """The least: the work with the least of everything else."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """The median: what one waits for."""
        return statistics.median(self.seconds)

    def over(self, other: Measurement) -> dict[str, float]:
        """The ratio of this to the other, minimum by minimum and median by median."""
        return {"min": self.min / other.min, "median": self.median / other.median}

    def summary(self) -> dict[str, Any]:
        """The numbers and what follows from them, for JSON."""
        return asdict(self) | {"min": self.min, "median": self.median}


def alternate(
    candidates: Mapping[Name, Call],
    /,
    *,
    rounds: int = ROUNDS,
    warmups: int = WARMUPS,
    pause: float = PAUSE,
    shortest: float = SHORTEST,
    clock: Callable[[], float] = time.perf_counter,
    progress: Callable[[], object] = lambda: None,
) -> dict[Name, Measurement]:
    """A `Measurement` of every candidate, called in turns: `warmups` rounds that do not count, then `rounds` that do.

    Before each turn garbage is collected and `pause` seconds pass; while the clock runs the collector is off. A candidate that took
    less than `shortest` seconds in the last warm-up is called several times a turn, and one that took less than `LONG` once more
    before the clock runs. `progress` hears of every turn.
    Raises `InvalidInput` for numbers of rounds below 1, of warm-ups below 0.

    >>> ticks = iter([0.0, 1.0, 1.0, 3.0, 3.0, 5.0, 5.0, 10.0])
    >>> alternate({"a": list, "b": dict}, rounds=2, warmups=0, pause=0, clock=lambda: next(ticks))["b"].seconds
    (2.0, 5.0)
    """
    if rounds < 1:
        raise InvalidInput("rounds", rounds, "choose at least 1; at least 9 for numbers to be published")
    if warmups < 0:
        raise InvalidInput("warmups", warmups, "choose a number that is not negative")
    calls, leads = dict.fromkeys(candidates, 1), dict.fromkeys(candidates, False)
    taken: dict[Name, list[float]] = {name: [] for name in candidates}
    with _collector_off():
        for turn in range(-warmups, rounds):
            for name, call in candidates.items():
                gc.collect()
                time.sleep(pause)
                if leads[name]:
                    call()
                seconds = _seconds(call, calls[name], clock)
                if turn >= 0:
                    taken[name].append(seconds)
                elif turn == -1:
                    calls[name], leads[name] = max(1, math.ceil(shortest / max(seconds, 1e-9))), seconds < LONG
                progress()
    return {name: Measurement(tuple(seconds), calls[name]) for name, seconds in taken.items()}


def _seconds(call: Call, calls: int, clock: Callable[[], float]) -> float:
    """Seconds per call."""
    start = clock()
    for _ in range(calls):
        call()
    return (clock() - start) / calls


@contextmanager
def _collector_off() -> Iterator[None]:
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()  # what stands already is not looked through at every turn: that takes long and empties the caches
    try:
        yield
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
