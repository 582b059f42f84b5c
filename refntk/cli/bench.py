"""`refntk bench`: how long the work of a study takes on this machine, engine by engine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from .. import engine as engines
from .. import problems
from ..errors import InvalidInput
from ..files import replacing
from ..problems.base import DirectProblem

ROUNDS = 9


def bench(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Time the work of a study: engines side by side, beside the bare matrix products.

    Steps without and with weights of the full kernel, Algorithm 3's step, a sketch, the traces, the kernel, a product with it: each
    engine is checked against the first, then all take turns in one process. Told are milliseconds, median (least), and the ratio of
    medians to the bare products. The numbers of a machine that does something else besides are worth little.

    For example:
      refntk bench                                          the wave equation at the size of the paper
      refntk bench --width 100 --counts interior=1000 --rounds 21
      refntk bench --problem heat --width 50 --engines numba --out heat.json
      refntk bench --dtype float32                          both precisions side by side, and what the lower one costs in digits
    """
    parser.add_argument("--problem", default="wave", metavar="PROBLEM", help="a name from `refntk problems` (default: wave)")
    parser.add_argument("--width", type=int, default=500, metavar="N", help="neurons of each hidden layer (default: 500)")
    parser.add_argument("--depth", type=int, default=3, metavar="N", help="hidden layers (default: 3)")
    parser.add_argument("--counts", type=_counts, default={}, metavar="TERM=N,...", help="points of terms (default: the paper's)")
    known = ",".join(engines.names())
    parser.add_argument("--engines", default=known, metavar="NAME,...", help=f"whom to time (default: {known})")
    parser.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="float32: each engine in both, with errors (default: float64)",
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"turns of each that count (default: {ROUNDS})")
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep all numbers, with their environment, as JSON")
    parser.add_argument("--quiet", action="store_true", help="no live line")
    return run


def run(options: argparse.Namespace) -> int:
    """Measures and tells. Returns 0."""
    from ..bench import Case, compare, table

    problem = problems.get(options.problem)
    if isinstance(problem, DirectProblem):
        raise InvalidInput("--problem", problem.name, "it has no network to propagate through; choose another")
    if options.depth < 1:
        raise InvalidInput("--depth", options.depth, "choose at least one hidden layer")
    sizes = [len(problem.coordinates), *[options.width] * options.depth, problem.outputs]
    names = list(dict.fromkeys(options.engines.split(",")))
    cases = {engine: Case.of(problem, sizes, counts=options.counts, engine=engine) for engine in names}
    if options.dtype == "float32":
        single = {f"{engine} float32": case.cast("float32") for engine, case in cases.items()}
        cases = {engine: single[f"{engine} float32"].cast("float64") for engine in names} | single  # the same θ and points in both
    document = compare(cases, rounds=options.rounds, progress=not options.quiet)
    print(table(document))
    if options.out:
        with replacing(options.out) as file:
            file.write(json.dumps(document, indent=1, allow_nan=False).encode() + b"\n")
    return 0


def _counts(text: str) -> dict[str, int]:
    pairs = [pair.partition("=") for pair in text.split(",")]
    try:
        return {term: int(count) for term, _, count in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not TERM=N,TERM=N,...") from None
