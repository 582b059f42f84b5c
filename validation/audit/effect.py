"""What a rule does to a training: the wave equation under every rule of `refntk.weights.RULES`, all else equal.

The rules alone, without their authors' averaging in time: weights from K and r of unscaled rows every 50 steps, for a loss of mean
squares, full batch, Adam. Whether a library computes the rule that bears its name is what `run.py` finds out.

    python validation/audit/effect.py [--steps 4000] [--seeds 2] [--out FILE]
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from environment import environment
from tqdm import tqdm

import refntk as rn
from refntk.errors import TraceError
from refntk.files import replacing
from refntk.training.weightings import WEIGHTINGS
from refntk.weights import RULES, Rule

SIZES = [2, 40, 40, 1]
COUNTS = {"interior": 200, "initial": 50, "velocity": 50, "boundary": 50}
EVERY, LR = 50, 2e-3
HERE = Path(__file__).parent


@dataclass(frozen=True)
class ByRule:
    """The weights of a rule, every `every` steps; those before where none follows."""

    every: int
    rule: ClassVar[Rule]

    def renew(self, t, at, state):
        """The state at step t."""
        if t % self.every:
            return state
        blocks = at.lin.blocks
        root = np.concatenate([np.full(rows.stop - rows.start, (rows.stop - rows.start) ** 0.5) for rows in blocks.values()])
        try:  # rows divided by √n, multiplied by it again
            found = self.rule(root[:, None] * rn.ntk(at.lin) * root, root * at.lin.residual, blocks)
        except TraceError:
            return state or {"weights": np.ones(len(blocks))}
        return {"weights": np.array([found[name] for name in blocks])}


def main(arguments=None):
    """Trains under every rule and writes the errors."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--steps", type=int, default=4000, metavar="N", help="(default: 4000)")
    options.add_argument("--seeds", type=int, default=2, metavar="N", help="(default: 2)")
    options.add_argument("--out", type=Path, default=HERE / "results" / "effect.json", metavar="FILE", help="(default: results)")
    options = options.parse_args(arguments)
    start, rules = time.perf_counter(), {"no weights": None, **RULES}
    runs = {name: [error(rule, options.steps, seed) for seed in range(options.seeds)] for name, rule in tqdm(rules.items())}
    found = {"schema": "refntk audit effect 1", **environment(), "steps": options.steps, "sizes": SIZES, "counts": COUNTS}
    found |= {"every": EVERY, "lr": LR, "seconds": round(time.perf_counter() - start, 1), "errors": runs}
    with replacing(options.out) as file:
        file.write((json.dumps(found, indent=1, ensure_ascii=False) + "\n").encode())


def error(rule, steps, seed):
    """The relative L2 error at the end."""
    problem = rn.problems.get("wave")
    network = rn.MLP(SIZES, **problem.normalization)
    weighting = "fixed"
    if rule is not None:
        weighting = "audited"
        WEIGHTINGS[weighting] = type("Audited", (ByRule,), {"rule": rule})
    history = rn.train(
        problem, network, network.init(rng=seed), steps=steps, lr=LR, weighting=weighting, every=EVERY, scaling="mean",
        points=problem.sample(rng=seed, counts=COUNTS), record=steps, rng=seed, engine="numba",
    )  # fmt: skip
    return float(history.errors[-1])


if __name__ == "__main__":
    main()
