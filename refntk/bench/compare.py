"""Engines against each other and against the bare matrix products, as a document for JSON and as a table."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from ..errors import InvalidInput
from .machine import environment
from .timing import ROUNDS, WARMUPS, Call, alternate
from .workloads import WORKLOADS, Answer, Case, disagreement, gemms

SCHEMA = "refntk.bench/1"
BOUND = ("gemms", "bare")
TOLERANCE = 1e-10  # how far answers may lie apart and still be called the same
SINGLE = 1e-2  # in single precision, where rounding is told; Algorithm 2's difference alone has errors of |R| 6e-8 / Δt

Row = dict[str, Any]


def compare(cases: Mapping[str, Case], /, *, rounds: int = ROUNDS, progress: bool = False, **options: Any) -> dict[str, Any]:
    """All workloads of `cases` {name: case}, checked against the first and timed in one rotation: a document for JSON.

    The first is in double precision. `options` are those of `alternate`; `progress` shows a line. Raises `InvalidInput` where
    answers differ by more than 1e-10 of their largest entry, 0.01 in single precision: a fast wrong answer is worth nothing.
    """
    calls = {(workload, name): prepare(case) for workload, prepare in WORKLOADS.items() for name, case in cases.items()}
    single = {name for name, case in cases.items() if case.single}
    agreement = check(calls, {workload: calls[workload, next(iter(cases))]() for workload in WORKLOADS}, single=single)
    first = next(iter(cases.values()))
    rows = rotation("all", calls, gemms(first), rounds=rounds, progress=progress, **options)
    return document(first, rows, agreement)


def check(calls: Mapping[tuple[str, str], Call], references: Mapping[str, Answer], /, *, single: Container[str] = ()) -> list[Row]:
    """How far the answer of every call {(workload, candidate): call} lies from that workload's reference, one row each.

    Raises `InvalidInput` beyond 1e-10 of the largest entry; for candidates in `single`, of single precision, beyond 0.01.
    """
    rows = []
    for (workload, candidate), call in calls.items():
        error = disagreement(call(), references[workload])
        if not error <= (SINGLE if candidate in single else TOLERANCE):
            raise InvalidInput(f"{workload} of {candidate}", f"an answer that is off by {error:.1e}", "mend it before it is timed")
        rows.append({"workload": workload, "candidate": candidate, "disagreement": error})
    return rows


def rotation(
    name: str,
    calls: Mapping[tuple[str, str], Call],
    bound: Call,
    /,
    *,
    rounds: int = ROUNDS,
    warmups: int = WARMUPS,
    progress: bool = False,
    **options: Any,
) -> list[Row]:
    """The calls {(workload, candidate): call} and the bound timed in turns: one row each, with its ratio to the bound.

    `options` are those of `alternate`; `progress` shows a line.
    """
    from tqdm import tqdm

    candidates = {BOUND: bound, **calls}
    with tqdm(total=len(candidates) * (warmups + rounds), desc=name, unit="turn", disable=not progress) as line:
        measured = alternate(candidates, rounds=rounds, warmups=warmups, progress=line.update, **options)
    return [
        {"rotation": name, "workload": workload, "candidate": candidate, **m.summary(), "over_gemms": m.over(measured[BOUND])}
        for (workload, candidate), m in measured.items()
    ]


def document(case: Case, rows: Sequence[Row], agreement: Sequence[Row], /, **more: Any) -> dict[str, Any]:
    """Measurements with what they are of and what they were made on, as JSON values."""
    lin = case.at().lin
    return {
        "schema": SCHEMA,
        "case": {
            "problem": case.problem.name,
            "parameters": case.problem.parameters(),
            "sizes": list(case.network.sizes),
            "rows": {name: block.stop - block.start for name, block in lin.blocks.items()},
            "p": lin.shape[1],
        },
        "measurements": list(rows),
        "agreement": list(agreement),
        **more,
        "environment": environment(),
    }


def table(document: Mapping[str, Any], /) -> str:
    """A document as lines to read: one for each workload, one column for each candidate, milliseconds and ratios to the bound.

    Under it the errors of candidates that do not compute in double precision.
    """
    case, rows = document["case"], document["measurements"]
    counts = ", ".join(f"{term} {n}" for term, n in case["rows"].items())
    rounds = " or ".join(map(str, sorted({len(row["seconds"]) for row in rows})))
    n = sum(case["rows"].values())
    lines = [
        f"{case['problem']} {'-'.join(map(str, case['sizes']))}: {case['p']:,} parameters, {n} rows ({counts})",
        f"milliseconds, median of {rounds} rounds (least of them), x = median over that of the bare matrix products",
        "",
    ]
    names = list(dict.fromkeys(row["candidate"] for row in rows if (row["workload"], row["candidate"]) != BOUND))
    found = {(row["workload"], row["candidate"]): _cell(row) for row in reversed(rows)}  # of several bounds the first
    columns = [["", BOUND[0], *(w for w in dict.fromkeys(row["workload"] for row in rows) if w != BOUND[0])]]
    columns += [[name, *(found.get((workload, name), "") for workload in columns[0][1:])] for name in names]
    columns[1][1] = found[BOUND]
    return "\n".join([*lines, *_lines(columns), *_errors(document.get("agreement", []))])


def _errors(agreement: Sequence[Row]) -> list[str]:
    """Where answers are less than double precision's: their errors, one line for each workload."""
    errors = {(row["workload"], row["candidate"]): row["disagreement"] for row in agreement}
    names = list(dict.fromkeys(candidate for (_, candidate), error in errors.items() if error > TOLERANCE))
    if not names:
        return []
    columns = [["", *dict.fromkeys(workload for workload, name in errors if name in names)]]
    columns += [[name, *(f"{errors[workload, name]:.1e}" for workload in columns[0][1:])] for name in names]
    return [
        "",
        "largest error against double precision at the same θ and points, in units of the largest entry",
        "",
        *_lines(columns),
    ]


def _lines(columns: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side, the first to the left, the others to the right."""
    widths = [max(map(len, column)) + 2 for column in columns]
    return [
        (f"{first:<{widths[0]}}" + "".join(f"{cell:>{w}}" for cell, w in zip(rest, widths[1:], strict=True))).rstrip()
        for first, *rest in zip(*columns, strict=True)
    ]


def _cell(row: Row) -> str:
    return f"{1e3 * row['median']:.3g} ({1e3 * row['min']:.3g}) {row['over_gemms']['median']:.2f} x"
