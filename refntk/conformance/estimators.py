"""Estimators that draw their own probes, judged by the moments that they must have, at a declared rate of false alarms.

A candidate returns SAMPLES independent samples, each the mean over PROBES probes. Every number in a sample, and every sum of two
traces, is a mean of quadratic forms gᵀA g, whose mean, variance and fourth cumulant are closed forms. Four statistics must have the
mean that follows: X - E X, (X - E X)² - Var X, and the products of neighbours and of far samples, which are 0 where samples are
independent. Whether they do is told by Catoni's bound (2012), which holds for every law with these moments and any number of
samples: nothing is asymptotic, and a right candidate fails in one of 10⁶ checks of all vectors at most. An error of a single sample
of 2⁻¹⁰ ‖A‖, such as a small step of a finite difference makes, is forgiven.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import numpy as np

from ..estimation.cubature import all_signs
from ..vectors.case import Case
from .variants import Linearized

SAMPLES, PROBES = 4096, 3
FALSE_ALARM, QUANTITIES_MOST = 1e-6, 256  # of all quantities of all cases together; how many these are at most
FORGIVEN = 2.0**-10
ROWS_MOST, NTK_ROWS_MOST, PARAMETERS_MOST = 12, 6, 20
EXTREME = {"HugeWeights", "TinyWeights", "ZeroResidual", "RepeatedPoints", "Saturation", "OneNeuron"}
SAMPLED = {
    "sampled_traces/normal": "samples of Algorithm 2's traces, the candidate's own normal probes",
    "sampled_traces/rademacher": "samples of Algorithm 2's traces, the candidate's own signs",
    "sampled_traces/theorem_5": "samples of Theorem 5's traces ‖J_k g‖², the candidate's own normal g (p,)",
    "sampled_ntk/normal": "samples of Algorithm 2's K̂, the candidate's own normal probes",
    "sampled_ntk/rademacher": "samples of Algorithm 2's K̂, the candidate's own signs",
}


def sampled(case: Case, /) -> list[str]:
    """The estimators that a case judges: those of small cases in which nothing is extreme.

    >>> from refntk.vectors import read
    >>> [case.name for case in read(only="wave") if sampled(case)]
    ['wave-004', 'wave-005', 'wave-006']
    """
    n = case.probes.shape[0]
    if n > ROWS_MOST or case.theta.size > PARAMETERS_MOST or case.scaling != "sum" or EXTREME & set(case.flags):
        return []
    if case.network and (
        case.problem.name == "operators" or len(case.network.sizes) != 3 or case.network.activation.name != "tanh"
    ):
        return []
    return [name for name in SAMPLED if n <= NTK_ROWS_MOST or not name.startswith("sampled_ntk")]


def asked(case: Case, /) -> dict[str, int]:
    """What an estimator is told: how many samples, of how many probes each, and a seed, which it may use.

    >>> from refntk.vectors import read
    >>> asked(next(read(only="wave")))
    {'samples': 4096, 'probes': 3, 'seed': 2591339242}
    """
    return {"samples": SAMPLES, "probes": PROBES, "seed": zlib.crc32(case.name.encode())}


@dataclass(frozen=True)
class Probe:
    """The law of the independent entries of g: variance and fourth moment."""

    variance: float = 1.0
    fourth: float = 3.0


NORMAL, SIGNS = Probe(), Probe(1.0, 1.0)
LAW = {"normal": NORMAL, "rademacher": SIGNS, "theorem_5": NORMAL}


@dataclass(frozen=True, eq=False)
class Form:
    """The number `label`, the sum over the positions `at` of a sample: a mean of gᵀA g, A symmetric."""

    label: str
    at: tuple[int, ...]
    A: np.ndarray


@dataclass(frozen=True)
class Moments:
    """Mean, variance and fourth cumulant of a number, and what of an error in a single sample is forgiven."""

    mean: float
    variance: float
    cumulant: float
    forgiven: float


def moments(A: np.ndarray, probe: Probe, probes: int, /) -> Moments:
    """Of the mean of gᵀA g over so many probes: `s² Tr A`, `(2 s⁴ F + (E g⁴ - 3 s⁴) d)/m`, the fourth cumulant `48 s⁸ Tr A⁴/m³`.

    F = ‖A‖², d = Σ A_ii², s² the variance of an entry. For at most 12 signs the fourth cumulant comes from all
    2ⁿ of them; for more, and for other probes, that of normal ones stands for it.

    >>> found = moments(np.eye(2), NORMAL, 1)  # χ² with two degrees of freedom
    >>> found.mean, found.variance, found.cumulant
    (2.0, 4.0, 96.0)
    >>> found = moments(np.array([[0.0, 1.0], [1.0, 0.0]]), SIGNS, 1)  # 2 g_1 g_2 = ±2: E X⁴ - 3 (E X²)² = 16 - 48
    >>> found.mean, found.variance, found.cumulant
    (0.0, 4.0, -32.0)
    """
    s2, F, diagonal = probe.variance, float(np.sum(A * A)), np.diagonal(A)
    variance = max(2 * s2**2 * F + (probe.fourth - 3 * s2**2) * float(diagonal @ diagonal), 0.0)
    if probe == SIGNS and A.shape[0] <= ROWS_MOST:
        G, _ = all_signs(A.shape[0])
        centred = np.sum(G * (A @ G), axis=0) - np.trace(A)
        cumulant = float(np.mean(centred**4)) - 3 * variance**2
    else:
        cumulant = 48 * s2**4 * float(np.sum((A @ A) ** 2))
    return Moments(s2 * float(np.trace(A)), variance / probes, cumulant / probes**3, FORGIVEN * math.sqrt(F))


@lru_cache(maxsize=512)
def forms(quantity: str, lin: Linearized, /) -> tuple[Form, ...]:
    """The numbers of a sample as quadratic forms: every entry of K̂; or every trace, the sum of any two, and that of all.

    `T̂_k = g_kᵀ z_k` has A = (P_k K + K P_k)/2, `‖J_k g‖²` has A = J_kᵀJ_k, `(z_i g_j + z_j g_i)/2` half of the sum of the two.
    """
    if quantity.startswith("sampled_ntk"):
        n = lin.K.shape[0]
        unit = np.eye(n)
        return tuple(
            Form(f"K̂[{i}, {j}]", (i * n + j,), _symmetric(np.outer(lin.K[i], unit[j]) + np.outer(lin.K[j], unit[i])) / 2)
            for i in range(n)
            for j in range(n)
        )
    return traces([_term(quantity, lin, rows) for rows in lin.blocks.values()], list(lin.blocks))


def traces(found: Sequence[np.ndarray], terms: Sequence[str], /) -> tuple[Form, ...]:
    """The forms of traces with these matrices: each, the sum of any two, and that of all."""
    groups: list[tuple[int, ...]] = [*((i,) for i in range(len(terms))), *combinations(range(len(terms)), 2)]
    if len(terms) > 2:
        groups.append(tuple(range(len(terms))))
    return tuple(Form(" + ".join(f"T̂({terms[i]})" for i in at), at, sum(found[i] for i in at)) for at in groups)  # type: ignore[arg-type]


def _term(quantity: str, lin: Linearized, rows: slice) -> np.ndarray:
    if quantity.endswith("theorem_5"):
        return lin.J[rows].T @ lin.J[rows]
    projected = np.zeros_like(lin.K)
    projected[rows] = lin.K[rows]
    return _symmetric(projected)


def _symmetric(A: np.ndarray) -> np.ndarray:
    return (A + A.T) / 2


@dataclass(frozen=True)
class Deviation:
    """A statistic of a number: `share` of what chance allows (above 1 it fails), and the power of ten of such a chance."""

    label: str
    statistic: str
    found: float
    expected: float
    share: float
    chance: float

    def __str__(self) -> str:
        return f"{self.statistic} of {self.label} is {self.found:.3g}, not {self.expected:.3g}"


def shape(quantity: str, case: Case, /) -> tuple[int, ...]:
    """The shape of all samples."""
    n = case.probes.shape[0]
    return (SAMPLES, n, n) if quantity.startswith("sampled_ntk") else (SAMPLES, len(case.problem.terms))


def deviations(value: np.ndarray, found: Sequence[Form], probe: Probe, probes: int, /, *, centred: bool = False) -> list[Deviation]:
    """All statistics of samples (N, ...) beside their law; `centred` leaves the means out."""
    rows = value.reshape(value.shape[0], -1)
    chance = FALSE_ALARM / QUANTITIES_MOST / (4 * len(found))
    with np.errstate(over="ignore", invalid="ignore"):  # strangers' numbers may be as large as they like
        return [
            _deviation(*test, chance)
            for form in found
            for test in _tests(form, rows[:, form.at].sum(axis=1), moments(form.A, probe, probes), centred)
        ]


def worst(value: np.ndarray, found: Sequence[Form], probe: Probe, probes: int, /, *, centred: bool = False) -> Deviation:
    """The statistic that is farthest from its law."""
    return max(deviations(value, found, probe, probes, centred=centred), key=lambda deviation: deviation.share)


def _tests(
    form: Form, X: np.ndarray, law: Moments, centred: bool
) -> Iterator[tuple[str, str, float, float, np.ndarray, float, float]]:
    """`(number, statistic, found, expected, Y, Var Y, forgiven)`, E Y = 0 for the right law."""
    Y = X - (float(X.mean()) if centred else law.mean)
    spread = 2 * math.sqrt(law.variance) * law.forgiven + law.forgiven**2
    if not centred:
        yield form.label, "the mean", float(X.mean()), law.mean, Y, law.variance, law.forgiven
    square = Y**2 - law.variance
    yield form.label, "the variance", float(np.mean(Y**2)), law.variance, square, law.cumulant + 2 * law.variance**2, spread
    half = Y.size // 2
    for name, pairs in (("neighbours", Y[0 : 2 * half : 2] * Y[1::2]), ("far samples", Y[:half] * Y[half : 2 * half])):
        yield form.label, f"the covariance of {name}", float(pairs.mean()), 0.0, pairs, law.variance**2, spread


def _deviation(
    label: str, statistic: str, found: float, expected: float, Y: np.ndarray, variance: float, forgiven: float, chance: float
) -> Deviation:
    """Catoni's test of |E Y| ≤ `forgiven`: E exp(± ψ(a(Y ∓ f))) ≤ 1 + a²v/2 where ψ(x) = sign(x) log(1 + |x| + x²/2).

    So `Σ ψ > N log(1 + a²v/2) + log(2/chance)` happens on either side with a probability of at most chance/2, whatever the law.
    """
    v = max(variance, 0.0) + (2 * forgiven) ** 2
    if v == 0.0:
        exact = bool(np.all(Y == 0.0))
        return Deviation(label, statistic, found, expected, 0.0 if exact else math.inf, 0.0 if exact else -math.inf)
    a = math.sqrt(2 * math.log(2 / chance) / (Y.size * v))
    off = max(float(np.sum(_influence(a * (Y - forgiven)))), float(np.sum(_influence(-a * (Y + forgiven)))))
    off = math.inf if math.isnan(off) else off
    expected_most = Y.size * math.log1p(a * a * v / 2)
    return Deviation(
        label,
        statistic,
        found,
        expected,
        off / (expected_most + math.log(2 / chance)),
        min((math.log(2) + expected_most - off) / math.log(10), 0.0),
    )


def _influence(x: np.ndarray) -> np.ndarray:
    return np.sign(x) * np.log1p(np.abs(x) + x * x / 2)
