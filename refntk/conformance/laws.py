"""Which law samples have that are not of the right one: what an estimator that fails draws or computes instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .estimators import LAW, NORMAL, PROBES, SAMPLES, SIGNS, Form, Probe, deviations, forms, traces, worst
from .variants import Linearized

UNIFORM = Probe(1 / 3, 1 / 5)  # on (-1, 1)
Forms = Sequence[Form]


@dataclass(frozen=True)
class Law:
    """What is drawn or computed instead, in words, with the number of the mistake: other forms, probes, or number of probes."""

    words: str
    mistake: int
    forms: Callable[[str, Linearized], Forms] = forms
    probe: Probe | None = None
    probes: int = PROBES


def _times(factor: float) -> Callable[[str, Linearized], Forms]:
    return lambda quantity, lin: [replace(form, A=factor * form.A) for form in forms(quantity, lin)]


def _traces(change: Callable[[Linearized, list[np.ndarray]], list[np.ndarray]]) -> Callable[[str, Linearized], Forms]:
    """The matrices of the single terms changed; none for estimates of K."""

    def found(quantity: str, lin: Linearized) -> Forms:
        single = [form.A for form in forms(quantity, lin) if len(form.at) == 1]
        return traces(change(lin, single), list(lin.blocks)) if quantity.startswith("sampled_traces") else ()

    return found


def _blocks_alone(quantity: str, lin: Linearized) -> Forms:
    """Of rows whose gradients live in spaces of their own, term by term."""
    n, p = lin.J.shape
    wide = np.zeros((n, p * len(lin.blocks)))
    for i, rows in enumerate(lin.blocks.values()):
        wide[rows, i * p : (i + 1) * p] = lin.J[rows]
    return forms(quantity, Linearized(lin.case, lin.at, wide, lin.blocks))


def _other_theorem(quantity: str, lin: Linearized) -> Forms:
    """Theorem 5's samples under the name of Algorithm 2, and the other way round."""
    other = {"sampled_traces/normal": "sampled_traces/theorem_5", "sampled_traces/theorem_5": "sampled_traces/normal"}
    return forms(other[quantity], lin) if quantity in other else ()


def _one_sided(quantity: str, lin: Linearized) -> Forms:
    """Entries z_i g_j of z gᵀ."""
    if not quantity.startswith("sampled_ntk"):
        return ()
    n, unit = lin.K.shape[0], np.eye(lin.K.shape[0])
    outer = {(i, j): np.outer(lin.K[i], unit[j]) for i in range(n) for j in range(n)}
    return [Form(f"K̂[{i}, {j}]", (i * n + j,), (A + A.T) / 2) for (i, j), A in outer.items()]


LAWS: tuple[Law, ...] = (
    Law(f"the sum over {PROBES} probes, not their mean", 10, _times(PROBES)),
    Law("twice too large: the ½ is missing", 15, _times(2.0)),
    Law("a factor ½ too many", 15, _times(0.5)),
    Law("a factor 4", 15, _times(4.0)),
    Law(f"divided by the number of probes, {PROBES}, twice", 10, _times(1 / PROBES)),
    Law("one probe stands for all: the spread does not shrink with their number", 35, probes=1),
    Law("the sum over probes that are all the same", 35, _times(PROBES), probes=1),
    Law("signs for normal probes", 34, probe=SIGNS),
    Law("normal probes for signs", 34, probe=NORMAL),
    Law("probes that are uniform on (-1, 1): of variance 1/3, not 1", 34, probe=UNIFORM),
    Law("probes that are uniform, of variance 1", 34, probe=Probe(1.0, 9 / 5)),
    Law("without the blocks between terms: a probe for every term", 29, _blocks_alone),
    Law("Theorem 5's samples and Algorithm 2's are taken for one another", 32, _other_theorem),
    Law("z gᵀ, not made symmetric", 33, _one_sided),
    Law("the mean over the rows of a term", 10, _traces(lambda lin, found: _over_rows(lin, found))),
    Law("the sum over this term and all before it", 4, _traces(lambda lin, found: list(np.cumsum(found, axis=0)))),
    Law("terms in the reverse order", 9, _traces(lambda lin, found: found[::-1])),
)


def _over_rows(lin: Linearized, found: list[np.ndarray]) -> list[np.ndarray]:
    return [A / (rows.stop - rows.start) for A, rows in zip(found, lin.blocks.values(), strict=True)]


@dataclass(frozen=True)
class Explanation:
    """What samples do not contradict: in words that are the same for all cases, by number, and in the numbers of this case."""

    words: str
    mistake: int
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.words} ({self.detail})" if self.detail else self.words


def explanations(quantity: str, value: np.ndarray, lin: Linearized, /) -> list[Explanation]:
    """The laws that samples (N, ...) of these rows do not contradict, the simple ones first; one without words is the right law."""
    probe, right = LAW[quantity.partition("/")[2]], forms(quantity, lin)
    rows = value.reshape(value.shape[0], -1)
    off = worst(value, right, probe, PROBES)
    found = [Explanation("", 0)] if off.share <= 1 else []
    for law in LAWS:
        other = law.forms(quantity, lin)
        if other and worst(value, other, law.probe or probe, law.probes).share <= 1:
            found.append(Explanation(law.words, law.mistake))
    single = [form for form in right if len(form.at) == 1]
    factor = sum(float(rows[:, f.at].mean()) for f in single) / sum(float(np.trace(f.A)) for f in single)
    if worst(value, [replace(form, A=factor * form.A) for form in right], probe, PROBES).share <= 1:
        found.append(Explanation("probes of another variance, or a factor", 34, f"{factor:.2f} times what is right"))
    distinct = len(np.unique(np.round(rows / (np.max(np.abs(rows)) or 1.0), 9), axis=0))
    possible = math.comb(2 ** (lin.J.shape[0] - 1) + PROBES - 1, PROBES) if probe == SIGNS else math.inf  # up to a sign and order
    if distinct < SAMPLES // 2 and possible > 4 * SAMPLES:
        found.append(Explanation("the same probes come again", 35, f"of {SAMPLES} samples {distinct} differ"))
    together = [d for d in deviations(value, right, probe, PROBES, centred=True) if d.statistic.startswith("the covariance")]
    if (hanging := max(together, key=lambda d: d.share)).share > 1:
        found.append(Explanation("samples hang together", 35, str(hanging)))
    elif off.statistic == "the mean" and worst(value, right, probe, PROBES, centred=True).share <= 1:
        found.append(Explanation("biased, though the spread is right", 36, str(off)))
    return found
