"""Hirsch & Pichi 2025, Corollary 2 in practice: how often weights are renewed under a bound h(t), and what it costs in error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from .. import problems
from ..calculus.network import MLP
from ..training.train import train
from .figure import DASHED, Curves, Figure, Series
from .study import Arrays, Cell, Claim, Outcome, Study

ALWAYS = 0.0  # stands for weights of eq. (5) at every step, without the rule


@dataclass(frozen=True)
class Config:
    """Trainings by Adam on fixed points; `bounds` are the c of `h(t) = c √t` in units of twice the first loss."""

    bounds: tuple[float, ...] = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)
    runs: int = 5
    steps: int = 3000
    hidden: tuple[int, ...] = (40,)
    counts: tuple[int, ...] = (30, 2)  # points inside and at the ends
    rate: float = 3e-3
    factor: float = 5.0  # by which errors may differ from those with weights renewed at every step


class Spacing(Study[Config]):
    """If weights may move only as far as Corollary 2 allows, how often do they, and is the solution the worse for it?

    The Poisson equation of section 5.1 with the rule (11), `S(t) = Σ_r λ_max(Λ_{r+1} - Λ_r) ‖R_{r+1}‖² ≤ h(t)`. Corollary 2 asks
    for h = o(t) and leaves its size open; in c, the size, lies all the difference between weights that never move and weights
    that always do. It is proved for gradient descent; here Adam descends, as in the paper's trainings.
    """

    name: ClassVar[str] = "spacing"
    source: ClassVar[str] = "Hirsch & Pichi 2025, Corollary 2"
    scales: Mapping[str, Config] = {
        "smoke": Config(bounds=(0.01, 1.0, 1e4), runs=2, steps=300, hidden=(16,), rate=1e-2),
        "desk": Config(),
        "paper": Config(runs=20, steps=20_000, hidden=(100,)),
    }

    def cells(self, config: Config) -> list[Cell]:
        """One training each."""
        return [{"bound": bound, "run": run} for bound, run in product((ALWAYS, *config.bounds), range(config.runs))]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """Which steps renew the weights (steps,), the largest sum over its bound, and the error at the end."""
        problem = problems.get("poisson1d")
        network = MLP([1, *config.hidden, 1], **problem.normalization)  # type: ignore[arg-type]
        start = np.random.default_rng(cell["run"])  # a run's θ and points are the same for every bound
        counts = dict(zip(("interior", "boundary"), config.counts, strict=True))
        always = cell["bound"] == ALWAYS
        found = train(
            problem,
            network,
            network.init(rng=start),
            steps=config.steps,
            lr=config.rate,
            decay=None,
            points=problem.sample(rng=start, counts=counts),
            weighting="trace" if always else "spaced",
            h=1.0 if always else cell["bound"],
            engine="numba",
            record=1,
        )
        weights = np.stack(list(found.weights.values()), axis=1)
        squares = 2 * np.sum(list(found.losses.values()), axis=0)  # ‖R‖², one for each step
        moved = np.diff(weights, axis=0)
        growth = np.cumsum(moved.max(axis=1) * squares[1:])
        bound = 2 * float(found.loss[0]) * np.sqrt(np.arange(config.steps)) * (1.0 if always else cell["bound"])
        over = np.maximum(growth, 0) / np.maximum(bound, 1e-300)  # of each renewal, h at the step before, which is 0 for the first
        return {
            "renewed": np.any(moved != 0, axis=1).astype(np.float64),
            "over": np.array(0.0 if always else over.max()),
            "error": found.errors[-1:],
        }

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """The rule is kept, renewals grow with c from rare to almost always, and what errors do."""
        config, a = outcome.config, outcome.arrays
        share = self._shares(outcome)
        kept = float(a["over"].max())
        ratio = self._errors(outcome)
        worst = float(max(ratio, key=lambda r: abs(np.log(r))))
        return [
            Claim(
                "sum of rule (11), recomputed from the histories, over its bound, largest of all",
                "at most 1",
                kept,
                kept <= 1 + 1e-9,
            ),
            Claim(
                "share of steps that renew, least growth from one c to the next",
                "not below 0",
                float(np.diff(share).min()),
                bool(np.diff(share).min() >= 0),
            ),
            Claim(f"share of steps that renew at c = {config.bounds[0]:g}", "rare: below 0.2", float(share[0]), share[0] < 0.2),
            Claim(
                f"share of steps that renew at c = {config.bounds[-1]:g}",
                "nearly all: above 0.8",
                float(share[-1]),
                share[-1] > 0.8,
            ),
            Claim(
                "error over that with renewal at every step, median of the runs, the c farthest from 1",
                f"within a factor of {config.factor:g}",
                worst,
                1 / config.factor < worst < config.factor,
            ),
        ]

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Renewals and errors over c; renewals over the training."""
        config, a, c = outcome.config, outcome.arrays, np.array(outcome.config.bounds)
        steps = np.arange(1, config.steps + 1, dtype=np.float64)
        counts = [
            Series(f"c = {bound:g}", steps, np.cumsum(a["renewed"][outcome.where(bound=bound)].mean(axis=0)))
            for bound in config.bounds
        ]
        panels = [
            Curves("Renewals", "c", "share of the steps", [Series("rule (11)", c, self._shares(outcome))], log="x"),
            Curves(
                "Error",
                "c",
                "error over that with renewal at every step",
                [Series("rule (11)", c, self._errors(outcome)), Series("every step", c, np.ones_like(c), DASHED)],
                log="xy",
            ),
            Curves("On the way", "step", "renewals so far, mean of the runs", counts, log="x"),
        ]
        return [Figure("spacing", "Corollary 2's rule with h(t) = c √t in units of twice the first loss.", panels, columns=3)]

    def _shares(self, outcome: Outcome[Config]) -> np.ndarray:
        """The share of steps that renew, mean over the runs, for each c."""
        return np.array([outcome.arrays["renewed"][outcome.where(bound=bound)].mean() for bound in outcome.config.bounds])

    def _errors(self, outcome: Outcome[Config]) -> np.ndarray:
        """The error over that of the same run with renewal at every step, median over the runs, for each c."""
        error = outcome.arrays["error"][:, 0]
        always = error[outcome.where(bound=ALWAYS)]
        return np.array([np.median(error[outcome.where(bound=bound)] / always) for bound in outcome.config.bounds])
