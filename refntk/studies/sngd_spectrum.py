"""Best McKay et al. 2025, Figure 1 and eq. (8): the spectrum of the Gramian over training, and what a sketch of it misses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from .. import natural
from ..estimation import probes
from . import descents
from .courses import TOL, Course, Walk, width
from .figure import DASHED, LINE, POINTS, Curves, Figure, Series
from .study import Arrays, Cell, Claim, Outcome, Study

FLOOR = 1e-16  # as in Figure 1: eigenvalues below are zero


@dataclass(frozen=True)
class Config:
    """Problems, hidden layers, Gauss points, steps of ENGD between looks, and sketches for each look."""

    problems: tuple[str, ...] = ("heat", "poisson2d", "transport")
    hidden: str = "20-20-20-20"
    nodes: int = 18
    looks: int = 4
    every: int = 10
    ranks: tuple[int, ...] = (20, 60, 100, 140)  # r of eq. (8)
    oversampling: int = 10  # its p
    sketches: int = 20
    start: int = 18  # thresholds were set by starts 17


class SngdSpectrum(Study[Config]):
    """Do the eigenvalues of G decay exponentially throughout training, and does eq. (8) bound what a sketch misses?

    Eigenvalues are squares of singular values of J, so that they are known below ε λ_max, where those of G or K are rounding. At
    every look G is sketched many times; what a range Q misses, ‖(I - QQᵀ)G‖, and what two passes miss, ‖G - QQᵀGQQᵀ‖, are norms of
    small matrices in the basis of J's singular vectors. Means over sketches stand for the expectation in eq. (8).
    """

    name: ClassVar[str] = "sngd_spectrum"
    source: ClassVar[str] = "Best McKay et al. 2025, section 3, Figure 1, eqs. (8) and (9)"
    scales: Mapping[str, Config] = {
        "smoke": Config(("heat",), "12-12", 9, 3, 15, (10, 30, 50), sketches=8),
        "desk": Config(),
        "paper": Config(nodes=30, looks=6, every=400, ranks=(20, 60, 100, 140, 200), sketches=100),
    }

    def cells(self, config: Config) -> list[Cell]:
        """One training for each problem."""
        return [{"problem": name} for name in config.problems]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """Spectra (looks, K), what sketches of each rank miss of the range and of G (looks, ranks, sketches), and eq. (8)."""
        course = _course(cell["problem"], config)
        walk = Walk(course, course.network.init(rng=np.random.default_rng(config.start)))
        descent = descents.METHODS["engd"].descend(walk, config.looks * config.every, key)
        rows = []
        for look in range(config.looks):
            J = walk.lin.jacobian.dense()
            s, Vh = np.linalg.svd(J, full_matrices=False)[1:]
            missed = [
                [_missed(s, Vh, r + config.oversampling, key, look * config.sketches + i) for i in range(config.sketches)]
                for r in config.ranks
            ]
            bounds = [natural.error_bound(s * s, rank=r, oversampling=config.oversampling) for r in config.ranks]
            rows.append(
                {"eigenvalues": s * s, "missed": np.moveaxis(np.array(missed), -1, 0), "bound": bounds, "loss": walk.loss_here}
            )
            for _ in range(config.every):
                next(descent, None)
        return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}

    def combine(self, config: Config, cells: list[Cell], found: list[Arrays]) -> Outcome[Config]:  # type: ignore[override]
        """Problem by problem: their numbers of rows differ."""
        named = zip(cells, found, strict=True)
        return Outcome(config, cells, {f"{cell['problem']}.{name}": a for cell, arrays in named for name, a in arrays.items()})

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """Rank, decay and the bound, for each problem."""
        found = []
        for name in outcome.config.problems:
            eigenvalues, bound = (outcome.arrays[f"{name}.{what}"] for what in ("eigenvalues", "bound"))
            once, twice = (outcome.arrays[f"{name}.missed"][:, i].mean(axis=-1) for i in (0, 1))
            p = _course(name, outcome.config).network.size
            rank = max(natural.rank(values, tol=FLOOR, relative=False) for values in eigenvalues)
            fits = [_decay(values) for values in eigenvalues]
            found += [
                Claim(
                    f"{name}: eigenvalues of G above 1e-16 over p = {p}, largest on the way",
                    "below 1: rank-deficient",
                    rank / p,
                    rank < p,
                ),
                Claim(
                    f"{name}: λ_k over λ_max e^(-k/κ), κ fitted over twelve decades: largest misfit in decades, κ from "
                    f"{min(k for k, _ in fits):.1f} to {max(k for k, _ in fits):.1f} (Figure 1: 18)",
                    "roughly exponential: below 3",
                    max(miss for _, miss in fits),
                    max(miss for _, miss in fits) < 3,
                ),
                Claim(
                    f"{name}: order of a power of k that falls as far as the eigenvalues do in twelve decades, least",
                    "above 4, which is that of ReLUs",
                    min(map(_order, eigenvalues)),
                    min(map(_order, eigenvalues)) > 4,
                ),
                Claim(
                    f"{name}: ‖(I - QQᵀ)G‖, mean, over eq. (8), largest", "at most 1", (once / bound).max(), (once <= bound).all()
                ),
                Claim(
                    f"{name}: ‖G - QQᵀGQQᵀ‖, mean, over eq. (8), for which the paper states it, largest",
                    "at most 2, which is what follows",
                    (twice / bound).max(),
                    (twice <= 2 * bound).all(),
                ),
                Claim(
                    f"{name}: eq. (8) over λ_(r+1), least: what the paper's (9) calls a constant",
                    "above 3",
                    _constant(outcome, name).min(),
                    _constant(outcome, name).min() > 3,
                ),
            ]
        return found

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Figure 1, and what is missed beside the bound, for each problem."""
        config, spectra, missed = outcome.config, [], []
        for name in config.problems:
            eigenvalues, bound = outcome.arrays[f"{name}.eigenvalues"], outcome.arrays[f"{name}.bound"][-1]
            k = np.arange(1.0, eigenvalues.shape[1] + 1)
            series = [Series(f"step {i * config.every}", k, values) for i, values in enumerate(eigenvalues)]
            slow, _ = _decay(eigenvalues[-1])
            line = eigenvalues[-1, 0] * np.exp(-k / slow)
            series.append(Series(f"λ_max exp(-k/{slow:.1f})", k, line, DASHED))
            cut = np.full_like(k, TOL)
            series.append(Series("the paper's cut", k, cut, DASHED))
            spectra.append(Curves(name, "index k", "eigenvalue of G", series, log="y"))
            r, last = np.array(config.ranks, dtype=float), outcome.arrays[f"{name}.missed"][-1]
            marks = [
                Series(label, r, last[i].mean(axis=1), POINTS, last[i].min(axis=1), last[i].max(axis=1))
                for i, label in enumerate(("range: ‖(I - QQᵀ)G‖", "two passes: ‖G - QQᵀGQQᵀ‖"))
            ]
            best = Series("λ_(r+1)", r, eigenvalues[-1][np.array(config.ranks)], DASHED)
            missed.append(Curves(name, "rank r", "spectral norm", [*marks, Series("eq. (8)", r, bound, LINE), best], log="y"))
        return [
            Figure("spectrum", "Figure 1's counterpart: eigenvalues of G over training by ENGD.", spectra),
            Figure("missed", "Means over sketches, from the least to the largest, beside eq. (8), at the last look.", missed),
        ]


