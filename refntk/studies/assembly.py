"""Kernels too large for memory: K computed in tiles wherever cells run, kept in a ledger, and put together on disk."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations_with_replacement
from pathlib import Path
from typing import IO

import numpy as np

from .. import arrays, files
from ..arrays import Array
from ..calculus.network import MLP
from ..errors import DamagedFile, InvalidInput
from ..kernel.gram import RowFactors
from ..kernel.linearization import linearize
from ..kernel.ntk import row_tiles, tile_gram
from ..kernel.operator import Linearization
from ..problems.base import Problem
from ..training.describe import describe
from .conduct import Line
from .executors import Failure, place, run
from .ledger import Ledger, code_version

Tile = tuple[slice, list[RowFactors]]


@dataclass(frozen=True)
class Kernel:
    """What a kernel is of. Equal digests are equal kernels, also in another process."""

    digest: str
    problem: Problem = field(compare=False)
    network: MLP | None = field(compare=False)
    theta: Array = field(compare=False)
    points: Mapping[str, Array] = field(compare=False)
    scaling: str = field(compare=False)
    engine: str = field(compare=False)


def assemble_ntk(
    problem: Problem,
    network: MLP | None,
    theta: Array,
    points: Mapping[str, Array],
    path: str | os.PathLike[str],
    /,
    *,
    tile: int = 2048,
    workers: int = 1,
    executor: str | None = None,
    engine: str = "numba",
    scaling: str = "sum",
    progress: bool = False,
) -> Path:
    """`path`, where K (n, n) then stands as a float64 .npy file, the bits of `ntk`; `np.load(path, mmap_mode="r")` opens it.

    The symmetric half is computed in tiles of about `tile` rows and columns, in this process, in `workers` processes or at
    `executor` as `executors.place` has it; the bits are the same. Tiles are kept in the folder `path` + ".tiles" until K is
    whole, so that whoever was stopped, even by kill -9, calls again and goes on. Memory, here and in every worker: some tiles, and
    the tapes of `linearize`, no n×n array. Disk: 12 n² bytes on the way, 8 n² at the end. Cost: that of `ntk`.

    Raises `InvalidInput` for arguments that `linearize` refuses or a `path` where something stands, `OSError` (disk full, folder
    not writable), `RuntimeError` with the traceback of a tile that failed; the tiles that were done are kept.

    >>> import tempfile, refntk as rn
    >>> problem, theta = rn.problems.get("poisson1d"), np.array([2.0, 0.5])
    >>> points = {"interior": [[0.3]], "boundary": [[0.0], [2.0]]}
    >>> path = assemble_ntk(problem, rn.MLP([1, 1]), theta, points, Path(tempfile.mkdtemp()) / "K.npy", engine="reference")
    >>> np.load(path)  # u = w x + b: rows of J are (0, 0), (0, 1), (2, 1)
    array([[0., 0., 0.],
           [0., 1., 1.],
           [0., 1., 5.]])
    """
    path, where = Path(path), place(workers, executor)
    if isinstance(tile, bool) or not isinstance(tile, int) or tile < 1:
        raise InvalidInput("tile", tile, "give a number of rows, 1 or more")
    if path.exists():
        raise InvalidInput("path", path, "something stands there; remove it or choose another")
    lin = linearize(problem, network, theta, points, scaling=scaling, engine=engine)
    told = describe(problem, network, theta, points, lin.blocks) | {"scaling": scaling, "engine": engine}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    plain = {name: arrays.to_numpy(x) for name, x in points.items()}
    kernel = Kernel(digest, problem, network, arrays.to_numpy(theta), plain, scaling, engine)
    stretches = _stretches(lin, tile)
    ledger = Ledger(path.with_name(path.name + ".tiles"))
    files.sweep(ledger.folder)
    pairs = list(combinations_with_replacement(stretches, 2))
    missing = {i: (kernel, *pair) for i, pair in enumerate(pairs) if not _stands(ledger, digest, pair)}
    try:
        with (
            Line("tiles", len(pairs), len(pairs) - len(missing), progress) as line,
            closing(run(_block, missing, where)) as results,
        ):
            for i, block in results:
                if isinstance(block, Failure):
                    raise RuntimeError(f"a tile failed; those that are done are kept: {block.told}")
                ledger.store(_identity(digest, pairs[i]), {"block": block})
                line.update()
    finally:
        _opened.cache_clear()
    n, whole = stretches[-1].stop, ledger.folder / path.name
    with files.replacing(whole) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (n, n)})
        start = file.tell()
        for rows, columns in pairs:
            found = ledger.load(_identity(digest, (rows, columns)))
            if found is None:
                raise DamagedFile("path", ledger.folder, "a tile is gone; call again")
            _put(file, found["block"], start, n, rows, columns)
            if rows != columns:
                _put(file, np.ascontiguousarray(found["block"].T), start, n, columns, rows)
    os.replace(whole, path)
    shutil.rmtree(ledger.folder)
    return path


def _stretches(lin: Linearization, most: int) -> list[slice]:
    """All rows in stretches of whole tiles of `ntk`, `most` rows each or a single tile. Cost: one adjoint pass."""
    found: list[slice] = []
    for rows, _ in row_tiles(lin):
        if found and rows.stop - found[-1].start <= most:
            found[-1] = slice(found[-1].start, rows.stop)
        else:
            found.append(rows)
    return found


def _identity(digest: str, pair: tuple[slice, slice]) -> dict[str, object]:
    return {"kernel": digest, "rows": [[part.start, part.stop] for part in pair], "code": code_version()}


def _stands(ledger: Ledger, digest: str, pair: tuple[slice, slice]) -> bool:
    """Whether a tile is there and can be trusted."""
    try:
        return ledger.load(_identity(digest, pair)) is not None
    except DamagedFile:
        return False


def _put(file: IO[bytes], block: np.ndarray, start: int, n: int, rows: slice, columns: slice) -> None:
    """A block written to its place in the file, row by row."""
    for i, row in enumerate(block, rows.start):
        file.seek(start + 8 * (i * n + columns.start))
        file.write(row.data)


@lru_cache(maxsize=1)
def _opened(kernel: Kernel) -> tuple[Linearization, list[Tile] | None]:
    """The linearization and, where they fit, the factors of all rows, kept from one block to the next."""
    lin = linearize(kernel.problem, kernel.network, kernel.theta, kernel.points, scaling=kernel.scaling, engine=kernel.engine)
    return lin, list(row_tiles(lin)) if lin.compact else None


def _block(kernel: Kernel, rows: slice, columns: slice) -> np.ndarray:
    """K[rows, columns], tile by tile as `ntk` goes about it, so that the bits are its own."""
    lin, held = _opened(kernel)
    block = np.zeros((rows.stop - rows.start, columns.stop - columns.start))

    def tiles(part: slice) -> Iterator[Tile]:
        for tile in held or row_tiles(lin, after=part.start):
            if tile[0].start >= part.stop:
                return
            if tile[0].start >= part.start:
                yield tile

    def fill(pair: tuple[Tile, Tile]) -> None:
        (a, left), (b, right) = pair
        found = tile_gram(left, right, engine=lin.engine)
        if a == b:
            found = (found + found.T) / 2
        elif rows == columns:
            block[b.start - rows.start : b.stop - rows.start, a.start - rows.start : a.stop - rows.start] = found.T
        block[a.start - rows.start : a.stop - rows.start, b.start - columns.start : b.stop - columns.start] = found

    above = list(tiles(rows))
    beside = above if rows == columns else list(tiles(columns))
    for _ in lin.engine.map(fill, [(a, b) for a in above for b in beside if b[0].start >= a[0].start]):
        pass
    return block
