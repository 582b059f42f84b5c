"""The ledger: one file a cell, named by a hash of all that its numbers depend on. To resume is to look which files are there.

There is no index and no lock: a file stands whole at its name or not at all, and says inside what it is of. A file that is damaged,
or that is of something else, is as good as none; its cell is computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..errors import DamagedFile

SCHEMA = "refntk cell 1"
DECIDES = ("numpy", "scipy", "numba")  # other versions of these give other bits


@cache
def code_version() -> str:
    """A digest of every source file of this package and of the versions of those it computes with."""
    sha = hashlib.sha256()
    root = Path(__file__).parent.parent
    for path in sorted(root.rglob("*.py")):
        sha.update(f"{path.relative_to(root).as_posix()}:".encode() + hashlib.sha256(path.read_bytes()).digest())
    for name in DECIDES:
        sha.update(f"{name}:{version(name)}".encode())
    return sha.hexdigest()[:16]


@dataclass(frozen=True)
class Ledger:
    """The cells of one folder."""

    folder: Path

    def path(self, identity: Mapping[str, Any]) -> Path:
        """Where the cell of that identity stands, or would."""
        text = json.dumps(identity, sort_keys=True, allow_nan=False)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:40]}.npz"

    def load(self, identity: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        """The arrays of a cell; None where there is no file. Raises `DamagedFile` for one that is damaged or of something else."""
        path = self.path(identity)
        if not path.exists():
            return None
        meta, arrays = files.read(path, SCHEMA)
        if meta != {"identity": dict(identity)}:
            raise DamagedFile("path", path, "the file is of another cell; remove it")
        return arrays

    def store(self, identity: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Writes a cell, crash-safely. Raises `OSError`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files.write(self.path(identity), SCHEMA, {"identity": dict(identity)}, arrays)