def _missed(s: np.ndarray, Vh: np.ndarray, columns: int, key: int, stream: int) -> tuple[float, float]:
    """‖(I - QQᵀ)G‖ and ‖G - QQᵀGQQᵀ‖ for one sketch: G = V S² Vᵀ, and Q = V P with P the orthonormal basis of S² Vᵀ M."""
    K = len(s)
    M = Vh @ probes.normal(Vh.shape[1], min(columns, K), key=key, stream=stream)
    P, _ = np.linalg.qr((s * s)[:, None] * M)
    G = np.diag(s * s)
    rest = G - P @ (P.T @ G)
    return float(np.linalg.norm(rest, 2)), float(np.linalg.norm(G - P @ (P.T @ G @ P) @ P.T, 2))


def _decay(eigenvalues: np.ndarray) -> tuple[float, float]:
    """κ of λ_k ≈ λ_max exp(-k/κ) between λ_max and 1e-12 of it, and the largest misfit of the line in decades."""
    y = np.log(eigenvalues / eigenvalues[0])
    k = np.arange(len(y))[y > np.log(1e-12)]
    slope, start = np.polyfit(k, y[k], 1)
    return float(-1 / slope), float(np.abs(y[k] - start - slope * k).max() / np.log(10))


def _order(eigenvalues: np.ndarray) -> float:
    """-log(λ_k/λ_max) over log k at the last k above 1e-12 of λ_max."""
    k = int(np.sum(eigenvalues > 1e-12 * eigenvalues[0]))
    return float(-np.log(eigenvalues[k - 1] / eigenvalues[0]) / np.log(k))


def _constant(outcome: Outcome[Config], name: str) -> np.ndarray:
    eigenvalues, bound = outcome.arrays[f"{name}.eigenvalues"], outcome.arrays[f"{name}.bound"]
    return np.asarray(bound / eigenvalues[:, np.array(outcome.config.ranks)])


@cache
def _course(name: str, config: Config) -> Course:
    return Course.of(name, width(config.hidden), [config.nodes, config.nodes])
