"""What a study leaves in its folder beside its numbers, and what is said about it at the end."""

from __future__ import annotations

import inspect
import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import files
from ..report import Block, Code, Folded, Picture, Section, Table, Text, Verdict, page, plain
from ..studies import Conclusion, Study
from ..studies.study import plain as values

ENVIRONMENT, REPORT, FIGURES = "environment.json", "report.html", "figures"
SCHEMA = "refntk environment 1"
FORMATS = ("png", "svg", "pdf")  # of a figure's own file; the report holds all figures as SVG
COLUMNS = ("verdict", "measured", "95 % interval", "claimed", "claim")  # on a terminal what is long stands last


def question(study: Study[Any]) -> str:
    """What is asked: the first paragraph of the study's docstring, on one line."""
    return " ".join((inspect.getdoc(type(study)) or "").partition("\n\n")[0].split())


def written(value: Any) -> str:
    """A value of a configuration as `--set` reads it."""
    return ",".join(map(written, value)) if isinstance(value, list | tuple) else str(value)


def command(study: Study[Any], about: Mapping[str, Any]) -> list[str]:
    """The words of the command that conducts this study again: scale, seed, and what differs from the scale's configuration."""
    words = ["refntk", "study", study.name, "--scale", about["scale"], "--seed", str(about["seed"])]
    given, own = about["config"], values(study.scales[about["scale"]])
    return [*words, *(word for name in own if given[name] != own[name] for word in ("--set", f"{name}={written(given[name])}"))]


def claims(conclusion: Conclusion, head: Sequence[str] = COLUMNS) -> Table:
    """A row for each claim; the column of intervals only where there are any."""
    head = [name for name in head if name != COLUMNS[2] or any(claim.interval for claim in conclusion.claims)]
    rows: list[dict[str, str | Verdict]] = []
    for claim in conclusion.claims:
        interval = "" if claim.interval is None else "[{:.4g}, {:.4g}]".format(*claim.interval)
        verdict = Verdict(claim.holds, "holds" if claim.holds else "FAILS")
        told = (verdict, f"{claim.measured:.4g}", interval, claim.claimed, claim.statement)
        rows.append(dict(zip(COLUMNS, told, strict=True)))
    return Table(head, [[row[name] for name in head] for row in rows], COLUMNS[1:3])


def tally(conclusion: Conclusion) -> str:
    """How many claims hold."""
    return f"{sum(claim.holds for claim in conclusion.claims)} of {len(conclusion.claims)} claims hold"


def write(conclusion: Conclusion, plots: ModuleType | None, kind: str = FORMATS[0]) -> list[str]:
    """The names of the files drawn from what is stored: the report, which stands alone, and a file for each figure to link to.

    Raises `OSError`.
    """
    folder, pictures, names = conclusion.folder / FIGURES, list[Block](), list[Path]()
    if plots and conclusion.outcome:
        folder.mkdir(exist_ok=True)
        for figure in conclusion.study.figures(conclusion.outcome):
            drawn = plots.study(figure)
            names.append(plots.save(drawn, folder / f"{figure.name}.{kind}"))
            pictures.append(Picture(figure.name, plots.encoded(drawn, "svg"), figure.caption))
        for stale in {path for other in FORMATS for path in folder.glob(f"[!.]*.{other}")} - set(names):
            stale.unlink()
    with files.replacing(conclusion.folder / REPORT) as file:
        file.write(report(conclusion, pictures).encode())
    return [REPORT, *(f"{FIGURES}/{path.name}" for path in names)]


def report(conclusion: Conclusion, pictures: Sequence[Block]) -> str:
    """The page about a study."""
    study, about = conclusion.study, conclusion.about
    cells = len(conclusion.outcome.cells) if conclusion.outcome else 0
    facts = {"source": study.source, "scale": about["scale"], "cells": str(cells), "seed": str(about["seed"])}
    facts |= {name: written(about["config"][name]) for name in values(study.scales[about["scale"]])} | {
        "code": about.get("code", "")
    }
    none = Text("None were drawn: matplotlib is not installed.")
    return page(
        f"refntk study {study.name}",
        [
            Text(inspect.getdoc(type(study)) or ""),
            Section("Claims"),
            Text(tally(conclusion) + "."),
            claims(conclusion, ("verdict", "claim", *COLUMNS[1:4])),
            Section("Figures"),
            *(pictures or [none]),
            Section("Configuration"),
            Table(("", ""), list(facts.items())),
            Section("Again"),
            Code(shlex.join(command(study, about))),
            *_environment(conclusion.folder),
        ],
    )


def _environment(folder: Path) -> list[Folded]:
    """Where the cells were computed, if that is told."""
    if not (folder / ENVIRONMENT).exists():
        return []
    found = files.read_json(folder / ENVIRONMENT, SCHEMA)
    rows = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in found.items() if name != "schema"]
    return [Folded("Environment", [Table(("", ""), rows)])]


def told(conclusion: Conclusion, written_files: Sequence[str]) -> str:
    """The end of a study in a few lines: claims with verdicts, files, the command that repeats it."""
    again = [*command(conclusion.study, conclusion.about), "--out", str(conclusion.folder)]
    lines = (
        "",
        f"{conclusion.study.name}: {question(conclusion.study)}",
        "",
        plain(claims(conclusion)),
        "",
        f"{tally(conclusion)}; {conclusion.study.source}",
        f"written to {conclusion.folder}: {', '.join(written_files)}",
        f"repeat with: {shlex.join(again)} --fresh",
    )
    return "\n".join(lines)


def failures(conclusion: Conclusion) -> str:
    """Which cells failed: the first with its traceback, of the others how often they failed in which way."""
    (cell, traceback), *others = conclusion.failures
    ways = Counter(text.strip().splitlines()[-1] for _, text in others)
    lines = [
        f"{len(conclusion.failures)} cells failed; what the others gave is kept. The first is {json.dumps(dict(cell))}:",
        "",
        traceback.rstrip(),
        "",
        *(f"{count} more: {way}" for way, count in ways.most_common()),
        "the same command, once that is mended, computes what is missing",
    ]
    return "\n".join(lines)
