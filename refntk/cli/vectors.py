"""`refntk vectors`: make the certified vectors, check them, list them, show one."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UnknownNameError
from ..files import replacing

if TYPE_CHECKING:
    from ..vectors import Case

Run = Callable[[argparse.Namespace], int]


def vectors(parser: argparse.ArgumentParser) -> Run:
    """Make, check, list or show the certified vectors.

    For example:
      refntk vectors list                   every case: what it is and what it is there to find
      refntk vectors list --flag Saturation
      refntk vectors show wave-012          what a case gives and wants
      refntk vectors lint                   read every file as a stranger's and check the numbers against each other
      refntk vectors make --out FOLDER      compute all anew in ball arithmetic (needs the extra `certify`)
    """
    below = parser.add_subparsers(dest="action", metavar="make|lint|list|show", required=True)

    def action(run: Run) -> argparse.ArgumentParser:
        sub = below.add_parser(run.__name__.strip("_"), help=run.__doc__, description=run.__doc__, allow_abbrev=False)
        sub.set_defaults(run=run)
        return sub

    make = action(_make)
    make.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the files go; made if it is not there")
    make.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N", help="processes (default: one for each core)")
    for run in (_lint, _list, _show):
        sub = action(run)
        sub.add_argument("--folder", type=Path, metavar="FOLDER", help="other files than the package's own")
        if run is _list:
            sub.add_argument("--problem", metavar="NAME", help="the cases of one file")
            sub.add_argument("--flag", metavar="FLAG", help="the cases with this flag")
        if run is _show:
            sub.add_argument("case", metavar="CASE", help="a name from `refntk vectors list`")
    return lambda options: options.run(options)


def _make(options: argparse.Namespace) -> int:
    """Compute all vectors anew and write them, problem by problem, the same bytes on every machine."""
    from tqdm import tqdm

    from ..vectors import encoding, plan, reader

    options.out.mkdir(parents=True, exist_ok=True)
    todo = [(name, i) for name in plan.names() for i, _ in enumerate(plan.cases(name))]
    files: dict[str, bytes] = {}
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        found = zip(todo, tqdm(pool.map(_certified, todo), total=len(todo), unit="case", desc="vectors"), strict=True)
        for name, of in groupby(found, key=lambda pair: pair[0][0]):
            files |= (made := encoding.encode(name, [case for _, case in of]))
            _write(options.out, made)
    _write(options.out, {"manifest.json": encoding.manifest(files), "schema.json": (reader.FOLDER / "schema.json").read_bytes()})
    size = sum(len(data) for data in files.values())
    print(f"{len(todo)} cases, {len(files)} files, {size / 1e6:.1f} MB in {options.out}")
    return 0


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        with replacing(folder / name) as file:
            file.write(data)


def _certified(which: tuple[str, int]) -> Case:
    """One case of the plan, with what it wants."""
    from ..vectors import plan, truth

    name, i = which
    return truth.certified(list(plan.cases(name))[i])


def _lint(options: argparse.Namespace) -> int:
    """Read every file as a stranger's, and check the numbers of each case against each other."""
    from ..vectors.lint import faults

    cases, found = 0, []
    for case in _read(options):
        cases += 1
        found += list(faults(case))
    print("\n".join([*found, f"{cases} cases, {len(found)} faults"]))
    return 1 if found else 0


def _list(options: argparse.Namespace) -> int:
    """List the cases: name, sizes, points, comment, flags."""
    for case in _read(options, options.problem):
        if options.flag is None or options.flag in case.flags:
            sizes = "-".join(map(str, case.network.sizes)) if case.network else "no network"
            rows = case.want["residual"].mid.size
            print(f"{case.name:<18}{sizes:<20}n = {rows:<4}{case.comment}: {', '.join(case.flags) or '-'}")
    return 0


def _show(options: argparse.Namespace) -> int:
    """Show what a case gives and wants."""
    from ..vectors.case import FLAGS

    name = options.case.rpartition("-")[0]
    cases = {case.name: case for case in _read(options, name)}
    if options.case not in cases:
        raise UnknownNameError("case", options.case, cases)
    case = cases[options.case]
    print(f"{case.name}: {case.comment}; {case.problem.title}")
    print("\n".join(f"  {flag}: {' '.join(FLAGS[flag])}" for flag in case.flags))
    print(f"network {case.network}\nparameters {case.problem.parameters()}")
    print(f"scaling {case.scaling}, dt {case.dt}, alpha {case.alpha}")
    with np.printoptions(linewidth=120, threshold=60):
        for label, array in {"theta": case.theta, **case.points, "probes": case.probes}.items():
            print(f"\n{label} {array.shape}\n{array}")
        for quantity, want in case.want.items():
            print(f"\n{quantity} {want.mid.shape}, scale up to {np.max(want.scale):.2g}\n{want.mid}")
    print("\n".join(f"\n{name}: does not exist" for name in case.refused))
    return 0


def _read(options: argparse.Namespace, only: str | None = None) -> Iterator[Case]:
    from ..vectors.reader import FOLDER, read

    return read(options.folder or FOLDER, only=only)
