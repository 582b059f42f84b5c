"""Hirsch & Pichi 2025, section 5.2.3, Figure 10: a liquid crystal's Q-tensor by networks, beside finite elements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .. import files, problems
from ..calculus.network import MLP
from ..training.train import train
from .figure import Curves, Figure, Image, Series
from .study import Arrays, Cell, Claim, Outcome, Study

REFERENCE = (
    Path(__file__).parent / "data" / "reference.npz"
)  # data/qtensor of the repository; inside the wheel, a folder of its own
SCHEMA = "refntk qtensor reference 1"
WEIGHTINGS = {"sketched": "Algorithm 3", "fixed": "no weights"}
JUDGED = (0.5, 1.0, 2.0)
STRIDE = 6  # grid lines from one eigenvector drawn to the next


def reference() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """`(meta, arrays)` of the finite-element solution: `times` (5,), `side` (81,), `q` (5, 2, 81, 81), q[.., i, j] at (x_i, y_j).

    `meta["error"]` is its relative L2 distance from a solution by sines, the largest over the times after 0. The program is
    `validation/hirsch_pichi_2025/qtensor_reference`. Raises `DamagedFile`, `OSError`.

    >>> meta, arrays = reference()
    >>> arrays["q"].shape, meta["error"] < 1e-3
    ((5, 2, 81, 81), True)
    """
    return files.read(REFERENCE, SCHEMA)


@dataclass(frozen=True)
class Config:
    """Trainings by Adam with points drawn anew for every step; `accuracy` is what the claims ask of relative L2 errors."""

    runs: int = 2
    steps: int = 20_000
    hidden: tuple[int, ...] = (50, 50, 50)
    counts: tuple[int, ...] = (300, 300, 40)  # points of the terms: the paper's
    alpha: float = 0.01
    rate: float = 5e-3
    decay: float = 0.85  # of the rate in 1,000 steps
    accuracy: float = 0.05


class QTensor(Study[Config]):
    """Does a network, with Algorithm 3's weights and without any, solve the Q-tensor flow as finite elements do?

    The paper names neither L, a and c nor how it trained; ours are the problem's defaults. Errors are relative L2 distances over
    both components of Q on the reference's grid. With φ the angle of q = (q₁, q₂), Q has the eigenvalue λ₁ = |q| > 0 and the
    eigenvector v₁ = (cos φ/2, sin φ/2), so that the light let through is `|λ₁ v₁·(1, 0)| = |q| |cos φ/2|`.
    """

    name: ClassVar[str] = "qtensor"
    source: ClassVar[str] = "Hirsch & Pichi 2025, section 5.2.3, Figure 10"
    scales: Mapping[str, Config] = {
        "smoke": Config(1, 1000, (20, 20), (60, 60, 16), rate=1e-2, decay=0.2, accuracy=0.5),
        "desk": Config(),
        "paper": Config(runs=4, steps=50_000, hidden=(500, 500, 500), alpha=1e-3, rate=1e-3, decay=0.9),
    }

    def cells(self, config: Config) -> list[Cell]:
        """One training each."""
        return [{"weighting": weighting, "run": run} for weighting, run in product(WEIGHTINGS, range(config.runs))]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """The network on the reference's grid (times, 2, 81, 81), float32, and the weights in force (records, terms)."""
        problem, (_, there) = problems.get("qtensor"), reference()
        network = MLP([3, *config.hidden, 2], **problem.normalization)  # type: ignore[arg-type]
        found = train(
            problem,
            network,
            network.init(rng=key),
            steps=config.steps,
            lr=config.rate,
            decay=(config.decay, 1000),
            weighting=cell["weighting"],
            alpha=config.alpha,
            counts={term.name: count for term, count in zip(problem.terms, config.counts, strict=True)},
            rng=key % 2**63,
            engine="numba",
            record=max(1, config.steps // 100),
        )
        points = _grid(there["side"])
        fields = [network(found.theta, np.insert(points, 2, t, axis=1)).T for t in there["times"]]
        shape = there["q"].shape
        return {
            "q": np.stack(fields).reshape(shape).astype(np.float32),
            "step": found.steps,
            "weights": np.stack(list(found.weights.values()), axis=1),
            "loss": np.stack(list(found.losses.values()), axis=1),
        }

    def combine(self, config: Config, cells: Sequence[Cell], found: Sequence[Arrays]) -> Outcome[Config]:
        """The cells, and the reference."""
        whole, (_, there) = super().combine(config, cells, found), reference()
        return Outcome(config, cells, {**whole.arrays, **{f"reference.{name}": there[name] for name in ("times", "side", "q")}})

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """The errors, what weights change, and the horizontal equilibrium."""
        found, limit, a = [], outcome.config.accuracy, outcome.arrays
        for (weighting, title), t in product(WEIGHTINGS.items(), JUDGED):
            worst = float(_errors(outcome, weighting, t).max())
            told = f"{title}: relative L2 distance from finite elements at t = {t:g}, largest of {outcome.config.runs} runs"
            found.append(Claim(told, f"below {limit:g}", worst, worst < limit))
        means = {weighting: np.mean([_errors(outcome, weighting, t) for t in JUDGED]) for weighting in WEIGHTINGS}
        ratio = float(means["fixed"] / means["sketched"])
        told = "mean error over times and runs, without weights over with Algorithm 3's"
        found.append(Claim(told, "weights make little difference: between 1/3 and 3", ratio, 1 / 3 < ratio < 3))
        fields = {title: a["q"][outcome.where(weighting=name)[0]] for name, title in WEIGHTINGS.items()}
        for title, q in {"finite elements": a["reference.q"], **fields}.items():
            light, size = _light(q[-1]), np.linalg.norm(q[-1], axis=0)
            level = float(light.sum() / size.sum())
            found.append(
                Claim(f"{title}: mean of |v₁·(1, 0)| at t = 2, weighted by λ₁", "horizontal: above 0.98", level, level > 0.98)
            )
        return found

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Light and eigenvectors at all times, finite elements and the first networks; the weights of the first training."""
        a, first = outcome.arrays, {name: int(outcome.where(weighting=name)[0]) for name in WEIGHTINGS}
        fields = {"finite elements": a["reference.q"], **{title: a["q"][first[name]] for name, title in WEIGHTINGS.items()}}
        light = [
            _image(f"{title}, t = {t:g}", q[k], a["reference.side"], f"t = {t:g}")
            for k, t in enumerate(a["reference.times"])
            for title, q in fields.items()
        ]
        terms, i = [term.name for term in problems.get("qtensor").terms], first["sketched"]
        weights = [Series(term, a["step"][i], a["weights"][i, :, k]) for k, term in enumerate(terms)]
        caption = "Figure 10's counterpart: the light |λ₁ v₁·(1, 0)| that passes, and the eigenvectors v₁, time going downwards."
        return [
            Figure("light", caption, light, columns=3),
            Figure("weights", "Algorithm 3's weights.", [Curves("Loss weights", "step", "λ (dimensionless)", weights, log="y")]),
        ]


def _grid(side: np.ndarray) -> np.ndarray:
    """The grid's points (n, 2), x slower than y."""
    return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)


