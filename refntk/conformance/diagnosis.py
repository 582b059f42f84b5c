"""What a failing candidate computes instead: the hypothesis that explains its numbers, by how much, and how likely by chance.

A hypothesis is a world (another R and J), a reading (another functional of them) and a factor. It explains a check if it gives the
candidate's numbers on all cases that failed and does not contradict those that passed. The simplest one that does is named.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ..vectors.case import UNIT, Case
from .checks import PASS, Examination, Finding, Result
from .functionals import Reading
from .hypotheses import RIGHT, WORLDS
from .readings import FACTORS, readings, taken
from .worlds import Linear, World, safely

AGREES = 1e-7  # of the scale: J by differences is known no better, and chance is far from it
MOST_CASES, MOST_PARAMETERS, MOST_ROWS = 6, 150, 60
PRECISIONS = (  # where the largest errors lie, of the scale, if nothing else is wrong
    (0.0, 2.0**-28, "right, but digits are lost on the way (cancellation, as in 1 - tanh²; a tolerance)", ()),
    (2.0**-28, 2.0**-16, "right, but in single precision somewhere", (19,)),
    (2.0**-16, 2.0**-7, "right, but in half precision somewhere", (19,)),
)


@dataclass(frozen=True)
class Diagnosis:
    """Why a check failed: in words, the mistakes by number, the largest error under this reading (of the scale), and the power of
    ten of the chance that numbers agree so well by accident, all hypotheses counted; `words` is empty where nothing explains it.
    """

    check: str
    words: str = ""
    mistakes: tuple[int, ...] = ()
    error: float = math.inf
    chance: float = 0.0
    cases: int = 0
    tried: int = 0
    others: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        if not self.words:
            return f"nothing explains it ({self.tried} hypotheses tried)" if self.tried else "no numbers to explain"
        told = f"{self.words}; error under this reading {self.error:.0e}, {self.cases} cases, by chance < 1e{self.chance:.0f}"
        return told + (f"; not told apart here from: {'; '.join(self.others)}" if self.others else "")


def diagnose(examination: Examination, /) -> list[Diagnosis]:
    """One for each check that failed, in the order of a derivation. Cost: seconds.

    A world that explains an earlier check is tried first on the later ones: one mistake is behind them more often than two.
    """
    found: list[Diagnosis] = []
    known: list[World] = []
    for result in examination.failed:
        diagnosis, world = _diagnose(result, known)
        found.append(diagnosis)
        if world is not None and world not in known:
            known.append(world)
    return found


def _diagnose(result: Result, known: Sequence[World]) -> tuple[Diagnosis, World | None]:
    name = result.check.name
    failures = [f for f in result.failures if f.value is not None and f.quantity in f.case.want]
    if not failures:
        return Diagnosis(name), None
    small = sorted((f for f in failures if _fits(f.case)), key=lambda f: f.case.theta.size * f.case.probes.shape[0])
    telling = _spread(small, MOST_CASES)
    passed = _spread([f for f in result.findings if f.verdict == PASS and f.quantity in f.case.want and _fits(f.case)], MOST_CASES)
    tried = 0
    best: list[tuple[int, World, Reading, str, tuple[float, float]]] = []
    for cost, world, reading, factor in _hypotheses(failures[0].quantity, known) if telling else ():
        if best and cost > best[0][0] + 2:  # what is as simple is told beside it
            break
        tried += 1
        if (explained := _explains(world, reading, factor, telling, passed)) is not None:
            best.append((cost, world, reading, factor, explained))
    if not best:
        return _roughly(name, failures) or Diagnosis(name, tried=tried), None
    best.sort(key=lambda b: (b[0], b[4][0] > 1e-10))
    words = [_words(world, reading, factor) for _, world, reading, factor, _ in best]
    _, world, reading, factor, (error, chance) = best[0]
    mistakes = tuple(sorted({m for m in (world.mistake, reading.mistake, FACTORS[factor][0]) if m}))
    others = tuple(w for w in words[1:4] if w != words[0])
    return (
        Diagnosis(name, words[0], mistakes, error, min(chance + math.log10(tried), 0.0), len(telling), tried, others),
        world if world is not RIGHT else None,
    )


def _words(world: World, reading: Reading, factor: str) -> str:
    return ", ".join(part for part in (reading.words, world.words, factor) if part)


def _fits(case: Case) -> bool:
    return case.theta.size <= MOST_PARAMETERS and case.probes.shape[0] <= MOST_ROWS


def _spread(findings: Sequence[Finding], most: int) -> list[Finding]:
    """Some of them, from as many problems as there are."""
    by_problem: dict[str, list[Finding]] = {}
    for finding in findings:
        by_problem.setdefault(finding.case.problem.name, []).append(finding)
    ranked = sorted((i, problem) for problem, own in by_problem.items() for i in range(len(own)))
    return [by_problem[problem][i] for i, problem in ranked[:most]]


def _roughly(name: str, failures: Sequence[Finding]) -> Diagnosis | None:
    """Right up to precision: all errors lie where single or half precision puts them."""
    worst = max(f.error for f in failures) * UNIT
    for low, high, words, mistakes in PRECISIONS:
        if low < worst < high and float(np.median([f.error for f in failures])) * UNIT >= low / 2**6:
            chance = math.log10(worst) * min(len(failures), 8)
            return Diagnosis(name, words, mistakes, worst, chance, len(failures), 1)
    return None


def _hypotheses(quantity: str, known: Sequence[World]) -> Iterator[tuple[int, World, Reading, str]]:
    """Worlds, readings and factors, the simple ones first."""
    found = []
    for reading in readings(quantity):
        wrong = reading.cost if reading.words else 0
        for world in (RIGHT, *WORLDS):
            if world is not RIGHT and wrong > 1:
                continue
            for factor in FACTORS:
                cost = 10 * wrong + FACTORS[factor][2] + (0 if world is RIGHT else 5 if world in known else 11)
                if 0 < cost <= 33 and not (quantity.startswith("weights/") and factor and wrong > 1):
                    found.append((cost, world, reading, factor))
    yield from sorted(found, key=lambda hypothesis: hypothesis[0])


def _explains(
    world: World, reading: Reading, factor: str, telling: Sequence[Finding], passed: Sequence[Finding]
) -> tuple[float, float] | None:
    """The largest error and the power of ten of its chance; None if the numbers contradict it."""
    worst, chance, differs = 0.0, 0.0, False
    for finding in telling:
        predicted = _predicted(world, reading, factor, finding.case)
        if predicted is None or finding.value is None:
            return None
        error = _error(finding.value, predicted, finding)
        if not error < AGREES:
            return None
        differs = differs or not _error(finding.case.want[finding.quantity].mid, predicted, finding) < 10 * AGREES
        worst = max(worst, error)
        chance += min(predicted.size, 8) * math.log10(2 * max(error, UNIT))
    for finding in passed:
        predicted = _predicted(world, reading, factor, finding.case)
        if predicted is not None and finding.value is not None and not _error(finding.value, predicted, finding) < AGREES:
            return None
    return (worst, chance) if differs else None


def _predicted(world: World, reading: Reading, factor: str, case: Case) -> np.ndarray | None:
    lin = _linear(world, case)
    if lin is None:
        lin = _linear(RIGHT, case)  # where the world makes no difference
    if lin is None:
        return None
    found = _taken(reading, lin)
    return None if found is None else found * FACTORS[factor][1](lin)


@lru_cache(maxsize=2048)
def _linear(world: World, case: Case) -> Linear | None:
    return safely(world.make, case)


@lru_cache(maxsize=20_000)
def _taken(reading: Reading, lin: Linear) -> np.ndarray | None:
    return taken(reading, lin)


def _error(got: np.ndarray, predicted: np.ndarray, finding: Finding) -> float:
    """The largest |got - predicted| of its scale: its size, that of the wanted number, and a millionth of the largest."""
    if got.shape != predicted.shape or not np.all(np.isfinite(got)):
        return math.inf
    scale = np.abs(predicted) + 2.0**-20 * float(np.max(np.abs(predicted), initial=0.0))
    wanted = finding.case.want[finding.quantity].scale
    if wanted.shape == predicted.shape:
        scale = np.maximum(scale, np.minimum(wanted, 2.0**10 * np.max(scale)))
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.where(got == predicted, 0.0, np.abs(got - predicted) / scale)
    return float(np.max(errors, initial=0.0))
