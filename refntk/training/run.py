"""One training run on its way: step after step, recorded, kept on disk, and stopped without loss."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import arrays
from ..arrays import Array
from ..calculus.network import MLP
from ..errors import InvalidInput, TraceError
from ..kernel import ntk as kernel
from ..problems.base import Problem
from . import accuracy
from .checkpoint import Checkpoint
from .describe import describe
from .history import History, Row
from .optimizers import learning_rate
from .position import Position
from .settings import Settings

Report = Callable[[int, Row | None], None]  # called after every step, and with the row after every record


class DivergenceError(InvalidInput):
    """Training left the finite numbers. `history` holds what was recorded before; None if nothing was."""

    history: History | None = None


@dataclass(frozen=True)
class State:
    """All that the next step depends on besides the settings: replaced as a whole, so that it is never half done."""

    t: int
    theta: Array
    optimizer: dict[str, Array]
    weighting: dict[str, np.ndarray]


class Run:
    """Training of `network` on `problem` from `theta`, with fixed `points` or None: `go` moves it, `finish` ends it."""

    def __init__(
        self,
        problem: Problem,
        network: MLP | None,
        theta: Array,
        points: Mapping[str, Array] | None,
        settings: Settings,
        /,
        *,
        quadrature: Mapping[str, Array] | None = None,
    ):
        self.problem, self.network, self.settings = problem, network, settings
        self.quadrature, self.xp = quadrature, arrays.namespace(theta)
        self.optimizer, self.weighting = settings.optimization(), settings.weighing()
        self.fixed = points if points is not None or settings.resample else self._sample(0)
        first = self._position(0, theta).lin  # says what is wrong with θ, network or points before anything else happens
        self.config = settings.config() | describe(problem, network, theta, self.fixed, first.blocks, quadrature)
        self.error = accuracy.relative_error(problem, network)
        self.state = State(0, theta, self.optimizer.start(theta, xp=self.xp), {})
        self.resumable = self.state  # the last state that does not depend on where this run ends
        self.rows: list[Row] = []
        self.before = 0.0  # seconds of earlier runs
        self.started = time.perf_counter()

    def _sample(self, t: int) -> dict[str, np.ndarray]:
        """The points of step t: a function of the seed and t alone."""
        source = np.random.SeedSequence(self.settings.seed, spawn_key=(t,))
        return self.problem.sample(rng=np.random.default_rng(source), counts=self.settings.counts)

    def _position(self, t: int, theta: Array) -> Position:
        points = self._sample(t) if self.fixed is None else self.fixed
        points = {name: arrays.like(x, theta, xp=self.xp) for name, x in points.items()}
        return Position(self.problem, self.network, theta, points, self.settings.scaling, self.settings.engine, self.quadrature)

    def resume(self, path: str | os.PathLike[str]) -> None:
        """Takes up the run that stands at `path`. Raises `DamagedFile`, or `InvalidInput` if it is another run."""
        found = Checkpoint.load(path, self.config)
        like = self.state.theta
        optimizer = {name: arrays.like(a, like, xp=self.xp) for name, a in found.optimizer.items()}
        theta = arrays.like(found.history.theta, like, xp=self.xp)
        self.state = State(found.history.config["completed"], theta, optimizer, found.weighting)
        self.resumable, self.rows, self.before = self.state, found.history.rows(), float(found.history.seconds[-1])

    def go(self, report: Report, keep: Callable[[int, int], None]) -> bool:
        """Trains to the end; `keep(before, after)` is called when the resumable state has moved on from step to step.

        Returns whether it ended early because the optimizer found nothing lower. Raises `DivergenceError`.
        """
        settings, stride = self.settings, self.optimizer.round(self.settings.every)
        while self.state.t < settings.steps:
            t = self.state.t
            at, weighting = self._weigh()
            if t % settings.record == 0:
                self._record(t, at, weighting, report)

            def visit(step: int, theta: Array, weighting: dict[str, np.ndarray] = weighting) -> None:
                self.state = State(step, theta, self.state.optimizer, weighting)
                if step % settings.record == 0:
                    self._record(step, self._position(step, theta), weighting, report)

            whole_round = stride - t % stride
            count = min(whole_round, settings.steps - t)
            weights = dict(zip(at.lin.blocks, weighting["weights"].tolist(), strict=True))
            rate = learning_rate(t, settings.lr, settings.decay)
            theta, optimizer, taken = self.optimizer.advance(t, count, at, weights, self.state.optimizer, rate=rate, visit=visit)
            if not taken and self.fixed is not None:
                return True
            if not bool(self.xp.all(self.xp.isfinite(theta))):
                raise self._divergence("theta", "NaN or infinite", t)
            taken = max(taken, 1)  # where points are drawn anew, the next may lead on
            self.state = State(t + taken, theta, optimizer, weighting)
            if count == whole_round or taken < count:
                before, self.resumable = self.resumable.t, self.state
                keep(before, self.state.t)
            report(self.state.t, None)
        return False

    def _weigh(self) -> tuple[Position, dict[str, np.ndarray]]:
        """Where the run stands, and the weighting's state there."""
        t = self.state.t
        at = self._position(t, self.state.theta)
        try:
            weighting = self.weighting.renew(
                t, at, self.state.weighting
            )  # first: it may make the adjoint pass with the forward pass
        except TraceError:
            self._check_loss(at, t)  # if it is NaN, that explains the trace
            raise
        self._check_loss(at, t)
        return at, weighting

    def _check_loss(self, at: Position, t: int) -> None:
        half = sum(at.losses.values())
        if not math.isfinite(half):
            raise self._divergence("loss", half, t)

    def _divergence(self, what: str, value: object, t: int) -> DivergenceError:
        remedy = f"step {t} left the finite numbers; lower lr={self.settings.lr}, or begin from smaller parameters"
        return DivergenceError(what, value, remedy)

    def _record(self, t: int, at: Position, weighting: Mapping[str, np.ndarray], report: Report | None = None) -> None:
        """Row t, in place of an earlier one."""
        weights = weighting["weights"]
        row: Row = {
            "steps": t,
            "seconds": self.before + time.perf_counter() - self.started,
            "loss": at.loss(dict(zip(at.lin.blocks, weights.tolist(), strict=True))),
            "errors": self.error(at.theta),
            "losses": np.array(list(at.losses.values())),
            "weights": weights,
            "traces": np.array(list(at.traces_aside().values())),
        }
        if "average" in weighting:
            row["estimates"] = weighting["average"]
        if self.settings.eigenvalues:
            row["eigenvalues"] = arrays.to_numpy(kernel.ntk_spectrum(at.lin)).astype(np.float64)
        if self.rows and self.rows[-1]["steps"] == t:
            self.rows[-1] = row
        else:
            self.rows.append(row)
        if report is not None:
            report(t, row)

    def finish(self, **ending: bool) -> History:
        """The history, with the last state recorded as well, under the weights that the next step would have."""
        if not self.rows or self.rows[-1]["steps"] < self.state.t:
            self._record(self.state.t, *self._weigh())
        return self._history(self.state, self.rows, ending)

    def recorded(self) -> History | None:
        """The history as it stands; nothing is computed."""
        return self._history(self.state, self.rows, {}) if self.rows else None

    def checkpoint(self) -> Checkpoint | None:
        """What to go on from, None before the first step. Rows from its step on are left out: they will be recorded again."""
        state = self.resumable
        rows = [row for row in self.rows if row["steps"] < state.t]
        if not rows:
            return None
        optimizer = {name: arrays.to_numpy(array) for name, array in state.optimizer.items()}
        return Checkpoint(self._history(state, rows, {}), optimizer, state.weighting)

    def _history(self, state: State, rows: list[Row], ending: Mapping[str, bool]) -> History:
        ended: dict[str, Any] = {"completed": state.t, "interrupted": False, "converged": False, **ending}
        from importlib.metadata import version  # here, so that importing refntk does not load it

        versions = {name: version(name) for name in ("refntk", "numpy")}
        theta = arrays.to_numpy(state.theta).astype(np.float64)
        return History.of_rows(rows, theta, self.config | ended | {"versions": versions})
