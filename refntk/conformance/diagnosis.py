"""What a failing candidate computes instead: the hypothesis that explains its numbers, by how much, and how likely by chance.

A hypothesis explains a check if it gives the candidate's numbers on all cases that failed and does not contradict those that
passed. The simplest one that does is named. Samples of estimators have no numbers to agree on: there a law is named that they do
not contradict, where they contradict the right one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..vectors.case import UNIT, Case
from . import chance
from .checks import PASS, Examination, Finding, Result
from .hypotheses import Hypothesis, hypotheses
from .laws import LAWS, explanations
from .variants import RIGHT, Linearized, Variant, linearized

AGREES = 1e-7  # of the scale: J by differences is known no better, and chance is far from it
BETTER = 100  # so many times nearer to the candidate's numbers than the right ones are
MOST_CASES, MOST_PARAMETERS, MOST_ROWS = 6, 150, 60
AS_SIMPLE = 2  # of cost: what is hardly more far-fetched is told beside the best
PRECISIONS = (  # where the largest errors lie, of the scale, if nothing else is wrong
    (0.0, 2.0**-28, "right, but digits are lost on the way (cancellation, as in 1 - tanh²; a tolerance)", ()),
    (2.0**-28, 2.0**-16, "right, but in single precision somewhere", (19,)),
    (2.0**-16, 2.0**-7, "right, but in half precision somewhere", (19,)),
)


@dataclass(frozen=True)
class Diagnosis:
    """Why a check failed: in words (none where nothing explains it), the mistakes by number (`mistakes.py`), the largest error
    under this reading (of the scale), and the power of ten of a bound of the chance that numbers agree so well by accident
    (`chance.py`); of samples, that a right estimator draws such ones. NaN where none is stated.
    """

    check: str
    words: str = ""
    mistakes: tuple[int, ...] = ()
    error: float = math.nan
    chance: float = math.nan
    cases: int = 0
    tried: int = 0
    others: tuple[str, ...] = field(default=())

    @property
    def digits(self) -> bool:
        """Whether nothing is wrong but digits, or the precision."""
        return any(self.words == words for _, _, words, _ in PRECISIONS)

    def __str__(self) -> str:
        if not self.words:
            return f"nothing explains it ({self.tried} hypotheses tried)" if self.tried else "nothing to compare with hypotheses"
        told = [self.words]
        if not math.isnan(self.error):
            told.append(f"error under this reading {self.error:.0e}, {self.cases} cases")
        if not math.isnan(self.chance):
            told.append(f"by chance < 1e{math.ceil(self.chance)}")
        if self.others:
            told.append(f"not told apart here from: {'; '.join(self.others)}")
        return "; ".join(told)


def diagnose(examination: Examination, /) -> list[Diagnosis]:
    """One for each check that failed, in the order of a derivation. Cost: seconds.

    A variant that explains an earlier check is tried first on the later ones: one mistake is behind them more often than two.
    """
    found: list[Diagnosis] = []
    known: list[Variant] = []
    for result in examination.failed:
        diagnosis, variant = _sampled(result, known) if result.check.sampled else _diagnose(result, known)
        found.append(diagnosis)
        if variant is not RIGHT and variant not in known:
            known.append(variant)
    return found


def _diagnose(result: Result, known: Sequence[Variant]) -> tuple[Diagnosis, Variant]:
    name = result.check.name
    failures = [f for f in result.failures if f.value is not None and f.quantity in f.case.want]
    if not failures:
        return Diagnosis(name), RIGHT
    telling = _spread(failures)
    passed = _spread([f for f in result.findings if f.verdict == PASS and f.quantity in f.case.want])
    tried = 0
    best: list[tuple[Hypothesis, float, int]] = []
    for hypothesis in hypotheses(failures[0].quantity, known) if telling else ():
        if best and hypothesis.cost > best[0][0].cost + AS_SIMPLE:
            break
        tried += 1
        if (agreement := _agreement(hypothesis, telling, passed)) is not None:
            best.append((hypothesis, *agreement))
    if not best:
        return _roughly(name, failures) or Diagnosis(name, tried=tried), RIGHT
    best.sort(key=lambda b: (b[0].cost, b[1] > 1e-10))
    (hypothesis, error, evidence), *_ = best
    others = tuple(h.words for h, *_ in best[1:4] if h.words != hypothesis.words)
    likely = chance.bound(evidence, error, tried)
    return Diagnosis(name, hypothesis.words, hypothesis.mistakes, error, likely, len(telling), tried, others), hypothesis.variant


def _agreement(hypothesis: Hypothesis, telling: Sequence[Finding], passed: Sequence[Finding]) -> tuple[float, int] | None:
    """The largest error and how many numbers are evidence; None if the numbers contradict the hypothesis."""
    worst, ratios = 0.0, []
    for finding in (*telling, *passed):
        predicted = hypothesis.numbers(finding.case)
        if predicted is None or finding.value is None:
            if finding in telling:
                return None
            continue
        error = _error(finding.value, predicted, finding)
        if not error < AGREES and not error < hypothesis.blur(finding.case):
            return None
        if finding in telling:
            worst = max(worst, error)
            right, least = finding.case.want[finding.quantity].mid, BETTER * max(error, UNIT)
            if not _error(right, predicted, finding) <= least:
                ratios.append(chance.ratios(predicted, right, least))
    return (worst, chance.different(np.concatenate(ratios))) if ratios else None


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


def _spread(findings: Sequence[Finding]) -> list[Finding]:
    """Some of the small ones, from as many problems as there are."""
    by_problem: dict[str, list[Finding]] = {}
    for finding in sorted(findings, key=lambda f: f.case.theta.size * f.case.probes.shape[0]):
        if _fits(finding.case):
            by_problem.setdefault(finding.case.problem.name, []).append(finding)
    ranked = sorted((i, problem) for problem, own in by_problem.items() for i in range(len(own)))
    return [by_problem[problem][i] for i, problem in ranked[:MOST_CASES]]


def _fits(case: Case) -> bool:
    return case.theta.size <= MOST_PARAMETERS and case.probes.shape[0] <= MOST_ROWS


def _roughly(name: str, failures: Sequence[Finding]) -> Diagnosis | None:
    """Right up to precision: all errors lie where single or half precision puts them."""
    worst = max(f.error for f in failures) * UNIT
    for low, high, words, mistakes in PRECISIONS:
        if low < worst < high and float(np.median([f.error for f in failures])) * UNIT >= low / 2**6:
            return Diagnosis(name, words, mistakes, worst, cases=len(failures), tried=1)
    return None


def _sampled(result: Result, known: Sequence[Variant]) -> tuple[Diagnosis, Variant]:
    """The laws that no failing case contradicts, of the right rows, or of those of a variant that an earlier check has shown."""
    name = result.check.name
    failures = [f for f in result.failures if f.value is not None and math.isfinite(f.error)][:MOST_CASES]
    if not failures:
        return Diagnosis(name), RIGHT
    likely = max(min(f.chance for f in failures), chance.LEAST)
    for variant in (RIGHT, *known):
        each = [explanations(f.quantity, f.value, _rows(variant, f.case)) for f in failures if f.value is not None]
        common = [e for e in each[0] if all(e.words in [other.words for other in own] for own in each)]
        if common:
            best, *others = common
            said = ", ".join(part for part in (str(best), variant.words) if part)
            mistakes = tuple(sorted({m for m in (best.mistake, variant.mistake) if m}))
            told = tuple(str(other) for other in others[:3])
            return Diagnosis(name, said, mistakes, chance=likely, cases=len(failures), tried=len(LAWS), others=told), variant
    return Diagnosis(name, tried=len(LAWS) * (1 + len(known))), RIGHT


def _rows(variant: Variant, case: Case) -> Linearized:
    """The rows of a variant, the right ones where it makes no difference."""
    found = linearized(variant, case) or linearized(RIGHT, case)
    assert found is not None  # the right rows are always there
    return found
