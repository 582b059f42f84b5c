"""The checks, one for each quantity, and what came of them: every case judged by the scale and the flags it carries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..vectors.case import ACCEPTABLE, TOLERANCE, UNIT, Case
from ..weights import RULES
from .protocol import NOTHING, QUANTITIES, Answer, Candidate, questions

PASS, WARN, FAIL, NONE = "pass", "warn", "FAIL", "not offered"
HUGE = 2.0**40  # a weight that does not exist may come as 1/rounding
LOST = 2.0**-20  # of the scale: what is worse has lost more than digits
SATURATED = 4.0  # 1 - tanh² is 1e-3 there: ten bits are gone
EACH = 4  # cases of every problem in the quick selection


@dataclass(frozen=True)
class Check:
    """One quantity, and what it is."""

    name: str
    about: str

    def covers(self, quantity: str) -> bool:
        """Whether this check judges that quantity: `jets` is one check for all terms."""
        return quantity == self.name or (self.name == "jets" and quantity.startswith("jets/"))


def checks() -> list[Check]:
    """All of them, in the order of a derivation.

    >>> [check.name for check in checks()][:3], len(checks())
    (['jets', 'residual', 'jacobian'], 26)
    """
    found = []
    for name, about in QUANTITIES.items():
        if name == "weights":
            found += [Check(f"weights/{rule}", f"λ_k: {known.source}") for rule, known in RULES.items()]
        else:
            found.append(Check(name, about))
    return found


@dataclass(frozen=True, eq=False)
class Finding:
    """One quantity of one case: `verdict` and the error in units of rounding of the scale; `why` there is no number."""

    case: Case
    quantity: str
    verdict: str
    error: float = np.nan
    why: str = ""
    value: np.ndarray | None = None


def judge(case: Case, quantity: str, answer: Answer, /) -> Finding:
    """The verdict on an answer: an error of at most 30 u · scale passes; worse in a case of lost digits only warns.

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
    want = case.want[quantity]
    if value is None:
        return Finding(case, quantity, FAIL, np.inf, answer.why)
    error = want.error(value)
    if error <= TOLERANCE:
        return Finding(case, quantity, PASS, error, value=value)
    why = ""
    if value.shape != want.mid.shape:
        why = f"has the shape {value.shape}, not {want.mid.shape}"
    elif not np.all(np.isfinite(value)):
        why = "is not finite"
    lost = error * UNIT < LOST and (set(case.flags) & set(ACCEPTABLE) or saturated(case))
    return Finding(case, quantity, WARN if lost else FAIL, error, why, value)


def saturated(case: Case, /) -> bool:
    """Whether some neuron is where 1 - tanh², as automatic differentiation forms it, has lost digits."""
    network = case.network
    if network is None or network.activation.name != "tanh":
        return False
    for x in case.points.values():
        a = network.normalize(x, xp=np)
        for layer in network.layers(case.theta)[:-1]:
            z = layer.scale * (a @ layer.W) + layer.b
            if np.max(np.abs(z)) > SATURATED:
                return True
            a = np.tanh(z)
    return False


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

    >>> from refntk.conformance.protocol import Engine
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
    (21, 39)
    """
    cases = sorted(cases, key=lambda case: case.theta.size * case.probes.shape[0])
    left = {feature for case in cases for feature in _features(case)}
    chosen: dict[str, Case] = {}
    while left:
        best = max(cases, key=lambda case: len(left.intersection(_features(case))))
        chosen[best.name] = best
        left.difference_update(_features(best))
    for problem in {case.problem.name for case in cases}:
        own = [case for case in cases if case.problem.name == problem and case.network]
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
    yield from (("wanted", problem, quantity.partition("/")[0]) for quantity in case.want)
    yield from (("refused", quantity) for quantity in case.refused)
