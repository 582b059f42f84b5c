"""A study of its own for the tests of the engine: cells of a second's fraction, and faults planted by the environment.

`TOY_RAISES` and `TOY_KILLS` name cells (0,3) that raise and that kill their process, `TOY_PAUSE` is how long each takes (seconds),
`TOY_PIDS` a folder where every cell leaves a file named by its process. `python -m toy_study OUT [WORKERS [EXECUTOR]]` conducts it.
"""

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from threadpoolctl import threadpool_info

from refntk.errors import InvalidInput, MissingDependency
from refntk.studies.conduct import conduct
from refntk.studies.figure import Curves, Figure, Series
from refntk.studies.study import Claim, Study


@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = (8, 150)
    repeats: int = 6


class Toy(Study[Config]):
    """Is the mean of a normal matrix's Gram diagonal its size? By drawing some."""

    name = "toy"
    source = "the definition of a chi-squared variable"
    scales: ClassVar = {"smoke": Config(), "desk": Config(repeats=8)}

    def cells(self, config):
        return [{"size": size, "i": i} for size in config.sizes for i in range(config.repeats)]

    def measure(self, config, cell, *, key):
        plant(cell["i"] + config.repeats * config.sizes.index(cell["size"]))
        x = np.random.default_rng(key).standard_normal((cell["size"], cell["size"]))
        gram = x @ x.T  # by BLAS, whose bits depend on its threads
        return {"mean": np.array(np.trace(gram) / len(gram)), "row": np.linalg.solve(gram + np.eye(len(gram)), x[0])[:4]}

    def claims(self, outcome):
        measured = float(np.mean(outcome.arrays["mean"] / outcome.column("size")))
        return [Claim("the mean over the size", "1", measured, abs(measured - 1) < 0.2)]

    def figures(self, outcome):
        return [
            Figure("means", "Means.", [Curves("", "size", "mean", [Series("", outcome.column("size"), outcome.arrays["mean"])])])
        ]


TOY = Toy()


def plant(number):
    """The faults of cell `number`."""
    if folder := os.environ.get("TOY_PIDS"):
        (Path(folder) / str(os.getpid())).touch()
    time.sleep(float(os.environ.get("TOY_PAUSE", "0")))
    if number in numbers("TOY_KILLS"):
        os.kill(os.getpid(), signal.SIGKILL)
    if number in numbers("TOY_RAISES"):
        raise ZeroDivisionError(f"planted in cell {number}")


def numbers(name):
    return [int(n) for n in os.environ.get(name, "").split(",") if n]


def work(kind, value):
    """What one task of `run` does: 10 value, or a fault, or it tells the threads of BLAS."""
    if kind == "raises":
        raise ZeroDivisionError("planted")
    if kind == "exits":
        sys.exit(3)
    if kind == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "threads":
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    return (lambda: value) if kind == "cannot be sent" else 10 * value


def results(out):
    """The bytes that must not depend on how they came about."""
    return {name: (Path(out) / name).read_bytes() for name in ("study.json", "result.npz", "claims.json")}


def main(arguments):
    """The exit code, as the command line has it."""
    out, workers, executor = [*arguments, *("", "1", "")[len(arguments) :]]
    try:
        found = conduct(TOY, out, scale="smoke", workers=int(workers), executor=executor or None)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (InvalidInput, OSError, MissingDependency) as error:
        print(f"toy: {error}", file=sys.stderr)
        return 1
    for cell, told in found.failures:
        print(f"toy: {cell}: {told}", file=sys.stderr)
    return 1 if found.failures else 0


if __name__ == "__main__":
    import toy_study  # under its own name, by which other processes know it

    sys.exit(toy_study.main(sys.argv[1:]))
