"""What a rule does to a training: two equations under every rule of `refntk.weights.RULES`, all else equal.

The rules alone, without their authors' averaging in time: weights from K and r of unscaled rows every 50 steps, for a loss of mean
squares, full batch, Adam. Whether a library computes the rule that bears its name is what `run.py` finds out.

    python validation/audit/effect.py [--seeds 5] [--out FILE]
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass
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

EVERY = 50
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Setting:
    """One equation, and how it is trained: the same for every rule."""

    parameters: dict
    sizes: list
    counts: dict
    steps: int
    lr: float


SETTINGS = {
    "poisson1d": Setting({}, [1, 50, 1], {"interior": 100, "boundary": 2}, 5_000, 1e-3),
    "heat": Setting({}, [2, 20, 20, 1], {"interior": 100, "initial": 30, "boundary": 30}, 1_500, 2e-3),
}


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
    options.add_argument("--seeds", type=int, default=5, metavar="N", help="(default: 5)")
    options.add_argument("--out", type=Path, default=HERE / "results" / "effect.json", metavar="FILE", help="(default: results)")
    options = options.parse_args(arguments)
    rules, found = {"no weights": None, **RULES}, {}
    with tqdm(total=len(SETTINGS) * len(rules) * options.seeds, unit="training") as progress:
        for name, setting in SETTINGS.items():
            start, errors = time.process_time(), {}
            for rule in rules:
                errors[rule] = []
                for seed in range(options.seeds):
                    errors[rule].append(error(name, setting, rules[rule], seed))
                    progress.update()
            seconds = round(time.process_time() - start, 1)
            found[name] = asdict(setting) | {"processor seconds": seconds, "errors": errors}
    command = f"python validation/audit/effect.py --seeds {options.seeds}"
    document = {"schema": "refntk audit effect 2", **environment(), "command": command, "every": EVERY, "problems": found}
    with replacing(options.out) as file:
        file.write((json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode())


def error(name, setting, rule, seed):
    """The relative L2 error at the end."""
    problem = rn.problems.get(name, **setting.parameters)
    network = rn.MLP(setting.sizes, **problem.normalization)
    weighting = "fixed"
    if rule is not None:
        weighting = "audited"
        WEIGHTINGS[weighting] = type("Audited", (ByRule,), {"rule": rule})
    history = rn.train(
        problem, network, network.init(rng=seed), steps=setting.steps, lr=setting.lr, weighting=weighting, every=EVERY,
        scaling="mean", points=problem.sample(rng=seed, counts=setting.counts), record=setting.steps, rng=seed, engine="numba",
    )  # fmt: skip
    return float(history.errors[-1])


if __name__ == "__main__":
    main()
