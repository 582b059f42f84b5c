"""`refntk check`: is an implementation right, and if not, what does it compute instead?"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidInput
from ..files import replacing

if TYPE_CHECKING:
    from ..conformance import Candidate, Examination
    from ..vectors import Case

PASSED, WRONG = 0, 3


def check(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """Check an implementation against the certified vectors, and name the mistake.

    For example:
      refntk check                            this package's own fast engine, on this machine
      refntk check mypackage.kernel:Mine      an object with functions residual(case), ntk(case), traces(case), ...
      refntk check mypackage.kernel           the same as functions of a module
      refntk check -- julia my.jl             a program that reads a question and writes an answer, a line of JSON each
      refntk check --questions asked.jsonl    the questions, to be answered elsewhere and at leisure
      refntk check results/                   the answers: files *.jsonl (or <case>.npz with an array for each quantity)

    Offer what you have: a quantity that is not there is not judged; estimators that draw probes of their own are judged by the
    moments that their samples must have. An answer to a question is
      {"id": "wave-001", "results": {"ntk": [[...], ...], "traces": {"interior": 1.5, ...}}}
    `python -c "import refntk.conformance.protocol as p; help(p)"` lists all quantities; `refntk vectors show wave-001` a case.

    exit codes: 0 everything offered is right; 3 something is wrong, or nothing was offered; 2 the candidate cannot be used
    """
    parser.add_argument("candidate", nargs="?", metavar="CANDIDATE", help="package.module:object, or a folder or file of results")
    parser.add_argument("argv", nargs="*", metavar="-- PROGRAM ARGUMENT", help="a program and its arguments; no shell reads them")
    parser.add_argument("--engine", choices=("numba", "reference"), default="numba", help="whom to judge when nobody is named")
    parser.add_argument("--problem", metavar="NAME", help="cases of one problem only")
    parser.add_argument("--all", action="store_true", help="every case; default: a selection that holds every flag")
    parser.add_argument("--limit", type=float, default=60.0, metavar="SECONDS", help="for one answer of a program (default: 60)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the verdicts as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the verdicts as a page")
    parser.add_argument("--questions", type=Path, metavar="FILE", help="write the questions and judge nobody")
    parser.add_argument("--quiet", action="store_true", help="no live line")
    return _run


def _run(options: argparse.Namespace) -> int:
    from ..conformance import Ahead, Engine, diagnose, examine, told

    if not 0 < options.limit < float("inf"):
        raise InvalidInput("--limit", options.limit, "choose a positive number of seconds")
    with ExitStack() as opened:
        candidate = None if options.questions else _candidate(options, opened)
        cases, known = _cases(options)
        if candidate is None:
            return _ask(options.questions, cases)
        if isinstance(candidate, Engine) and len({case.problem.name for case in cases}) > 1:
            candidate = opened.enter_context(Ahead(candidate, cases))
        examination = examine(candidate, cases, tell=_live(cases, options.quiet))
    diagnoses = diagnose(examination)
    for path, text in ((options.json, told.written), (options.html, told.html)):
        if path:
            with replacing(path) as file:
                file.write(text(examination, diagnoses).encode())
    print(told.told(examination, diagnoses))
    if len(cases) < known:
        print(f"({len(cases)} of {known} cases, which together hold every flag and every activation; `--all` judges the rest too)")
    return _code(examination)


def _code(examination: Examination) -> int:
    return PASSED if examination.passed else WRONG


def _candidate(options: argparse.Namespace, opened: ExitStack) -> Candidate:
    """Whom to judge: a program behind `--`, files where there are any, else an object of Python; ourselves if nobody is named."""
    from ..conformance import Engine, Process, Results, load

    words = ([options.candidate] if options.candidate else []) + options.argv
    if "--" in options.arguments:
        return opened.enter_context(Process(words, limit=options.limit))
    if not words:
        return Engine(options.engine)
    if len(words) > 1:
        raise InvalidInput("candidate", " ".join(words), "write `refntk check -- PROGRAM ARGUMENT ...` to start a program")
    if Path(words[0]).exists() or "/" in words[0]:
        return Results(words[0])
    return load(words[0])


def _cases(options: argparse.Namespace) -> tuple[list[Case], int]:
    """Those to judge, and how many there are."""
    from ..conformance import selection
    from ..vectors import read

    cases = list(read(only=options.problem))
    return cases if options.all else selection(cases), len(cases)


def _ask(path: Path, cases: Sequence[Case]) -> int:
    from ..conformance.exchange import question

    with replacing(path) as file:
        for case in cases:
            file.write(question(case).encode() + b"\n")
    print(f"{len(cases)} questions in {path}; answer each with a line, and then: refntk check ANSWERS.jsonl")
    return PASSED


def _live(cases: Sequence[Case], quiet: bool) -> Callable[[Case], None]:
    """A line on a terminal that says how far it is."""
    if quiet or not sys.stderr.isatty():
        return lambda case: None
    numbers = {case.name: i for i, case in enumerate(cases, start=1)}

    def tell(case: Case) -> None:
        end = "\r" if numbers[case.name] < len(cases) else "\r\033[K"
        print(f"\033[K{numbers[case.name]}/{len(cases)} {case.name}", end=end, file=sys.stderr, flush=True)

    return tell
