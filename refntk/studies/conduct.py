"""A study conducted in a folder: what is stored is kept, what is missing is computed and stored, what follows is written.

The folder holds `study.json` (what it is of), `cells/` (the ledger), and, once every cell is there, `result.npz` and `claims.json`:
the same bytes on one machine, however often the study was stopped, and wherever its cells ran.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import files
from ..errors import DamagedFile, InvalidInput
from ..training.settings import seed_of
from .executors import Failure, place, run
from .ledger import Ledger, code_version
from .study import Arrays, Cell, Claim, Outcome, Study, identity, key_of, plain

SCHEMA = "refntk study 1"
DESCRIPTION, RESULT, CLAIMS, CELLS = "study.json", "result.npz", "claims.json", "cells"


@dataclass(frozen=True, eq=False)
class Conclusion:
    """What came of a study. Without a failure there are an outcome and its claims; `damaged` counts files computed again.

    `seconds` are those of the processor that each cell computed now has cost, by its position: no result, and not stored as one.
    """

    study: Study[Any]
    folder: Path
    about: Mapping[str, Any]
    outcome: Outcome[Any] | None
    claims: list[Claim] = field(default_factory=list)
    failures: list[tuple[Cell, str]] = field(default_factory=list)
    reused: int = 0
    damaged: int = 0
    seconds: Mapping[int, float] = field(default_factory=dict)


def conduct(
    study: Study[Any],
    /,
    out: str | os.PathLike[str],
    *,
    scale: str = "desk",
    changes: Mapping[str, Any] | None = None,
    seed: int = 17,
    workers: int = 1,
    executor: str | None = None,
    fresh: bool = False,
    progress: bool = False,
) -> Conclusion:
    """The `Conclusion` of a study at a scale, with `changes` to its configuration, conducted in the folder `out`.

    Cells that stand in the folder are taken from there, unless `fresh`, which removes what the folder holds of a study first; so a
    study goes on where it was stopped. The others run in this process, in `workers` processes, or at `executor`, as in `place`. A
    cell that fails does not keep the others from running. `progress` shows a line.

    Raises `InvalidInput` for an option that cannot be used or a folder that holds another study, `OSError` (the disk is full, the
    folder cannot be written), `KeyboardInterrupt`: whatever happens, the cells that were done are kept.
    """
    config, seed = study.configure(scale, changes), seed_of(seed)
    where = place(workers, executor)
    about: dict[str, Any] = {
        "schema": SCHEMA,
        "study": study.name,
        "version": study.version,
        "scale": scale,
        "seed": seed,
        "config": plain(config),
    }
    folder = Path(out)
    _prepare(folder, about, fresh)
    cells = study.cells(config)
    identities = [identity(study, config, cell, seed=seed, code=code_version()) for cell in cells]
    ledger = Ledger(folder / CELLS)
    found, damaged = _stored(ledger, identities)
    reused, failures, seconds = len(found), [], {}
    work = {
        i: (study, config, cell, key_of(study, cell, seed=seed), code_version()) for i, cell in enumerate(cells) if i not in found
    }
    with Line(study.name, len(cells), reused, progress) as line, closing(run(_measure, work, where)) as results:
        for i, result in results:
            if isinstance(result, Failure):
                failures.append((cells[i], result.told))
            else:
                found[i], seconds[i] = result
                ledger.store(identities[i], found[i])
            line.update()
    if failures:
        return Conclusion(study, folder, about, None, [], failures, reused, damaged, seconds)
    outcome = study.combine(config, cells, [found[i] for i in range(len(cells))])
    claims = study.claims(outcome)
    about = about | {"code": code_version()}
    files.write(folder / RESULT, SCHEMA, {"about": about, "cells": [dict(cell) for cell in cells]}, outcome.arrays)
    files.write_json(folder / CLAIMS, {"schema": SCHEMA, "claims": [claim.plain() for claim in claims]})
    return Conclusion(study, folder, about, outcome, claims, [], reused, damaged, seconds)


def revisit(study: Study[Any], out: str | os.PathLike[str], /) -> Conclusion:
    """The conclusion that stands in a folder: claims and figures follow from the stored outcome; nothing is computed or written.

    Raises `InvalidInput` for a folder without one or of another study, `DamagedFile`, `OSError`.
    """
    folder = Path(out)
    if not (folder / RESULT).exists():
        raise InvalidInput("out", folder, "no result stands there; conduct the study, or go on with it")
    meta, arrays = files.read(folder / RESULT, SCHEMA)
    about = meta["about"]
    if about.get("study") != study.name:
        raise InvalidInput("out", folder, f"it holds the study {about.get('study')!r}")
    config = study.configure(about["scale"], about["config"])
    outcome: Outcome[Any] = Outcome(config, meta["cells"], arrays)
    about = about | {"config": plain(config)}  # with the defaults of what it did not have then
    return Conclusion(study, folder, about, outcome, study.claims(outcome))


def _measure(study: Study[Any], config: Any, cell: Cell, key: int, code: str) -> tuple[Arrays, float]:
    """One cell, wherever it runs, if the code there is the code here, and its seconds, those of all threads of the process.

    Raises `InvalidInput` for what could not be stored.
    """
    if code_version() != code:
        raise InvalidInput("code", code_version(), f"this worker has other code or other versions than {code}; make them the same")
    start = time.process_time()
    found = study.measure(config, cell, key=key)
    files.check_arrays(found)
    return found, time.process_time() - start


def _stored(ledger: Ledger, identities: list[dict[str, Any]]) -> tuple[dict[int, Arrays], int]:
    """The cells that can be trusted, and the number of files that cannot."""
    found: dict[int, Arrays] = {}
    damaged = 0
    for i, about in enumerate(identities):
        try:
            arrays = ledger.load(about)
        except DamagedFile:
            damaged += 1
            continue
        if arrays is not None:
            found[i] = arrays
    return found, damaged


def _prepare(folder: Path, about: Mapping[str, Any], fresh: bool) -> None:
    """A folder that is new, or of the same study; with `fresh` emptied, if it is of any. Raises `InvalidInput`, `OSError`."""
    description = folder / DESCRIPTION
    if description.exists():
        there = files.read_json(description, SCHEMA)
        if fresh:
            for name in (RESULT, CLAIMS):
                (folder / name).unlink(missing_ok=True)
            if (folder / CELLS).exists():
                shutil.rmtree(folder / CELLS)
            files.write_json(description, about)
            return
        for name, value in about.items():
            if there.get(name) != value:
                told = f"the folder holds a study with {name} {there.get(name)!r}, not {value!r}"
                raise InvalidInput("out", folder, f"{told}; choose another folder, or begin anew with fresh")
    elif folder.exists() and any(not files.is_part(path) for path in folder.iterdir()):
        raise InvalidInput("out", folder, "the folder holds something else; choose a new one")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        files.write_json(description, about)
    files.sweep(folder)
    files.sweep(folder / CELLS)


class Line:
    """A line that says how many cells are done, how fast, and how long the rest will take; silent unless `show`."""

    def __init__(self, name: str, total: int, done: int, show: bool):
        self.line: Any = None
        if show:
            from tqdm import tqdm

            self.line = tqdm(total=total, initial=done, desc=name, unit="cell", dynamic_ncols=True)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *ending: object) -> None:
        if self.line is not None:
            self.line.close()

    def update(self) -> None:
        """One more."""
        if self.line is not None:
            self.line.update()
