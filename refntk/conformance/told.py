"""An examination in words: a table for the terminal, a JSON document, a page of HTML."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from ..report import Block, Folded, Section, Table, Text, Verdict, page, plain
from ..vectors.case import FLAGS, TOLERANCE
from ..vectors.encoding import VERSION
from .checks import FAIL, NONE, PASS, WARN, Examination, Result
from .diagnosis import Diagnosis
from .estimators import FALSE_ALARM

SCHEMA = "refntk check 1"
HOLDS = {PASS: True, WARN: None, FAIL: False, NONE: None}
HEAD = ("verdict", "check", "cases", "error", "worst case")
MEANT = "error: |got - exact| in units of rounding (2⁻⁵³) of its scale; up to {:g} passes"
SAMPLED = "; of samples: the share of what chance allows a right estimator once in {:.0e} checks; up to 100 % passes"


def verdict(examination: Examination, diagnoses: Sequence[Diagnosis] = (), /) -> str:
    """One sentence."""
    judged = [result for result in examination.results if result.judged]
    if not judged:
        return f"{examination.candidate}: nothing to judge: no quantity was offered"
    failed = examination.failed
    cases = len({finding.case.name for result in judged for finding in result.judged})
    about = f"{len(judged)} checks on {cases} cases"
    if failed and diagnoses and all(diagnosis.digits for diagnosis in diagnoses):
        return f"{examination.candidate}: right but for digits, which are lost beyond the tolerance in {len(failed)} of {about}"
    if failed:
        return f"{examination.candidate}: WRONG in {len(failed)} of {about}"
    warned = sum(result.verdict == WARN for result in judged)
    return f"{examination.candidate}: right in {about}" + (f", with lost digits in {warned}" if warned else "")


def table(examination: Examination, /) -> Table:
    """A row for every check for which there was an answer."""
    rows = [_row(result) for result in examination.results if result.judged]
    return Table(HEAD, rows, ("cases", "error"))


def _row(result: Result) -> list[str | Verdict]:
    worst = result.worst
    assert worst is not None  # there was an answer
    shown = f"{worst.error:.1f}" if worst.error < 1e4 else f"{worst.error:.0e}" if math.isfinite(worst.error) else ""
    if result.check.sampled and shown:
        shown = f"{100 * worst.error:.0f} %"
    name = worst.case.name if not worst.why else f"{worst.case.name}: {worst.why}"
    failures = f"{len(result.failures)}/" if result.failures else ""
    return [Verdict(HOLDS[result.verdict], result.verdict), result.check.name, f"{failures}{len(result.judged)}", shown, name]


def _meant(examination: Examination) -> str:
    sampled = any(result.check.sampled and result.judged for result in examination.results)
    return MEANT.format(TOLERANCE) + (SAMPLED.format(1 / FALSE_ALARM) if sampled else "")


def told(examination: Examination, diagnoses: Sequence[Diagnosis], /) -> str:
    """The whole for a terminal."""
    lines = [plain(table(examination)), "", _meant(examination)]
    missing = [result.check.name for result in examination.results if not result.judged]
    if missing and examination.offered:
        lines.append(f"not offered: {', '.join(missing)}")
    for words, names in _merged(diagnoses):
        lines += ["", f"{', '.join(names)}:", f"  {words}"]
    lines += [f"  {line}" for line in _flags(examination)]
    return "\n".join([*lines, "", verdict(examination, diagnoses)])


def _merged(diagnoses: Sequence[Diagnosis]) -> list[tuple[str, list[str]]]:
    """What is said, and of which checks: the same words once."""
    found: dict[str, list[Diagnosis]] = {}
    for diagnosis in diagnoses:
        found.setdefault(diagnosis.words, []).append(diagnosis)
    said = []
    for own in found.values():
        best = max(own, key=lambda d: (0.0 if math.isnan(d.error) else d.error, d.tried))
        said.append((str(best), [diagnosis.check for diagnosis in own]))
    return said


def _flags(examination: Examination) -> list[str]:
    """Flags that every failing case has and some that passed the same checks have not: where to look."""
    failing = {f.case for result in examination.failed for f in result.failures}
    right = {f.case for result in examination.failed for f in result.judged} - failing
    if len(failing) < 2:
        return []
    common = set.intersection(*(set(case.flags) for case in failing))
    free = {flag for case in right for flag in common - set(case.flags)}
    return [f"all failures are cases of {flag}: {' '.join(FLAGS[flag])}" for flag in sorted(free)]


def document(examination: Examination, diagnoses: Sequence[Diagnosis], /) -> dict[str, Any]:
    """The same as JSON: errors in the unit of their check, chances as powers of ten; null where there is none."""
    by_check = {diagnosis.check: diagnosis for diagnosis in diagnoses}
    return {
        "schema": SCHEMA,
        "candidate": examination.candidate,
        "vectors": VERSION,
        "tolerance": TOLERANCE,
        "false_alarm": FALSE_ALARM,
        "passed": examination.passed,
        "cases": [case.name for case in examination.cases],
        "checks": [_check(result, by_check.get(result.check.name)) for result in examination.results],
    }


def _check(result: Result, diagnosis: Diagnosis | None) -> dict[str, Any]:
    worst = result.worst
    found = {
        "check": result.check.name,
        "about": result.check.about,
        "unit": result.check.unit,
        "verdict": result.verdict,
        "judged": len(result.judged),
        "failed": [f.case.name for f in result.failures],
        "worst": None if worst is None else {"case": worst.case.name, "error": _finite(worst.error), "why": worst.why},
    }
    if diagnosis is None:
        return found
    told: dict[str, Any] = {
        "words": diagnosis.words or None,
        "mistakes": list(diagnosis.mistakes),
        "error": _finite(diagnosis.error),
    }
    told |= {"chance": _finite(diagnosis.chance), "tried": diagnosis.tried, "others": list(diagnosis.others)}
    return found | {"diagnosis": told}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def html(examination: Examination, diagnoses: Sequence[Diagnosis], /) -> str:
    """The same as a page that stands alone."""
    blocks: list[Block] = [
        Text(verdict(examination, diagnoses) + "."),
        Section("Checks"),
        table(examination),
        Text(_meant(examination)),
    ]
    if diagnoses:
        rows = [(", ".join(names), words) for words, names in _merged(diagnoses)]
        blocks += [Section("Diagnosis"), Table(("checks", "what is computed instead"), rows)]
        blocks += [Text(line) for line in _flags(examination)]
    missing = [[result.check.name, result.check.about] for result in examination.results if not result.judged]
    if missing:
        blocks.append(Folded(f"Not offered ({len(missing)})", [Table(("check", "what it is"), missing)]))
    cases = [[case.name, case.comment, ", ".join(case.flags)] for case in examination.cases]
    blocks.append(Folded(f"Cases ({len(cases)})", [Table(("case", "what it is", "flags"), cases)]))
    return page(f"refntk check {examination.candidate}", blocks)


def written(examination: Examination, diagnoses: Sequence[Diagnosis], /) -> str:
    """`document` as text."""
    return json.dumps(document(examination, diagnoses), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
