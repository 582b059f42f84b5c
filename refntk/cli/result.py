"""What a training run leaves in its folder, and what is said about it at the end."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from ..calculus.network import MLP
from ..errors import InvalidInput
from ..files import replacing
from ..problems.base import Problem
from ..training import History
from ..training.deviation import full_weights, median_deviation

FORMATS = ("png", "svg")


@dataclass(frozen=True)
class Folder:
    """The folder of one run: history.npz, summary.json, checkpoint.npz and figures."""

    path: Path

    @property
    def history(self) -> Path:
        """The numbers."""
        return self.path / "history.npz"

    @property
    def checkpoint(self) -> Path:
        """What to go on from."""
        return self.path / "checkpoint.npz"

    def prepare(self, *, resume: bool, force: bool) -> None:
        """Makes the folder. Raises `InvalidInput` where a run stands in it that is neither to be resumed nor to be replaced."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput("--out", self.path, f"no folder can be made there: {error.strerror}") from error
        self.settle()  # after a run that was killed
        if resume and force:
            raise InvalidInput("--force", "with --resume", "a run is gone on with or replaced, not both")
        if force:
            with suppress(FileNotFoundError):  # the rest is replaced when there is something to replace it with
                self.checkpoint.replace(self._aside)
        elif self.history.exists() and not (resume and self.checkpoint.exists()):
            remedy = "the checkpoint is missing" if resume else "--resume goes on with it"
            raise InvalidInput("--out", self.path, f"a run stands there: {remedy}, --force replaces it, or choose another folder")
        elif self.checkpoint.exists() and not resume:
            raise InvalidInput("--out", self.path, "an unfinished run stands there: --resume goes on with it, --force replaces it")

    @property
    def _aside(self) -> Path:
        return self.path / "replaced.npz"

    def settle(self) -> None:
        """A checkpoint that `force` put aside is gone when the new run has one of its own, and back where it has not."""
        if self.checkpoint.exists():
            self._aside.unlink(missing_ok=True)
        elif self._aside.exists():
            self._aside.replace(self.checkpoint)

    def write(self, history: History, command: Sequence[str]) -> list[str]:
        """The names of the files of numbers, written crash-safely."""
        history.save(self.history)
        summary = history.summary() | {
            "median_deviation": {
                term: value if math.isfinite(value) else None for term, value in median_deviation(history).items()
            },
            "command": shlex.join(command),
            "config": history.config,
        }
        with replacing(self.path / "summary.json") as file:
            file.write(json.dumps(summary, indent=2, allow_nan=False).encode() + b"\n")
        return [self.history.name, "summary.json", self.checkpoint.name]

    def draw(self, history: History, problem: Problem, network: MLP | None, plots: ModuleType) -> list[str]:
        """The names of the figures, written crash-safely."""
        figures = {"losses": plots.losses(history), "weights": plots.weights(history)}
        if network is not None:
            figures["field"] = plots.field(history, problem, network)
        return [plots.save(figure, self.path / f"{name}.{kind}").name for name, figure in figures.items() for kind in FORMATS]


def report(
    history: History, problem: Problem, network: MLP | None, folder: Path, files: Sequence[str], command: Sequence[str]
) -> str:
    """The end of a run in a few lines: time, error, losses and weights term by term, files, and the command that repeats it."""
    config, seconds, done = history.config, float(history.seconds[-1]), history.config["completed"]
    ending = "stopped by Ctrl-C after" if config["interrupted"] else "no lower loss after" if config["converged"] else "done:"
    error = float(history.errors[-1])
    shape = "no network" if network is None else f"network {'-'.join(str(size) for size in network.sizes)}"
    lines = [
        "",
        f"{problem.name}: {problem.title}; {shape}, {history.theta.size} parameters",
        f"{ending} {done} of {config['steps']} steps in {seconds:.3g} s",
        f"relative L2 error: {error:.3g}" if math.isfinite(error) else "relative L2 error: not measured, no solution is known",
        "",
        *_terms(history),
        "",
        f"λ in force: {config['weighting']}; full kernel: Tr K / Tr K_kk; rows scaled: {config['scaling']}; all dimensionless",
        f"deviation: median of |λ in force / λ full kernel - 1| over {len(history.steps)} records",
        "",
        f"written to {folder}: {', '.join(files)}",
        f"repeat with: {shlex.join(command)} --force",
    ]
    if config["interrupted"]:
        lines.append(f"go on with:  {shlex.join(command)} --resume")
    return "\n".join(lines)


def _terms(history: History) -> list[str]:
    """A table with one line for each term."""
    full, deviation = full_weights(history), median_deviation(history)
    rows: list[tuple[Any, ...]] = [("term", "rows", "loss ½‖r‖²", "λ in force", "λ full kernel", "deviation")]
    for term, losses in history.losses.items():
        numbers = (losses[-1], history.weights[term][-1], full[term][-1])
        rows.append((term, history.config["rows"][term], *(f"{x:.3g}" for x in numbers), f"{100 * deviation[term]:.2g} %"))
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(f"{cell!s:>{w}}" if i else f"{cell!s:<{w}}" for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
