"""The tables of the README from the files in results/, as Markdown: `python validation/benchmark/tables.py`."""

import argparse
import json
from pathlib import Path

HERE = Path(__file__).parent
TITLES = {
    "unweighted_step": "unweighted step",
    "weighted_step": "step with weights of the full kernel",
    "algorithm3_step": "Algorithm 3 step, exact product",
    "algorithm3_difference_step": "Algorithm 3 step, finite difference",
    "sample": "sample of Algorithm 2",
    "product": "K v",
    "traces": "traces of the full kernel",
    "ntk": "K",
}


def main(arguments=None):
    """Prints, for every problem's file, its times, the memory of K and the ratios; for the growth its exponents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results", metavar="FOLDER")
    for path in sorted(parser.parse_args(arguments).results.glob("*.json")):
        document = json.loads(path.read_text())
        print(f"**{path.stem}**\n")
        print(
            grown(document) if path.stem == "growth" else "\n\n".join((times(document), memory(document), ratios(document))) + "\n"
        )


def times(document):
    """Milliseconds, median (least), a row for each workload, a column for each candidate."""
    rows = [row for row in document["measurements"] if row["candidate"] != "bare"]
    bare = next(row for row in document["measurements"] if row["candidate"] == "bare")
    candidates = list(dict.fromkeys(row["candidate"] for row in rows))
    cells = {(row["workload"], row["candidate"]): f"{digits(row['median'])} ({digits(row['min'])})" for row in rows}
    body = {title: [cells.get((name, c), "") for c in candidates] for name, title in TITLES.items()}
    body = {f"bare matrix products, {digits(bare['median'])} ({digits(bare['min'])})": [""] * len(candidates)} | body
    return table(["ms", *candidates], body)


def memory(document):
    """MiB at the peak."""
    rows = [row for row in document["memory"] if row["workload"] in ("weighted_step", "ntk")]
    candidates = list(dict.fromkeys(row["candidate"] for row in document["memory"]))
    cells = {(row["workload"], row["candidate"]): digits(row["bytes"] / 2**20, 1) for row in rows if "bytes" in row}
    body = {TITLES[name]: [cells.get((name, c), "") for c in candidates] for name in ("weighted_step", "ntk")}
    return table(["MiB", *candidates], body)


def ratios(document):
    """Median to median and least to least."""
    rows = {
        name: [f"{value[key]:.3g}" if key in value else "" for key in ("median", "min", "bytes")]
        for name, value in document["ratios"].items()
    }
    return table(["ratio", "medians", "least", "bytes"], rows)


def grown(document):
    """Exponents: fitted to all sizes, and between the two largest."""
    rows = {
        f"{axis}, {workload}": [
            "" if found[kind] is None else f"{found[kind]['all']:.2f}, {found[kind]['last']:.2f}" for kind in ("seconds", "bytes")
        ]
        for axis, workloads in document["slopes"].items()
        for workload, found in workloads.items()
    }
    return table(["exponent, all sizes and the last two", "seconds", "bytes"], rows) + "\n"


def digits(value, scale=1e3):
    """Three of them."""
    shown = f"{value * scale:#.3g}"
    return f"{float(shown):.0f}" if "e" in shown else shown.rstrip(".")


def table(head, body):
    """Markdown."""
    lines = [head, ["---"] * len(head), *([title, *cells] for title, cells in body.items())]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    main()
