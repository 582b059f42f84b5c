"""`refntk train`: train a network, keep everything that came of it in a folder, and say how it went."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import engine as engines
from .. import training
from ..errors import InvalidInput, MissingDependency
from ..estimation import probes
from ..kernel.residual import SCALINGS
from ..training.optimizers import OPTIMIZERS
from ..training.settings import seed_of
from ..training.weightings import WEIGHTINGS
from . import asked, result
from .asked import SEED, number, pair

STEPS, WEIGHTING = 6_000, "sketched"
OPTIONS = {name: p.default for name, p in inspect.signature(training.train).parameters.items() if p.kind is p.KEYWORD_ONLY}
DEFAULTS = OPTIONS | {"weighting": WEIGHTING}  # the command shows what sketching does


def train(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Train a network on a problem, its loss terms weighted by the neural tangent kernel.

    The loss is ½ Σ λ_k ‖r_k‖², r_k the residuals of term k, everything dimensionless. A weighting says how λ_k follows training:
    WEIGHTINGS
    The folder --out gets history.npz (numbers), summary.json, checkpoint.npz, and figures of losses, weights and the field.

    For example:
      refntk train wave                                        into the folder refntk-wave
      refntk train wave --weighting trace --steps 20000 --out long
      refntk train wave --weighting trace --steps 20000 --out long --resume    go on after Ctrl-C, to the same numbers
      refntk train poisson1d --set frequency=2 --count interior=100 --optimizer gd --lr 1e-5
      refntk train heat --weighting fixed --weight boundary=100 --weight initial=100
    """
    meanings = (f"  {name:<10}{(inspect.getdoc(kind) or '').splitlines()[0]}" for name, kind in WEIGHTINGS.items())
    parser.epilog = (parser.epilog or "").replace("WEIGHTINGS", "\n".join(meanings))
    _declare(parser)
    return run


def _declare(parser: argparse.ArgumentParser) -> None:
    """The options. Those of `training.train` bear its names and have its defaults, by being left out."""

    def passed(group: Any, name: str, told: str, **kind: Any) -> None:
        flag, default = "--" + name.replace("_", "-"), DEFAULTS[name]
        kind = kind or {"type": type(default), "metavar": "X" if isinstance(default, float) else "N"}
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        told += "" if default is None or isinstance(default, bool) else f" (default: {shown})"
        group.add_argument(flag, dest=name, default=argparse.SUPPRESS, help=told, **kind)

    def named(known: Iterable[str]) -> dict[str, Any]:
        return {"type": str, "metavar": "|".join(known)}

    asked.declare(parser)
    balance = parser.add_argument_group("loss weights")
    passed(balance, "weighting", "how λ_k follows training, see below", **named(WEIGHTINGS))
    passed(balance, "every", "steps between two renewals (default: 1, with lbfgs 100)", type=int, metavar="N")
    passed(balance, "alpha", "sketched: share of each new sample in the moving average, in (0, 1]")
    passed(balance, "samples", "sketched: samples averaged at the start")
    passed(
        balance,
        "dt",
        "sketched: step Δt of Algorithm 2, dimensionless; none, the default: K g without it",
        type=_or_none(float),
        metavar="X|none",
    )
    passed(balance, "probe", "sketched: distribution of the probes", **named(probes.KINDS))
    passed(
        balance,
        "balance",
        "sketched: probes balanced between terms (default) or as in the paper",
        action=argparse.BooleanOptionalAction,
    )
    passed(balance, "h", "spaced: the bound h(t) = X √t twice the first loss")
    balance.add_argument(
        "--weight", action="append", type=pair(float), default=[], metavar="TERM=X", help="fixed: a weight that is not 1"
    )
    passed(balance, "scaling", "how rows are scaled: by 1, 1/√n_k, or quadrature weights", **named(SCALINGS))

    way = parser.add_argument_group("training")
    way.add_argument("--steps", type=int, default=STEPS, metavar="N", help=f"(default: {STEPS})")
    passed(way, "optimizer", "how θ moves", **named(OPTIMIZERS))
    way.add_argument(
        "--option",
        action="append",
        type=pair(_value),
        default=[],
        metavar="NAME=VALUE",
        help="of natural gradients: tol, ...",
    )
    passed(way, "lr", "learning rate")
    passed(way, "decay", "learning rate times F over N steps, or none", type=_or_none(_decay), metavar="F,N|none")
    passed(way, "resample", "new points for every step (default where possible) or one set", action=argparse.BooleanOptionalAction)
    way.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"of parameters, points and probes (default: {SEED})")
    passed(way, "engine", "what computes", **named(engines.names()))

    kept = parser.add_argument_group("what is kept")
    kept.add_argument("--out", type=Path, metavar="FOLDER", help="(default: refntk-PROBLEM)")
    passed(kept, "record", "steps between two records in the history")
    passed(kept, "eigenvalues", "record the spectrum of the kernel too, O(rows³) each", action="store_true")
    passed(kept, "checkpoint_every", "steps between two checkpoints")
    kept.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out, if there is one")
    kept.add_argument("--force", action="store_true", help="replace the run that stands in --out")
    kept.add_argument("--quiet", action="store_true", help="no live line")


def run(options: argparse.Namespace) -> int:
    """Trains, writes, tells. Returns 0, or 130 after Ctrl-C."""
    problem = asked.problem_of(options)
    given: dict[str, Any] = {"weighting": WEIGHTING, "rng": seed_of(options.seed), "progress": not options.quiet}
    given |= {name: getattr(options, name) for name in OPTIONS if hasattr(options, name)}
    given |= {
        name: dict(pairs)
        for name, pairs in (("counts", options.count), ("weights", options.weight), ("options", options.option))
        if pairs
    }
    network, theta = asked.network_of(problem, options)
    folder = result.Folder(options.out or Path(f"refntk-{problem.name}"))
    folder.prepare(resume=options.resume, force=options.force)
    plots = _plots()
    command = ["refntk", *(word for word in options.arguments if word not in ("--resume", "--force"))]

    def keep(history: training.History) -> None:
        files = folder.write(history, command)
        files += folder.draw(history, problem, network, plots) if plots else []
        print(result.report(history, problem, network, folder.path, files, command))

    try:
        history = training.train(problem, network, theta, checkpoint=folder.checkpoint, **given)
    except (InvalidInput, OSError) as error:
        if (recorded := getattr(error, "history", None)) is not None:
            keep(recorded)
        raise
    finally:
        folder.settle()
    keep(history)
    return 130 if history.config["interrupted"] else 0


def _plots() -> ModuleType | None:
    """The room of figures; None, and a word about it before hours are spent, where matplotlib is missing."""
    try:
        from .. import plots
    except MissingDependency as error:
        print(f"refntk: no figures will be drawn: {error}", file=sys.stderr)
        return None
    return plots


def _value(text: str) -> int | float | str:
    """A whole number, a number or a word."""
    return int(text) if text.isdigit() else number(text)


def _or_none(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        return None if text == "none" else kind(text)

    read.__name__ = kind.__name__.lstrip("_")  # argparse names it: "invalid decay value"
    return read


def _decay(text: str) -> tuple[float, int]:
    factor, every = text.split(",")
    return float(factor), int(every)
