"""Differential testing of refntk's engines, JAX and PyTorch: `python run.py --cases 1000 --seed 17 [--out FOLDER]`.

Every case is a line of cases.jsonl, on the disk before the next begins: the same command goes on where it was stopped, by Ctrl-C,
kill -9 or a full disk. Then ball arithmetic says of every case in which two differ who is wrong (verdicts.jsonl), one of each kind
is made small (findings.json), and the distributions of the errors are drawn. `--cases 0` looks at what is there.
"""

import argparse
import json
import os
import sys
from collections import Counter, defaultdict
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # single operations: compiling them is all that costs

import numpy as np
from contenders import QUANTITIES
from differences import PAIRS, TOLERANCE, compared
from drawn import recipe
from judgement import finding, found_in, verdict
from tqdm import tqdm

from refntk import files, plots
from refntk.bench.machine import environment
from refntk.studies.figure import Curves, Figure, Series

SCHEMA = "refntk differential 1"
LIBRARIES = ("refntk", "numpy", "numba", "jax", "torch", "hypothesis", "python-flint")


def main():
    """Runs the cases that are missing. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        check(options)
        records, computed = run(options)
        about(options, "cases", computed)
        verdicts, computed = judged(options, records)
        about(options, "verdicts", computed)
        findings = reduced(options, records, verdicts)
    except KeyboardInterrupt:
        print("stopped; the cases that were done are kept, the same command goes on", file=sys.stderr)
        return 130
    print(told(records, verdicts, findings))
    if records:
        draw(options, records)
    return 0


def check(options):
    """Seed and version by which the cases are drawn: the same for all of them, kept before the first."""
    path = options.out / "drawn.json"
    drawn = {"schema": SCHEMA, "hypothesis": version("hypothesis"), "seed": options.seed}
    if path.exists() and (there := files.read_json(path, SCHEMA)) != drawn:
        sys.exit(f"{options.out} was drawn by {there}, this is {drawn}: choose another folder")
    files.write_json(path, drawn)


def about(options, part, computed):
    """The command and the machine that computed a part last."""
    path = options.out / "environment.json"
    if computed:
        command = f"python validation/differential/run.py --cases {options.cases} --seed {options.seed}"
        versions = {name: version(name) for name in LIBRARIES}
        found = files.read_json(path, SCHEMA) if path.exists() else {"schema": SCHEMA}
        files.write_json(path, found | {part: {"command": command, "versions": versions, "environment": environment()}})


def run(options):
    """The records of all cases, those computed now written one by one, and how many these are."""
    path = options.out / "cases.jsonl"
    there = whole_lines(path) if path.exists() else []
    return lines(path, range(max(options.cases, len(there))), lambda i: record(options.seed, i), "case")


def lines(path, cases, computed, unit):
    """What a file holds of these cases, a line each, and how many were missing: computed now, each on the disk before the next."""
    whole = whole_lines(path) if path.exists() else []
    there = {one["case"]: one for one in map(json.loads, whole)}
    missing = [case for case in cases if case not in there]
    with open(path, "r+b" if path.exists() else "xb") as file:
        file.truncate(sum(map(len, whole)))
        file.seek(0, os.SEEK_END)
        for case in tqdm(missing, initial=len(cases) - len(missing), total=len(cases), unit=unit, disable=not missing):
            there[case] = computed(case)
            file.write(json.dumps(there[case], allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    return [there[case] for case in cases], len(missing)


def whole_lines(path):
    """All but one that was being written when the power failed."""
    return [line for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def record(seed, i):
    """One case: its recipe, every error in units of u · scale (null: infinite), what is undetermined."""
    drawn = recipe(seed, i)
    errors, undetermined = compared(drawn.case())
    shown = {pair: {q: float(f"{e:.4g}") if np.isfinite(e) else None for q, e in of.items()} for pair, of in errors.items()}
    return {"case": i, "recipe": drawn.plain(), "errors": shown, "undetermined": undetermined}


def judged(options, records):
    """The verdict of ball arithmetic on every case in which two differ, as it was drawn, and how many were missing."""
    differing = {one["case"]: one for one in records if found_in(one)}
    return lines(options.out / "verdicts.jsonl", list(differing), lambda case: verdict(differing[case]), "verdict")


def reduced(options, records, verdicts):
    """One disagreement of every kind (who is wrong, under which activation, in which quantity first), made small."""
    kinds = defaultdict(list)
    for one in verdicts:
        first, names = blamed(one)
        if names:
            pairs = [pair for pair, quantity in found_in(records[one["case"]]) if quantity == first]
            pair = min(pairs, key=lambda pair: "jax" in pair)  # the others are faster
            activation = records[one["case"]]["recipe"]["activation"]
            kinds[f"{'+'.join(names)} {activation} {first}"].append((records[one["case"]], pair))
    path = options.out / "findings.json"
    there = files.read_json(path, SCHEMA)["findings"] if path.exists() else {}
    there = {name: one for name, one in there.items() if name in kinds}
    for name, members in tqdm(sorted(kinds.items()), unit="kind", disable=not kinds):
        if name not in there:
            smallest, pair = min(members, key=lambda member: sum(member[0]["recipe"]["hidden"]))
            there[name] = finding(smallest, pair, name.rpartition(" ")[2])
        there[name]["cases"] = len(members)
        files.write_json(path, {"schema": SCHEMA, "findings": there})
    return there


def told(records, verdicts, findings):
    """Medians and largest errors of every pair, who is wrong in how many cases, and the kinds of disagreements."""
    lines = [f"{len(records)} cases; median and largest |a - b| / (u scale)", ""]
    if not records:
        return lines[0]
    lines.append(" | ".join(["pair".ljust(16), *(q.ljust(18) for q in QUANTITIES)]))
    for pair in map("-".join, PAIRS):
        columns = [column(records, pair, q) for q in QUANTITIES]
        lines.append(" | ".join([pair.ljust(16), *(f"{np.median(c):.2f}, {c.max():.3g}".ljust(18) for c in columns)]))
    beyond = sum(bool(found_in(one)) for one in records)
    undetermined = sum(bool(one["undetermined"]) for one in records)
    lines += ["", f"beyond {TOLERANCE:g}: {beyond} cases; something undetermined in {undetermined}"]
    wrong = Counter(", ".join(blamed(one)[1]) or "nobody" for one in verdicts)
    lines += [f"  {names}: {count} cases" for names, count in wrong.most_common()]
    lines += ["", "made small:"]
    lines += [f"  {name}: {found['cases']} cases; {(found['network'] or {}).get('sizes')}" for name, found in findings.items()]
    return "\n".join(lines)


def blamed(verdict):
    """The first quantity in which two differ, and who is wrong there; nobody where balls decide nothing."""
    first, judgement = next(iter(verdict["judged"].items()))
    return first, judgement.get("wrong", [])


def column(records, pair, quantity):
    """The errors of a pair in a quantity."""
    errors = [one["errors"][pair][quantity] for one in records]
    return np.array([np.inf if e is None else e for e in errors])


def draw(options, records):
    """The share of cases beyond an error, over the error, a panel for each quantity."""
    panels = []
    for quantity in QUANTITIES:
        series = []
        for pair in map("-".join, PAIRS):
            errors = np.sort(np.clip(column(records, pair, quantity), 1e-2, 2.0**53))
            series.append(Series(pair.replace("-", " – "), errors, np.arange(len(errors), 0, -1) / len(errors)))
        limit = Series(f"allowed: {TOLERANCE:g}", np.full(2, TOLERANCE), np.array([1 / len(records), 1.0]), "dashed")
        panels.append(Curves(quantity, "error in units of u · scale", "share of cases beyond", [*series, limit], log="xy"))
    folder = options.out.parent / "figures" if options.out.name == "results" else options.out
    folder.mkdir(exist_ok=True)
    figure = Figure("errors", "Errors between any two of them.", panels, columns=3)
    for kind in ("svg", "png"):
        plots.save(plots.study(figure), folder / f"{figure.name}.{kind}")


if __name__ == "__main__":
    sys.exit(main())
