"""Best McKay et al. 2025, section 5.2, Tables 3 and 4, Figure 3: Poisson's equation on a square."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from . import comparison, descents
from .courses import Course, width
from .figure import Figure
from .study import Arrays, Cell, Claim, Outcome, Study


@dataclass(frozen=True)
class Config:
    """Hidden layers and steps; `first` of the optimizers that know gradients only."""

    hidden: str = "20-20-20-20"
    methods: tuple[str, ...] = ("adam", "bfgs", "engd", "single", "two", "ours")
    target: float = 2e-8
    runs: int = 5
    steps: int = 60
    first: int = 300
    nodes: int = 20
    records: int = 20
    start: int = 19  # variants were tried on starts 17 and 18


class SngdPoisson(Study[Config]):
    """Poisson's equation on a square: how far down does each optimizer come?

    With 14 x 14 Gauss points ours brings the loss of 1,341 parameters to 1e-22 and below, and the error stays at 1e-7 to 3e-6:
    the network passes through every point. With 20 x 20 the points see what lies between them.
    """

    name: ClassVar[str] = "sngd_poisson"
    source: ClassVar[str] = "Best McKay et al. 2025, section 5.2, Tables 3 and 4, Figure 3"
    scales: Mapping[str, Config] = {
        "smoke": Config("16-16", ("adam", "ours"), 0.1, runs=1, steps=50, first=50, nodes=8, records=5),
        "desk": Config(),
        "paper": Config(methods=("adam", "bfgs", "engd", "cut", "single", "two", "ours"), steps=2000, first=100_000, records=100),
    }

    def cells(self, config: Config) -> list[Cell]:
        """Every method from every start."""
        return [{"method": method, "run": i} for method in config.methods for i in range(config.runs)]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """One descent."""
        steps = config.first if cell["method"] in ("adam", "bfgs") else config.steps
        start = [config.start, cell["run"]]
        return descents.measure(_course(config), cell["method"], start=start, steps=steps, records=config.records, key=key)

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """How far ours comes, from every start, and beside the others."""
        ours = {"method": "ours"}
        printed = "the paper's ENGD 5.16e-7, single pass 9.46e-9, two passes 1.21e-8"
        worst = float(comparison.ends(outcome, **ours).max())
        found = [
            comparison.reached(outcome, "ours", outcome.config.target, printed, **ours),
            Claim("ours, from the worst start: relative L2 error", "no start is stuck: below 0.1", worst, worst < 0.1),
        ]
        others = [name for name in outcome.config.methods if name != "ours"]
        told = "error of ours over that of "
        return found + [
            comparison.lead(outcome, told + descents.METHODS[name].label, "below 1", ours, {"method": name}, 1.0) for name in others
        ]

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Figure 3 with errors."""
        methods = outcome.config.methods
        panels = [
            comparison.curves(outcome, "Poisson's equation", x, y, methods) for x, y in (("passes", "loss"), ("step", "error"))
        ]
        told = (
            "Figure 3's counterpart, medians in bands from the least to the largest over the starts; Adam and BFGS take more steps."
        )
        return [Figure("descent", told, panels)]


@cache
def _course(config: Config) -> Course:
    return Course.of("poisson2d", width(config.hidden), [config.nodes, config.nodes])
