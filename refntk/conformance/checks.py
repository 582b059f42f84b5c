"""The checks, one for each quantity, and what came of them: every case judged by the scale and the flags it carries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..vectors.case import ACCEPTABLE, TOLERANCE, UNIT, Case
from ..weights import RULES
from . import estimators
from .estimators import LAW, SAMPLED
from .protocol import NOTHING, QUANTITIES, Answer, Candidate, questions
from .variants import RIGHT, linearized

PASS, WARN, FAIL, NONE = "pass", "warn", "FAIL", "not offered"
HUGE = 2.0**40  # a weight that does not exist may come as 1/rounding
LOST = 2.0**-20  # of the scale: what is worse has lost more than digits
UNITS = ("units of rounding of the scale", "shares of what chance allows")
EACH = 4  # cases of every problem in the quick selection


@dataclass(frozen=True)
class Check:
    """One quantity, and what it is."""

    name: str
    about: str

    @property
    def sampled(self) -> bool:
        """Whether samples are judged by their law, and not numbers by a tolerance."""
        return self.name in SAMPLED

    @property
    def unit(self) -> str:
        """Of the error: what a finding has to stay below is in `TOLERANCE`."""
        return UNITS[self.sampled]

    def covers(self, quantity: str) -> bool:
        """Whether this check judges that quantity: `jets` is one check for all terms."""
        return quantity == self.name or (self.name == "jets" and quantity.startswith("jets/"))


def checks() -> list[Check]:
    """All of them, in the order of a derivation.

    >>> [check.name for check in checks()][:3], len(checks())
    (['jets', 'residual', 'jacobian'], 32)
    """
    found = []
    for name, about in QUANTITIES.items():
        if name == "weights":
            found += [Check(f"weights/{rule}", f"λ_k: {known.source}") for rule, known in RULES.items()]
        else:
            found.append(Check(name, about))
    return found + [Check(name, about) for name, about in SAMPLED.items()]


@dataclass(frozen=True, eq=False)
class Finding:
    """One quantity of one case: `verdict`, the error in the unit of its check, and `why` there is none or what is off.

    `chance` is the power of ten of a bound of the probability that a right estimator is so far off.
    """

    case: Case
    quantity: str
    verdict: str
    error: float = np.nan
    why: str = ""
    value: np.ndarray | None = None
    chance: float = 0.0


def judge(case: Case, quantity: str, answer: Answer, /) -> Finding:
    """The verdict on an answer: an error of at most 30 u · scale passes; worse in a case of lost digits only warns.

    Samples pass if no statistic is farther from its law than chance allows (`estimators.py`).

    Of weights that do not exist, none must be given: no answer, an exception, infinities and negative numbers are all right.

    >>> from refntk.vectors import read
    >>> case = next(read(only="wave"))
    >>> judge(case, "traces", Answer(case.want["traces"].mid)).verdict, judge(case, "traces", Answer(np.ones(4))).verdict
    ('pass', 'FAIL')
    """
    value = answer.value
    if not answer.offered:
        return Finding(case, quantity, NONE, why=answer.why)
    if quantity in case.refused:
        given = value is not None and bool(np.all(np.isfinite(value)) and np.all(value > 0) and np.all(value < HUGE))
        return Finding(case, quantity, FAIL if given else PASS, 0.0, "gives weights where none exist" if given else "", value)
    if value is None:
        return Finding(case, quantity, FAIL, np.inf, answer.why)
    if quantity in SAMPLED:
        return _judge_samples(case, quantity, value)
    want = case.want[quantity]
    error = want.error(value)
    if error <= TOLERANCE:
        return Finding(case, quantity, PASS, error, value=value)
    why = ""
    if value.shape != want.mid.shape:
        why = f"has the shape {value.shape}, not {want.mid.shape}"
    elif not np.all(np.isfinite(value)):
        why = "is not finite"
    lost = error * UNIT < LOST and set(case.flags) & set(ACCEPTABLE)
    return Finding(case, quantity, WARN if lost else FAIL, error, why, value)


def _judge_samples(case: Case, quantity: str, value: np.ndarray) -> Finding:
    shape = estimators.shape(quantity, case)
    if value.shape != shape:
        return Finding(case, quantity, FAIL, np.inf, f"has the shape {value.shape}, not {shape}")
    if not np.all(np.isfinite(value)):
        return Finding(case, quantity, FAIL, np.inf, "is not finite")
    lin = linearized(RIGHT, case)
    assert lin is not None  # the right rows are always there
    off = estimators.worst(value, estimators.forms(quantity, lin), LAW[quantity.partition("/")[2]], estimators.PROBES)
    if off.share <= 1:
        return Finding(case, quantity, PASS, off.share, value=value)
    return Finding(case, quantity, FAIL, off.share, str(off), value, off.chance)


@dataclass(frozen=True, eq=False)
class Result:
    """All findings of one check."""

    check: Check
    findings: Sequence[Finding] = field(default_factory=tuple)

    @property
    def judged(self) -> list[Finding]:
        """Those for which there was an answer."""
        return [finding for finding in self.findings if finding.verdict != NONE]

    @property
    def failures(self) -> list[Finding]:
        """Those that failed."""
        return [finding for finding in self.findings if finding.verdict == FAIL]

    @property
    def verdict(self) -> str:
        """The worst of all."""
        found = {finding.verdict for finding in self.findings}
        return next((verdict for verdict in (FAIL, WARN, PASS) if verdict in found), NONE)

    @property
    def worst(self) -> Finding | None:
        """The finding with the largest error; among those that fail, if any does."""
        return max(self.failures or self.judged, key=lambda finding: finding.error, default=None)


@dataclass(frozen=True, eq=False)
class Examination:
    """A candidate and the results of all checks."""

    candidate: str
    cases: Sequence[Case]
    results: Sequence[Result]

    @property
    def failed(self) -> list[Result]:
        """The checks that failed."""
        return [result for result in self.results if result.verdict == FAIL]

    @property
    def offered(self) -> bool:
        """Whether there was anything to judge."""
        return any(result.judged for result in self.results)

    @property
    def passed(self) -> bool:
        """Whether something was judged and nothing failed."""
        return self.offered and not self.failed


def examine(candidate: Candidate, cases: Iterable[Case], /, *, tell: Callable[[Case], None] = lambda case: None) -> Examination:
    """Every check of a candidate on these cases; `tell` is called before each. Cost: that of the candidate.

    >>> from refntk.conformance import Engine
    >>> from refntk.vectors import read
    >>> examine(Engine("reference"), read(only="quadratic")).passed
    True
    """
    known, seen = checks(), []
    found: dict[str, list[Finding]] = {check.name: [] for check in known}
    for case in cases:
        tell(case)
        seen.append(case)
        asked = questions(case)
        got = candidate.answers(case, asked)
        for check in known:
            found[check.name] += [judge(case, q, got.get(q, NOTHING)) for q in asked if check.covers(q)]
    return Examination(candidate.name, seen, [Result(check, found[check.name]) for check in known])


def selection(cases: Iterable[Case], /) -> list[Case]:
    """A few cases of every problem that together hold every flag, activation, depth, scaling and quantity: small ones first.

    >>> from refntk.vectors import read
    >>> len(selection(read(only="wave"))), len(list(read(only="wave")))
    (20, 39)
    """
    cases = sorted(cases, key=lambda case: case.theta.size * case.probes.shape[0])
    left = {feature for case in cases for feature in _features(case)}
    chosen: dict[str, Case] = {}
    while left:
        best = max(cases, key=lambda case: len(left.intersection(_features(case))))
        chosen[best.name] = best
        left.difference_update(_features(best))
    for problem in {case.problem.name for case in cases}:
        own = [c for c in cases if c.problem.name == problem and c.network and c.network.activation.name == "tanh"]
        middle = own[len(own) // 3 :: max(1, len(own) // (2 * EACH))][:EACH]
        chosen |= {case.name: case for case in middle}
    return sorted(chosen.values(), key=lambda case: case.name)


def _features(case: Case) -> Iterator[tuple[object, ...]]:
    network, problem = case.network, case.problem.name
    yield ("scaling", case.scaling)
    if network:
        yield ("activation", network.activation.name)
        yield ("depth", len(network.sizes))
        yield ("parametrization", network.parametrization, network.output_scale == 1)
    yield from (("flag", flag) for flag in case.flags)
    yield from (("wanted", problem, quantity.partition("/")[0]) for quantity in questions(case))
    yield from (("refused", quantity) for quantity in case.refused)
