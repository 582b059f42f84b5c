"""`train`: the door to this room."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from .. import arrays
from ..arrays import Array
from ..calculus.network import MLP
from ..errors import InvalidInput, UnknownNameError
from ..problems.base import DirectProblem, Problem
from ..problems.domain import Count
from .history import History, Row
from .optimizers import OPTIMIZERS
from .run import Report, Run
from .settings import ROUND, Settings, seed_of, whole


def train(
    problem: Problem,
    network: MLP | None,
    theta: Array,
    /,
    *,
    steps: int,
    optimizer: str = "adam",
    options: Mapping[str, Any] | None = None,
    lr: float = 3e-3,
    decay: tuple[float, int] | None = (0.9, 1000),
    weighting: str = "trace",
    every: int | None = None,
    alpha: float = 0.01,
    samples: int = 100,
    dt: float | None = None,
    probe: str = "rademacher",
    balance: bool = True,
    h: float | Callable[[float], float] = 1.0,
    weights: Mapping[str, float] | None = None,
    points: Mapping[str, Array] | None = None,
    quadrature: Mapping[str, Array] | None = None,
    resample: bool | None = None,
    counts: Mapping[str, Count] | None = None,
    scaling: str = "sum",
    rng: int | np.random.Generator | None = 17,
    engine: str = "reference",
    record: int = 100,
    eigenvalues: bool = False,
    progress: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1000,
    resume: bool = False,
) -> History:
    """The `History` of `steps` steps down the loss `½ Σ λ_k ‖r_k‖²` of `problem` for `network`, from `theta` (p,).

    Optimizers: "gd" and "adam" with learning rate `lr · factor^(t / k)` for `decay = (factor, k)`; "lbfgs", SciPy's, in rounds of
    `every` iterations with fixed points and weights; "engd", "sngd" and the other methods of `natural.direction`, each with its
    `options` and the best step of 1, ½, ..., 2^-30 and 0, for which `lr` is of no account (`scaling="quadrature"`: their Gramian);
    "spring", damped natural gradients with a memory, for points drawn anew, with `damping` and `momentum` as `options` and `lr`.

    Weightings, renewed every `every` steps (1; 100 with "lbfgs"): "fixed", `weights` or 1 each; "trace", eq. (5) from the full
    kernel, out of the adjoint pass that the gradient needs anyway; "sketched", Algorithm 3 with `samples` at first and the share
    `alpha` for each new one, `probe` "rademacher" or "normal", `balance` and step `dt` (None: no discretisation) as in
    `weightings.Sketched`; "spaced", Corollary 2 with any bound h(t), or a number c for `c √t` times twice the first loss.

    Points are drawn anew for every step, `counts` as in `problem.sample`, unless `points` are given or `resample=False` (the
    default with natural gradients, with "lbfgs", which cannot do otherwise, and for direct problems, whose points are data). With
    `scaling="quadrature"`, points may bring weights {term: (n,)} of their own, those of a Gauss rule, in `quadrature`. Points
    and all probes are functions of `rng` and the number of the step: a `Generator` is drawn from once, None means a new seed, which
    the history holds.

    Every `record` steps and at the end the history gets losses, weights, the full kernel's traces, the error, and with
    `eigenvalues` the spectrum of K; that does not change a bit of the training. `progress` shows a line of it.

    `checkpoint` names a file that is replaced, crash-safely, every `checkpoint_every` steps and when the run ends, however it ends.
    With `resume` the run goes on from there, if the file exists, to the same bits as without a stop; every option but `steps` must
    be the same (of a function h, its values at 0, 1, 10, ..., 10⁶). "lbfgs" goes on from its last whole round.
    Ctrl-C ends the run as if it were over: the history says `config["interrupted"]`.

    Raises `InvalidInput` for an option that cannot be used or differs from the checkpoint's, `TraceError` where a trace gives no
    weight, `DivergenceError` for NaN, `DamagedFile`, `OSError`; what ends a run that had begun carries its `history` so far.
    Cost of a step: forward and adjoint pass; the traces add C² dot products per point and layer, a sketch another Jᵀ v and forward.

    >>> import refntk as rn
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 1])  # u = w x + b: R = (0, 0, b, w + b) less the data
    >>> points = {"interior": [[0.25]], "boundary": [[0.0], [1.0]]}
    >>> history = train(problem, network, np.array([0.0, 1.0]), steps=1, optimizer="gd", lr=0.25, decay=None,
    ...                 weighting="fixed", points=points)
    >>> history.theta  # (0, 1) - 0.25 Jᵀ (1, 1)
    array([-0.25,  0.5 ])
    """
    if optimizer not in OPTIMIZERS:
        raise UnknownNameError("optimizer", optimizer, OPTIMIZERS)
    whole("checkpoint_every", checkpoint_every)
    chosen = OPTIMIZERS[optimizer]
    if points is not None and resample:
        raise InvalidInput("resample", True, "points are given; leave one of the two out")
    if points is not None and counts is not None:
        raise InvalidInput("counts", counts, "points are given; leave one of the two out")
    if points is None and quadrature is not None:
        raise InvalidInput("quadrature", "weights", "they belong to points of their own; give points as well")
    if resample is None:
        resample = points is None and not chosen.fixed_points() and not isinstance(problem, DirectProblem)
    settings = Settings(
        steps=steps,
        optimizer=optimizer,
        options=None if options is None else dict(options),
        lr=lr,
        decay=decay,
        weighting=weighting,
        every=chosen.round(ROUND) if every is None else every,
        alpha=alpha,
        samples=samples,
        dt=dt,
        probe=probe,
        balance=balance,
        h=h,
        weights=_weights(problem, weights),
        resample=resample,
        counts=counts,
        scaling=scaling,
        seed=seed_of(rng),
        engine=engine,
        record=record,
        eigenvalues=eigenvalues,
    )
    checked = None if points is None else problem.check_points(points)
    run = Run(problem, network, arrays.as_floats("theta", theta), checked, settings, quadrature=quadrature)
    path = _place(checkpoint, resume)
    if path is not None and resume and path.exists():
        run.resume(path)
    return _guarded(run, path, checkpoint_every, progress)


def _weights(problem: Problem, weights: Mapping[str, float] | None) -> dict[str, float] | None:
    """The weights given, for terms that exist and not negative."""
    if weights is None:
        return None
    names = [term.name for term in problem.terms]
    for name, value in weights.items():
        if name not in names:
            raise UnknownNameError("weights", name, names)
        if not (np.ndim(value) == 0 and np.isfinite(value) and value >= 0):
            raise InvalidInput(f"weights[{name!r}]", value, "give a number that is not negative")
    return {name: float(value) for name, value in weights.items()}


def _place(checkpoint: str | os.PathLike[str] | None, resume: bool) -> Path | None:
    """Where the checkpoint goes; one that stands there is not lost by oversight."""
    if checkpoint is None:
        if resume:
            raise InvalidInput("resume", True, "name the file to go on from: checkpoint=...")
        return None
    path = Path(checkpoint)
    if path.exists() and not resume:
        raise InvalidInput("checkpoint", path, "the file exists; pass resume=True to go on from it, or remove it")
    return path


def _guarded(run: Run, path: Path | None, every: int, progress: bool) -> History:
    """Runs, and sees to it that nothing done is lost, however the run ends."""

    def save() -> None:
        found = run.checkpoint()
        if path is not None and found is not None:
            found.save(path)

    def keep(before: int, after: int) -> None:
        if before == 0 or before // every < after // every:  # after the first step too: a full disk is better known at once
            save()

    with np.errstate(over="ignore", invalid="ignore"), _Progress(run, progress) as line:
        try:
            interrupted = converged = False
            try:
                converged = run.go(line, keep)
            except KeyboardInterrupt:
                interrupted = True
            save()
            return run.finish(interrupted=interrupted, converged=converged)
        except Exception as error:
            cast(Any, error).history = run.recorded()
            if not isinstance(error, OSError):
                save()
            raise


class _Progress:
    """A line that says how far a run is, with loss, error and weights; silent unless `show`."""

    def __init__(self, run: Run, show: bool):
        self.line = None
        if show:
            from tqdm import tqdm

            self.line = tqdm(total=run.settings.steps, initial=run.state.t, unit="step", dynamic_ncols=True)
        self.terms = run.config["terms"]

    def __enter__(self) -> Report:
        return self.report

    def __exit__(self, *ending: object) -> None:
        if self.line is not None:
            self.line.close()

    def report(self, t: int, row: Row | None) -> None:
        """After a step, and with `row` after a record."""
        if self.line is None:
            return
        self.line.update(t - self.line.n)
        if row is not None:
            weights = " ".join(f"{term} {weight:.3g}" for term, weight in zip(self.terms, row["weights"], strict=True))
            self.line.set_postfix_str(f"loss {row['loss']:.3g}, error {row['errors']:.3g}, λ {weights}", refresh=False)
