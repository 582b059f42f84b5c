"""`refntk study`: conduct a study, go on with it, look at what came of it."""

from __future__ import annotations

import argparse
import inspect
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import files, studies
from ..errors import InvalidInput, MissingDependency
from ..report import Table, plain
from ..studies import SCALES, Conclusion, Study, conduct
from ..studies.conduct import CLAIMS, DESCRIPTION, RESULT, SCHEMA, revisit
from ..studies.study import plain as values
from . import conclusion as ending

SCALE, SEED = "desk", 17
FAILED, REFUTED, STOPPED = 1, 3, 130  # exit codes: cells failed, a claim failed, Ctrl-C


def study(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Conduct a study: a sweep of cells, the claims that it checks, its figures and a report.

    A study stops at any moment and loses nothing: the same command goes on, at more workers or fewer, to the same bytes. Its folder
    gets result.npz (numbers), claims.json, environment.json, report.html, a page that stands alone, and its figures once more, in
    files to link to.

    For example:
      refntk study list                                        what is asked, from where, how many cells
      refntk study montecarlo --help                           one study: how it answers, and its configuration
      refntk study montecarlo --scale smoke                    in seconds, into the folder refntk-montecarlo-smoke
      refntk study montecarlo --workers 4                      at desk scale, in four processes
      refntk study montecarlo --scale paper --executor tcp://localhost:8786 --out sizes-of-the-paper
      refntk study show refntk-montecarlo-smoke                claims, figures and report once more, from what is stored
      refntk study show refntk-montecarlo-smoke --figures pdf  the same for print
      refntk study export refntk-montecarlo-smoke result.nc    as NetCDF

    exit codes: 0 every claim holds; 3 a claim fails; 1 cells failed; 130 stopped by Ctrl-C; 2 an option cannot be used
    """
    below = parser.add_subparsers(title="studies, and what is done with them", metavar="NAME", required=True)
    add = partial(below.add_parser, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    for name in studies.names():
        found = studies.get(name)
        asked = ending.question(found)
        own = add(name, help=asked.replace("%", "%%"), description=inspect.getdoc(type(found)), epilog=_configurations(found))
        _declare(own, found)
        own.set_defaults(act=partial(_conduct, found))
    add("list", help="all studies: question, source, cells", description="All studies.").set_defaults(act=_list)
    show = add("show", help="claims, figures and report of a folder once more", description="What stands in the folder of a study.")
    show.add_argument("out", type=Path, metavar="OUT", help="the folder of a study")
    _declare_figures(show)
    show.set_defaults(act=_show)
    export = add("export", help="the numbers as NetCDF", description="The numbers of a study as NetCDF, with coordinates.")
    export.add_argument("out", type=Path, metavar="OUT", help="the folder of a study")
    export.add_argument("file", type=Path, metavar="FILE.nc", help="what to write")
    export.set_defaults(act=_export)
    return lambda options: int(options.act(options))


def _declare(parser: argparse.ArgumentParser, found: Study[Any]) -> None:
    scales = [scale for scale in SCALES if scale in found.scales]
    parser.add_argument("--scale", choices=scales, default=SCALE, help="seconds, minutes, or the paper's sizes (default: desk)")
    parser.add_argument("--set", action="append", type=_pair, default=[], metavar="NAME=VALUE", help="change the configuration")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help=f"of all chance (default: {SEED})")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes (default: 1, this one)")
    parser.add_argument("--executor", metavar="ADDRESS", help="tcp://… or tls://… of a dask scheduler, or mpi")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help=f"(default: refntk-{found.name}-SCALE)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="insist that there is something to go on with")
    again.add_argument("--fresh", action="store_true", help="begin anew, whatever the folder holds of a study")
    parser.add_argument("--quiet", action="store_true", help="no live line")
    _declare_figures(parser)


def _declare_figures(parser: argparse.ArgumentParser) -> None:
    told = f"the format of their own files (default: {ending.FORMATS[0]}); the report holds SVG"
    parser.add_argument("--figures", choices=ending.FORMATS, default=ending.FORMATS[0], help=told)


def _configurations(found: Study[Any]) -> str:
    """The configuration of each scale, one column each."""
    scales = {scale: values(config) for scale, config in found.scales.items()}
    names = dict.fromkeys(name for config in scales.values() for name in config)
    rows = [[name, *(ending.written(config[name]) for config in scales.values())] for name in names]
    rows.append(["cells", *(str(len(found.cells(config))) for config in found.scales.values())])
    table = plain(Table(["configuration", *scales], rows))
    return f"{table}\n\nsource: {found.source}"


def _conduct(found: Study[Any], options: argparse.Namespace) -> int:
    """Computes what is missing, writes, tells."""
    folder = options.out or Path(f"refntk-{found.name}-{options.scale}")
    if options.resume and not (folder / DESCRIPTION).exists():
        raise InvalidInput("--resume", folder, "no study stands there to go on with; leave --resume out to begin")
    plots, start = _plots(), time.perf_counter()
    given: dict[str, Any] = {name: getattr(options, name) for name in ("scale", "seed", "workers", "executor", "fresh")}
    try:
        came = conduct(found, folder, changes=dict(options.set), progress=not options.quiet, **given)
    except KeyboardInterrupt:
        print(f"refntk: stopped; the cells that were done are kept in {folder}, the same command goes on", file=sys.stderr)
        return STOPPED
    if came.damaged:
        print(f"refntk: {came.damaged} damaged or foreign files of cells were not trusted", file=sys.stderr)
    if came.outcome is None:
        print(f"refntk: {ending.failures(came)}", file=sys.stderr)
        return FAILED
    written = [RESULT, CLAIMS]
    if came.seconds or not (folder / ending.ENVIRONMENT).exists():
        _write_environment(came, options.workers, time.perf_counter() - start)
        written.append(ending.ENVIRONMENT)
    return _tell(came, plots, options.figures, written)


def _tell(came: Conclusion, plots: ModuleType | None, kind: str, written: Sequence[str] = ()) -> int:
    print(ending.told(came, [*written, *ending.write(came, plots, kind)]))
    return 0 if all(claim.holds for claim in came.claims) else REFUTED


def _write_environment(came: Conclusion, workers: int, seconds: float) -> None:
    """Where the cells that were missing were computed, and what each has cost; a folder only looked at keeps what it says."""
    from ..bench.machine import environment

    assert came.outcome is not None
    each = [round(came.seconds[i], 2) if i in came.seconds else None for i in range(len(came.outcome.cells))]
    conducted = {
        "cells": len(came.seconds),
        "workers": workers,
        "seconds": round(seconds, 1),
        "processor seconds of each cell": each,
    }
    files.write_json(came.folder / ending.ENVIRONMENT, {"schema": ending.SCHEMA, "conducted": conducted, **environment()})


def _list(options: argparse.Namespace) -> int:
    rows = []
    for found in map(studies.get, studies.names()):
        cells = ", ".join(f"{scale} {len(found.cells(config))}" for scale, config in found.scales.items())
        rows += [(found.name, ending.question(found)), ("", f"cells: {cells}; {found.source}")]
    print(plain(Table(("NAME", "QUESTION, CELLS and SOURCE"), rows)))
    return 0


def _show(options: argparse.Namespace) -> int:
    came = _stored(options.out)
    if (came.folder / CLAIMS).exists():
        then = [(c["statement"], c["claimed"], c["holds"]) for c in files.read_json(came.folder / CLAIMS, SCHEMA)["claims"]]
        if then != [(claim.statement, claim.claimed, claim.holds) for claim in came.claims]:
            print(
                f"refntk: {CLAIMS} keeps the claims of the version that conducted the study; this version's differ", file=sys.stderr
            )
    return _tell(came, _plots(), options.figures)


def _export(options: argparse.Namespace) -> int:
    from ..studies.export import export

    print(f"written: {export(_stored(options.out), options.file)}")
    return 0


def _stored(folder: Path) -> Conclusion:
    """What stands in a folder. Raises `InvalidInput`."""
    if not (folder / DESCRIPTION).exists():
        raise InvalidInput("OUT", folder, "no study stands there; `refntk study list` tells what can be conducted")
    return revisit(studies.get(str(files.read_json(folder / DESCRIPTION, SCHEMA).get("study"))), folder)


def _plots() -> ModuleType | None:
    """The room of figures; None, and a word about it before hours are spent, where matplotlib is missing."""
    try:
        from .. import plots
    except MissingDependency as error:
        print(f"refntk: no figures will be drawn: {error}", file=sys.stderr)
        return None
    return plots


def _pair(text: str) -> tuple[str, str]:
    """`NAME=VALUE`; the study reads the value."""
    name, given, value = text.partition("=")
    if not (name and given):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