def _errors(outcome: Outcome[Config], weighting: str, t: float) -> np.ndarray:
    """The runs' relative L2 distances at a time (runs,)."""
    k = int(np.flatnonzero(outcome.arrays["reference.times"] == t)[0])
    wanted = outcome.arrays["reference.q"][k]
    found = outcome.arrays["q"][outcome.where(weighting=weighting), k]
    return np.asarray(np.linalg.norm((found - wanted).reshape(len(found), -1), axis=1) / np.linalg.norm(wanted))


def _light(q: np.ndarray) -> np.ndarray:
    """`|λ₁ v₁·(1, 0)|` for q (2, ...): `|q| |cos φ/2| = √(|q| (|q| + q₁) / 2)`.

    >>> _light(np.array([[3.0, -3.0, 0.0], [0.0, 0.0, 2.0]])) ** 2  # φ = 0, π, π/2
    array([9., 0., 2.])
    """
    size = np.linalg.norm(q, axis=0)
    return np.asarray(np.sqrt(size * np.maximum(size + q[0], 0) / 2))


def _image(title: str, q: np.ndarray, side: np.ndarray, family: str) -> Image:
    """The light of q (2, sides, sides), y upwards, and its eigenvectors."""
    low, high = side[0] - (side[1] - side[0]) / 2, side[-1] + (side[1] - side[0]) / 2
    every = slice(STRIDE // 2, None, STRIDE)
    x, y = np.meshgrid(side[every], side[every], indexing="ij")
    half = np.arctan2(q[1], q[0])[every, every] / 2
    directors = np.stack([x, y, np.cos(half), np.sin(half)], axis=-1).reshape(-1, 4)
    extent = (low, high, low, high)
    return Image(title, _light(q).T, extent, "x", "y", z="light (dimensionless)", family=family, directors=directors)
