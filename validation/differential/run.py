"""Differential testing of refntk's engines, JAX and PyTorch: `python run.py --cases 1000 --seed 17 [--out FOLDER]`.

Every case is a line of cases.jsonl, on the disk before the next begins: the same command goes on where it was stopped, by Ctrl-C,
kill -9 or a full disk. Then one disagreement of every kind is made small and judged by ball arithmetic (findings.json), and the
distributions of the errors are drawn. `--cases 0` looks at what is there.
"""

import argparse
import json
import os
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # single operations: compiling them is all that costs

import numpy as np
from contenders import CONTENDERS, QUANTITIES
from differences import PAIRS, TOLERANCE, compared, disagreements, entrywise, error, odd, scales
from drawn import Recipe, recipe
from reduction import reduced
from tqdm import tqdm

import refntk as rn
from refntk import balls, files, plots
from refntk.bench.machine import environment
from refntk.studies.figure import Curves, Figure, Series

SCHEMA = "refntk differential 1"
LIBRARIES = ("refntk", "numpy", "numba", "jax", "torch", "hypothesis", "python-flint")
SMALL = 200  # parameters: more is not certified in balls


def main():
    """Runs the cases that are missing. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        drawn = check(options)
        records, computed = run(options)
        if computed:
            about(options, drawn)
        findings = judged(options, records)
    except KeyboardInterrupt:
        print("stopped; the cases that were done are kept, the same command goes on", file=sys.stderr)
        return 130
    print(told(records, findings))
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
    return drawn


def about(options, drawn):
    """The command and the machine that computed last."""
    command = f"python validation/differential/run.py --cases {options.cases} --seed {options.seed}"
    versions = {name: version(name) for name in LIBRARIES}
    document = {"schema": SCHEMA, "drawn": drawn, "command": command, "versions": versions, "environment": environment()}
    files.write_json(options.out / "environment.json", document)


def run(options):
    """The records of all cases, those computed now written one by one, and how many these are."""
    path = options.out / "cases.jsonl"
    text = path.read_bytes() if path.exists() else b""
    whole = text[: text.rfind(b"\n") + 1]  # a line that was being written when the power failed is no line
    records = [json.loads(line) for line in whole.splitlines()]
    with open(path, "r+b" if path.exists() else "xb") as file:
        file.truncate(len(whole))
        file.seek(len(whole))
        missing = range(len(records), options.cases)
        for i in tqdm(missing, initial=len(records), total=max(options.cases, len(records)), unit="case", disable=not missing):
            records.append(record(options.seed, i))
            file.write(json.dumps(records[-1], allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    return records, len(missing)


def record(seed, i):
    """One case: its recipe, every error in units of u · scale (null: infinite), what is undetermined."""
    drawn = recipe(seed, i)
    errors, undetermined = compared(drawn.case())
    shown = {pair: {q: float(f"{e:.4g}") if np.isfinite(e) else None for q, e in of.items()} for pair, of in errors.items()}
    return {"case": i, "recipe": drawn.plain(), "errors": shown, "undetermined": undetermined}


def found_in(record):
    """The disagreements of a record."""
    errors = {pair: {q: np.inf if e is None else e for q, e in of.items()} for pair, of in record["errors"].items()}
    return disagreements(errors, record["undetermined"])


def judged(options, records):
    """One disagreement of every kind (who is odd, which activation, in which quantity first), made small and judged by balls."""
    kinds = defaultdict(list)
    for one in records:
        if found := found_in(one):
            found = [(pair, quantity) for pair, quantity in found if quantity == found[0][1]]
            pair, first = min(found, key=lambda of: "jax" in of[0])  # the others are faster
            kinds["+".join(odd(found)), one["recipe"]["activation"], first].append((one, pair))
    path = options.out / "findings.json"
    there = files.read_json(path, SCHEMA)["findings"] if path.exists() else {}
    there = {name: one for name, one in there.items() if tuple(name.split()) in kinds}
    for kind, members in tqdm(sorted(kinds.items()), unit="kind", disable=not kinds):
        name = " ".join(kind)
        if name not in there:
            smallest, pair = min(members, key=lambda member: sum(member[0]["recipe"]["hidden"]))
            there[name] = finding(smallest, pair, kind[2])
        there[name]["cases"] = len(members)
        files.write_json(path, {"schema": SCHEMA, "findings": there})
    return there


def finding(record, pair, quantity):
    """A case made small, with what each contender says of it and what is true."""
    pair_of = {name: CONTENDERS[name] for name in pair.split("-")}

    def fails(case):
        errors, undetermined = compared(case, pair_of)
        return quantity not in undetermined and not errors[pair][quantity] <= TOLERANCE

    case = reduced(Recipe(**record["recipe"]).case(), fails)
    network = case.network
    found = {
        "from case": record["case"],
        "quantity": quantity,
        "problem": case.problem.name,
        "parameters": record["recipe"]["parameters"],
        "network": network and {"sizes": network.sizes, "activation": network.activation.name, "scale": network.scale},
        "theta": case.theta[:SMALL].tolist(),
        "points": {name: x.tolist() for name, x in case.points.items()},
    }
    if case.theta.size > SMALL:
        return found
    with np.errstate(all="ignore"):
        got = {name: contender(case)[quantity] for name, contender in CONTENDERS.items()}
        scale = scales(case)[0][quantity]
    try:
        want = certified(case, quantity, scale)
    except balls.Undecided:
        return found | {"exact": None}
    errors = {name: error(value, want, scale) for name, value in got.items()}
    at = np.unravel_index(np.argmax(entrywise(got[max(errors, key=errors.get)], want, scale)), want.shape)
    return found | {
        "wrong": [name for name, value in errors.items() if not value <= TOLERANCE],
        "entry": [int(i) for i in at],
        "exact": want[at],
        "got": {name: value[at] if np.isfinite(value[at]) else None for name, value in got.items()},
        "errors": {name: value if np.isfinite(value) else None for name, value in errors.items()},
    }


def certified(case, quantity, scale):
    """The floats nearest to what is true: refntk's reference lines in ball arithmetic."""

    def evaluated():
        theta, points = balls.exact(case.theta), balls.exact(case.points)
        lin = rn.linearize(case.problem, case.network, theta, points)
        quantities = {
            "residual": lambda: lin.residual,
            "jacobian": lambda: lin.jacobian.dense(),
            "ntk": lambda: rn.ntk(lin),
            "traces": lambda: balls.exact(list(rn.ntk_traces(lin).values())),
            "gradient": lambda: lin.jacobian.T @ lin.residual,
            "weights": lambda: balls.exact(list(rn.weights.trace_ratio(rn.ntk_traces(lin)).values())),
        }
        return {quantity: quantities[quantity]()}

    return balls.certify(evaluated, scale={quantity: scale})[quantity].mid


def told(records, findings):
    """Medians and largest errors of every pair, and the kinds of disagreements."""
    lines = [f"{len(records)} cases; median and largest |a - b| / (u scale), of those that are determined", ""]
    if not records:
        return lines[0]
    lines.append(" | ".join(["pair".ljust(16), *(q.ljust(18) for q in QUANTITIES)]))
    for pair in map("-".join, PAIRS):
        columns = [column(records, pair, q) for q in QUANTITIES]
        lines.append(" | ".join([pair.ljust(16), *(f"{np.median(c):.2f}, {c.max():.3g}".ljust(18) for c in columns)]))
    beyond = sum(bool(found_in(one)) for one in records)
    undetermined = sum(bool(one["undetermined"]) for one in records)
    lines += ["", f"beyond {TOLERANCE:g}: {beyond} cases; something undetermined in {undetermined}"]
    lines += [f"  {name}: {found['cases']} cases; wrong: {found.get('wrong')}" for name, found in findings.items()]
    return "\n".join(lines)


def column(records, pair, quantity):
    """The errors of a pair in a quantity, of all cases that determine it."""
    errors = [one["errors"][pair][quantity] for one in records if quantity not in one["undetermined"]]
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
