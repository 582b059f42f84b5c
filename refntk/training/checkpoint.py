"""A training run to go on with: the history so far and the arrays that the next step depends on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import files
from ..errors import DamagedFile, InvalidInput
from .history import History

SCHEMA = "refntk checkpoint 1"
FREE = ("steps", "completed", "interrupted", "converged", "versions")  # what may differ between a run and its continuation


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A run after `history.config["completed"]` steps: θ and the records in `history`, the states as dicts of arrays.

    Points and probes of a step follow from the seed and its number, so there is no random state to keep.
    """

    history: History
    optimizer: dict[str, np.ndarray]
    weighting: dict[str, np.ndarray]

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Replaces what stands at `path`, crash-safely. Raises `OSError`, and then what stood there is untouched."""
        states = {f"optimizer.{name}": array for name, array in self.optimizer.items()}
        states |= {f"weighting.{name}": array for name, array in self.weighting.items()}
        files.write(path, SCHEMA, {"config": self.history.config}, self.history.arrays() | states)

    @classmethod
    def load(cls, path: str | os.PathLike[str], config: Mapping[str, Any], /) -> Checkpoint:
        """The checkpoint at `path`, which must be one of the run that `config` describes.

        Raises `DamagedFile` for a file that is not whole, `InvalidInput` naming the first option that differs, `OSError`.
        """
        meta, arrays = files.read(path, SCHEMA)
        states: dict[str, dict[str, np.ndarray]] = {"optimizer": {}, "weighting": {}}
        for name in [name for name in arrays if "." in name]:
            kind, _, slot = name.partition(".")
            if kind not in states:
                raise DamagedFile("path", path, f"{name!r} is no state; restore it from a copy")
            states[kind][slot] = arrays.pop(name)
        history = History.of_arrays(path, meta, arrays)
        there = history.config
        for name in dict.fromkeys([*config, *there]):
            if name not in FREE and config.get(name) != there.get(name):
                raise InvalidInput(name, config.get(name), f"the run in {path} has {there.get(name)!r}; resume it with that")
        if not 0 <= there["completed"] <= config["steps"]:
            raise InvalidInput("steps", config["steps"], f"the run in {path} has made {there['completed']} already")
        return cls(history, **states)
