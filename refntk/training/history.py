"""What a training run leaves behind: parameters, and losses, weights, traces, eigenvalues and errors at the recorded steps."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import files
from ..errors import DamagedFile

SCHEMA = "refntk history 1"
Row = dict[str, Any]  # one recorded step: column -> number, (K,) array or, for eigenvalues, (n,) array
SERIES = ("seconds", "loss", "errors")  # one number for each recorded step
OPTIONAL = ("estimates", "eigenvalues")
PER_TERM = ("losses", "weights", "traces", "estimates")  # one for each term as well


@dataclass(frozen=True, eq=False)
class History:
    """A training run, R recorded steps: arrays (R,), or dicts `{term: (R,)}`.

    - `theta` (p,): the parameters at the end (after `config["completed"]` steps).
    - `steps`: how many steps had been made; row i is the state before step `steps[i]`, the last one the end.
    - `seconds`: wall time since the start, of all runs together where one was resumed.
    - `loss`: `½ Σ λ_k ‖r_k‖²`; `losses`: `½ ‖r_k‖²` by term, of the rows as `config["scaling"]` scales them.
    - `weights`: λ_k in force; `traces`: Tr K_kk of the full kernel, same rows; `estimates`: Algorithm 3's averages of
      those traces with `weighting="sketched"`, otherwise empty.
    - `errors`: relative L2 distance of u to the exact solution on a grid of midpoints; NaN where no solution is known.
    - `eigenvalues` (R, n): the spectrum of K, largest first; None if it was not asked for.
    - `config`: every option, the problem, the network, the versions; `"completed"` steps; whether the run was `"interrupted"` by
      Ctrl-C; whether it `"converged"` (L-BFGS found no lower loss) before `"steps"`. JSON values only.
    """

    theta: np.ndarray
    steps: np.ndarray
    seconds: np.ndarray
    loss: np.ndarray
    losses: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    traces: dict[str, np.ndarray]
    estimates: dict[str, np.ndarray]
    errors: np.ndarray
    eigenvalues: np.ndarray | None
    config: dict[str, Any]

    def save(self, path: str | os.PathLike[str], /) -> None:
        """Writes an .npz file to `path`, crash-safely: numbers and JSON, nothing else. Raises `OSError`."""
        files.write(path, SCHEMA, {"config": self.config}, self.arrays())

    @classmethod
    def load(cls, path: str | os.PathLike[str], /) -> History:
        """The history saved at `path`. Raises `DamagedFile` for anything but a whole and unchanged one, `OSError`."""
        meta, arrays = files.read(path, SCHEMA)
        return cls.of_arrays(path, meta, arrays)

    def arrays(self) -> dict[str, np.ndarray]:
        """The numbers as flat arrays: `losses`, `weights`, ... as (R, K) in the order of `config["terms"]`."""
        found = {"theta": self.theta, "steps": self.steps} | {name: getattr(self, name) for name in SERIES}
        for name in PER_TERM:
            if columns := getattr(self, name):
                found[name] = np.stack([columns[term] for term in self.config["terms"]], axis=1)
        return found if self.eigenvalues is None else found | {"eigenvalues": self.eigenvalues}

    @classmethod
    def of_arrays(cls, path: object, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> History:
        """The inverse of `arrays`. Raises `DamagedFile`, naming `path`, where shapes or names do not fit each other."""
        config = meta.get("config")
        terms = config.get("terms") if isinstance(config, dict) else None
        if not isinstance(config, dict) or not isinstance(terms, list) or not all(isinstance(t, str) for t in terms):
            raise DamagedFile("path", path, "its configuration names no terms; restore it from a copy")
        if not isinstance(config.get("completed"), int):
            raise DamagedFile("path", path, "its configuration does not say how far it came; restore it from a copy")
        R, K = arrays["steps"].size if "steps" in arrays else 0, len(terms)
        one: dict[str, tuple[int | None, ...]] = {"theta": (None,)} | dict.fromkeys(("steps", *SERIES), (R,))
        for name, shape in (one | dict.fromkeys(PER_TERM, (R, K)) | {"eigenvalues": (R, None)}).items():
            missing = name not in arrays
            if missing and name in OPTIONAL:
                continue
            if missing or not _fits(arrays[name], shape, np.int64 if name == "steps" else np.float64):
                raise DamagedFile("path", path, f"its {name!r} are missing or of the wrong shape; restore it from a copy")
        if R == 0 or np.any(np.diff(arrays["steps"]) <= 0):
            raise DamagedFile("path", path, "its steps do not increase; restore it from a copy")
        return cls._of(arrays, config)

    @classmethod
    def of_rows(cls, rows: Sequence[Row], theta: np.ndarray, config: dict[str, Any]) -> History:
        """A history from recorded rows, at least one."""
        arrays = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        return cls._of(arrays | {"theta": theta}, config)

    @classmethod
    def _of(cls, arrays: Mapping[str, np.ndarray], config: dict[str, Any]) -> History:
        """The fields from flat arrays."""
        fields: dict[str, Any] = {name: arrays[name] for name in ("theta", "steps", *SERIES)}
        for name in PER_TERM:
            columns = arrays[name].T if name in arrays else ()
            fields[name] = {term: np.ascontiguousarray(column) for term, column in zip(config["terms"], columns, strict=False)}
        return cls(**fields, eigenvalues=arrays.get("eigenvalues"), config=config)

    def rows(self) -> list[Row]:
        """The inverse of `of_rows`."""
        arrays = {name: array for name, array in self.arrays().items() if name != "theta"}
        return [{name: array[i] for name, array in arrays.items()} for i in range(len(self.steps))]

    def summary(self) -> dict[str, Any]:
        """The end of the run in JSON values: steps, seconds, loss, error (None where unknown); losses, weights, traces by term."""
        error = float(self.errors[-1])
        last = {name: {term: float(v[-1]) for term, v in getattr(self, name).items()} for name in ("losses", "weights", "traces")}
        return {
            "problem": self.config["problem"],
            "completed": self.config["completed"],
            "interrupted": self.config["interrupted"],
            "seconds": float(self.seconds[-1]),
            "loss": float(self.loss[-1]),
            "error": error if np.isfinite(error) else None,
            **last,
        }


def _fits(array: np.ndarray, shape: tuple[int | None, ...], dtype: type) -> bool:
    return (
        array.dtype == dtype
        and array.ndim == len(shape)
        and all(want is None or size == want for size, want in zip(array.shape, shape, strict=True))
    )
