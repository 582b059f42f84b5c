"""Why a sketch ends lower than ENGD: chance, rank, cut or rounding (Best McKay et al. 2025, section 4.1, and Tables 3 and 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Any, ClassVar

import numpy as np

from .. import natural
from . import descents
from .courses import Course, Walk, width
from .descents import Method, Rows
from .figure import BAND, Curves, Figure, Series
from .study import Arrays, Cell, Claim, Outcome, Study

FRESH, FROZEN, KERNEL, GRAMIAN, EXACT = "fresh", "frozen", "kernel", "gramian", "singular"
KINDS = {
    FRESH: "two passes, a new sketch at every step",
    FROZEN: "two passes, one sketch for all steps",
    KERNEL: "eigenvalues of K (n × n)",
    GRAMIAN: "eigenvalues of G (p × p)",
    EXACT: "singular values of J",
}


@dataclass(frozen=True)
class Config:
    """Hidden layers, absolute `cuts` from coarse to fine, Gauss points; the finest cut is the paper's."""

    hidden: str = "16-16-16"
    cuts: tuple[float, ...] = (1e-9, 1e-11, 1e-13)
    runs: int = 3
    steps: int = 80
    nodes: int = 16
    records: int = 20
    start: int = 18  # variants were tried on starts 17


class SngdCut(Study[Config]):
    """Poisson's equation: with the same cut, does it matter whether the Gramian is exact or sketched, and the sketch new or old?

    The paper compares Algorithm 1, which keeps eigenvalues above 1e-13, with a least-squares solver, which keeps those above
    p ε λ_max (some 1e-10 here), and guesses that chance explains what it sees. Here all keep the same: one direction, five ways to
    compute it. From the singular values of J it has no rounding below ε λ_max. The frozen sketch has columns like the fresh one
    and no chance.
    """

    name: ClassVar[str] = "sngd_cut"
    source: ClassVar[str] = "Best McKay et al. 2025, section 4.1, Tables 3 and 4"
    scales: Mapping[str, Config] = {
        "smoke": Config("12-12", (1e-7, 1e-9), runs=1, steps=40, nodes=8, records=5),
        "desk": Config(),
        "paper": Config("20-20-20-20", (1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14), runs=5, steps=2000, nodes=20, records=100),
    }

    def cells(self, config: Config) -> list[Cell]:
        """Every way with every cut from every start."""
        return [{"kind": kind, "cut": cut, "run": i} for kind, cut, i in product(KINDS, config.cuts, range(config.runs))]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """One descent."""
        way = Method(KINDS[cell["kind"]], partial(_truncated, kind=cell["kind"], cut=cell["cut"]))
        start = [config.start, cell["run"]]
        return descents.measure(_course(config), way, start=start, steps=config.steps, records=config.records, key=key)

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """What chance, the cut and rounding do to the least loss over the starts, where each stands alone."""
        coarse, fine = outcome.config.cuts[0], outcome.config.cuts[-1]
        apart = float(np.ptp([_floor(outcome, kind, coarse) for kind in KINDS]))
        chance = _floor(outcome, FROZEN, fine) - _floor(outcome, FRESH, fine)
        cut = _floor(outcome, EXACT, coarse) - _floor(outcome, EXACT, fine)
        rounding = _floor(outcome, KERNEL, fine) - _floor(outcome, EXACT, fine)
        ranks = [float(outcome.arrays["final"][outcome.where(kind=k, cut=c)].max()) for k, c in ((FRESH, fine), (KERNEL, coarse))]
        return [
            Claim(
                f"cut {coarse:g}, above rounding: spread of the five ways' least losses at the end, in decades",
                "below 0.5: with the same cut, neither chance nor the sketch nor the space matters",
                apart,
                apart < 0.5,
            ),
            Claim(
                f"cut {fine:g}: decades by which the least loss is lower with new sketches than with one",
                "within 1 of 0; the paper's guess is that chance helps",
                chance,
                abs(chance) < 1,
            ),
            Claim(f"decades by which the loss falls from the cut {coarse:g} to {fine:g}, singular values", "above 1", cut, cut > 1),
            Claim(
                f"cut {fine:g}: decades by which the loss is lower from singular values than from K",
                "above 0: the cut is below ε λ_max, where K has rounding for eigenvalues",
                rounding,
                rounding > 0,
            ),
            Claim(
                f"rank of G at the end, above 1e-13: sketch with the cut {fine:g} over ENGD with {coarse:g}",
                "the paper has 1.27 (134.6 over 105.6): within a factor of 2 of 1",
                ranks[0] / ranks[1],
                0.5 < ranks[0] / ranks[1] < 2,
            ),
        ]

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Losses on the way, cut by cut, and losses and errors at the end over the cut."""
        cuts, a = np.array(outcome.config.cuts), outcome.arrays
        panels = []
        for cut in (outcome.config.cuts[0], outcome.config.cuts[-1]):
            series = []
            for kind, label in KINDS.items():
                at = outcome.where(kind=kind, cut=cut)
                values = a["loss"][at]
                series.append(
                    Series(label, a["step"][at[0]], np.median(values, axis=0), BAND, values.min(axis=0), values.max(axis=0))
                )
            panels.append(Curves(f"Cut {cut:g}", "step", "loss (dimensionless)", series, log="y"))
        for y, told in (("loss", "loss at the end (dimensionless)"), ("error", "relative L2 error at the end (dimensionless)")):
            lines = []
            for kind, label in KINDS.items():
                ends = [a[y][outcome.where(kind=kind, cut=cut), -1] for cut in outcome.config.cuts]
                lines.append(Series(label, cuts, np.array([e.min() for e in ends])))
            panels.append(Curves("All cuts, best start", "cut (absolute)", told, lines, log="xy"))
        told = "One truncated direction in five ways; above, medians in bands from the least to the largest over the starts."
        return [Figure("cut", told, panels)]


def _truncated(walk: Walk, steps: int, key: int, *, kind: str, cut: float) -> Iterator[None]:
    """Steps along `G⁺Jᵀr` with eigenvalues above `cut`."""
    sizes: dict[str, Any] = {}
    for t in range(steps):
        lin: Any = Rows(walk.lin.residual, walk.lin.jacobian.dense())
        if kind in (FRESH, FROZEN):
            options: dict[str, Any] = {"tol": cut, "relative": False, "key": key, "stream": t if kind == FRESH else 0}
            sizes = sizes or dict(zip(("rank", "oversampling"), natural.initial_sketch(lin, **options), strict=True))
            found = natural.sngd(lin, **sizes, **options)
            sizes["rank"] = found.rank
        elif kind == EXACT:
            found = natural.full_precision(walk.lin, tol=cut, relative=False)
        else:
            space = "sample" if kind == KERNEL else "parameter"
            found = natural.engd(walk.lin, space=space, tol=cut, relative=False)
        if not walk.search([found.vector], [found.rank]) and kind != FRESH:
            return
        yield


def _floor(outcome: Outcome[Config], kind: str, cut: float) -> float:
    """The least loss at the end over the starts, as a power of ten: a saturated start says nothing about how low a way leads."""
    return float(np.log10(outcome.arrays["loss"][outcome.where(kind=kind, cut=cut), -1].min()))


@cache
def _course(config: Config) -> Course:
    return Course.of("poisson2d", width(config.hidden), [config.nodes, config.nodes])
