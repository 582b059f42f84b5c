"""`refntk weights`: what every published rule "by the NTK" makes of one problem, side by side."""

from __future__ import annotations

import argparse
import math
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..calculus.network import MLP
from ..errors import InvalidInput
from ..files import write_json
from ..kernel.linearization import linearize
from ..problems.base import Problem
from ..report import Table, plain
from ..training import History
from ..training.describe import describe
from ..training.rebuilt import rebuild, unfinished
from ..weights import RULES, RULES_OF_U, Comparison, compare
from . import asked
from .result import Folder

SCHEMA = "refntk weights 1"
KNOWN = RULES | RULES_OF_U
ROW, BALANCE = "RULE", "BALANCE"
OURS = ("set", "count", "width", "depth", "activation", "init", "seed")  # what a run says itself

Start = tuple[Problem, MLP | None, np.ndarray, dict[str, np.ndarray]]


def weights(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Compare every published rule for weights "by the neural tangent kernel" on one problem.

    K is the kernel of the residual r at parameters θ, K_kk its block for term k with n_k rows; rows are as they are, unscaled. Each
    rule has two lines: where it is published and its weights λ_k; its formula and their ratios to eq. (5), the rule of the first
    lines. BALANCE is the largest ratio over the smallest: how far the balance of two terms is from that of eq. (5), whatever factor
    they share. How a code averages in time is not part of a rule. Parameters are drawn as `refntk train` draws them, and points are
    those of its first step.

    For example:
      refntk weights wave                              at first parameters
      refntk weights wave --width 500 --init ntk --seed 3 --count interior=900
      refntk weights --at refntk-wave                  where a run of `refntk train` has come, at its parameters and points
      refntk weights --at refntk-wave --plot weights.svg --json weights.json
    """
    asked.declare(parser, nargs="?")
    where = parser.add_argument_group("where")
    where.add_argument(
        "--seed", type=int, default=asked.SEED, metavar="N", help=f"of parameters and points (default: {asked.SEED})"
    )
    where.add_argument(
        "--at", type=Path, metavar="FOLDER", help="a run of `refntk train`, in place of PROBLEM and all of the above"
    )
    kept = parser.add_argument_group("what is kept")
    kept.add_argument("--json", type=Path, metavar="FILE", help="the numbers with all that they depend on, as JSON")
    kept.add_argument("--plot", type=Path, metavar="FILE", help="a figure (png, svg, pdf)")
    defaults = {name: parser.get_default(name) for name in OURS}
    return lambda options: _run(options, defaults)


def _run(options: argparse.Namespace, defaults: Mapping[str, Any]) -> int:
    started, (problem, network, theta, points) = _trained(options, defaults) if options.at else _fresh(options)
    lin = linearize(problem, network, theta, points)
    found = compare(lin)
    if options.plot:
        from .. import plots

        plots.save(plots.rules(found, f"{problem.name}: one name, {len(found.weights)} rules for loss weights"), options.plot)
    if options.json:
        about = describe(problem, network, theta, points, lin.blocks) | {"scaling": "sum", "start": started}
        write_json(options.json, document(found) | {"at": about, "command": shlex.join(["refntk", *options.arguments])})
    rows = {term: block.stop - block.start for term, block in lin.blocks.items()}
    shape = "no network" if network is None else f"network {'-'.join(map(str, network.sizes))}, {network.activation.name}"
    print(f"{problem.name}: {problem.title}; {shape}, {theta.size} parameters; {started}")
    print(f"rows: {', '.join(f'{term} {n}' for term, n in rows.items())}; unscaled\n")
    print(told(found))
    return 0


def _fresh(options: argparse.Namespace) -> tuple[str, Start]:
    """First parameters, and the points of the first step; in words, which."""
    if options.problem is None:
        raise InvalidInput("PROBLEM", "nothing", "name one from `refntk problems`, or a run by --at FOLDER")
    problem = asked.problem_of(options)
    network, theta = asked.network_of(problem, options)
    rng = np.random.default_rng(np.random.SeedSequence(options.seed, spawn_key=(0,)))
    points = problem.sample(rng=rng, counts=dict(options.count))
    return f"{options.init}, seed {options.seed}" if network else f"seed {options.seed}", (problem, network, theta, points)


def _trained(options: argparse.Namespace, defaults: Mapping[str, Any]) -> tuple[str, Start]:
    """Where a run stands; in words, where."""
    for name in OURS:
        if getattr(options, name) != defaults[name]:
            raise InvalidInput(
                f"--{name}", getattr(options, name), "the run in --at FOLDER says that itself; leave one of them out"
            )
    folder = Folder(options.at)
    if folder.history.exists():
        history = History.load(folder.history)
    elif folder.checkpoint.exists():
        history = unfinished(folder.checkpoint)
    else:
        raise InvalidInput("--at", options.at, "no run of `refntk train` stands there")
    if options.problem not in (None, history.config["problem"]):
        raise InvalidInput(
            "PROBLEM", options.problem, f"the run in {options.at} is of {history.config['problem']!r}; leave one out"
        )
    return f"after {history.config['completed']} steps of training", rebuild(history)


def document(found: Comparison) -> dict[str, Any]:
    """The numbers as JSON values, and the machine's; what is infinite is null."""
    from ..bench.machine import environment

    imbalance, ratios = found.imbalance, found.ratios
    rules: dict[str, Any] = {}
    for name, rule in KNOWN.items():
        about = {"source": rule.source, "formula": rule.formula}
        if name in found.refused:
            rules[name] = about | {"refused": found.refused[name]}
        elif name in found.weights:
            balance = imbalance.get(name, math.inf)
            numbers = {"weights": found.weights[name], "ratios": ratios.get(name)}
            rules[name] = about | numbers | {"balance": balance if balance < math.inf else None}
    return {"schema": SCHEMA, "rules": rules, "environment": environment()}


def told(found: Comparison) -> str:
    """Two lines for each rule: source and weights; formula and ratios to eq. (5).

    >>> print(told(Comparison({"wang_2022": {"a": 1.5, "b": 3.0}, "bai_2023": {"a": 3.0, "b": 1.5}}, {})))
    RULE       SOURCE and FORMULA                                                        a     b  BALANCE
    wang_2022  Wang, Yu & Perdikaris 2022 (PINNsNTK); eq. (5) of Hirsch & Pichi 2025   1.5     3        1
               λ_k = Σs / s_k, s_k = Tr K_kk                                            ×1    ×1
    bai_2023   Bai et al. 2023 (PIRBN, as in PaddleScience)                              3   1.5        4
               λ_k = Σs / s_k, s_k = Tr K_kk / n_k                                      ×2  ×0.5
    """
    terms = list(next(iter(found.weights.values()), {}))
    imbalance, ratios = found.imbalance, found.ratios
    lines: list[list[str]] = []
    for name, numbers in found.weights.items():
        balance = f"{imbalance[name]:.3g}" if name in imbalance else ""
        lines.append([name, KNOWN[name].source, *(f"{numbers[term]:.3g}" for term in terms), balance])
        shown = [f"×{ratios[name][term]:.3g}" for term in terms] if name in ratios else [""] * len(terms)
        lines.append(["", KNOWN[name].formula, *shown, ""])
    table = plain(Table([ROW, "SOURCE and FORMULA", *terms, BALANCE], lines, [*terms, BALANCE]))
    return "\n".join([table, *(f"{name}: no weights: {why}" for name, why in found.refused.items())])
