"""Tables and figures from the files in results/, and from nothing else: `python validation/audit/figures.py`."""

import argparse
import json
from pathlib import Path

import numpy as np
from libraries import FROM_SOURCE, LIBRARIES, NOT_USED
from matplotlib.figure import Figure

from refntk.plots import PALETTE, WIDTH, save

HERE = Path(__file__).parent
TRACES, ASKED = "wang_2022", "weights/wang_2022"
BEGIN, END = "<!-- tables -->", "<!-- end of tables -->"


def main(arguments=None):
    """Writes the tables into README.md, between their marks, and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=HERE / "results", metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=HERE, metavar="FOLDER")
    options = parser.parse_args(arguments)
    found, effect = documents(options.results), options.results / "effect.json"
    readme = options.out / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    readme.write_text(f"{before}{BEGIN}\n{shown(found)}\n{END}{rest.partition(END)[2]}")
    drawn = {"weights": weights(found), "costs": costs(found)}
    if effect.exists():
        drawn["effect"] = effects(json.loads(effect.read_text()))
    (options.out / "figures").mkdir(exist_ok=True)
    for name, figure in drawn.items():
        for kind in ("png", "svg"):
            save(figure, options.out / "figures" / f"{name}.{kind}")


def documents(folder):
    """`{library: document}` in the order of `libraries.py`."""
    return {name: json.loads(path.read_text()) for name in LIBRARIES if (path := folder / f"{name}.json").exists()}


def candidates(found):
    """`(label, version, candidate)` of all that were run."""
    for name, document in found.items():
        for kind, candidate in document.get("candidates", {}).items():
            label = document["library"] if len(document["candidates"]) == 1 else f"{document['library']}, {kind}"
            yield label, (document["versions"] | {"refntk": document["refntk"]})[LIBRARIES[name].package], candidate


# Tables


def shown(found):
    """The tables as text."""
    return "\n\n".join("\n".join(lines) for lines in tables(found))


def tables(found):
    """What refntk says, what the weights are, what it costs: three tables as lines of Markdown."""
    yield markdown(("library", "gives", "right", "what refntk says of the rest, unaided"), said(found))
    yield markdown(("weights", "the wave problem", "the case by hand"), compared(found))
    yield markdown(("", "asked for", "processor seconds", "MiB"), measured(found))


def markdown(head, rows):
    """A table."""
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


def said(found):
    """Each candidate on the certified vectors."""
    for label, version, c in candidates(found):
        yield f"{label} {version}", c["offers"], right(c["checks"]), "; ".join(told(c["checks"]))
    yield from ((f"{d['library']}", "", "not run", f"`{d['unavailable']}`") for d in found.values() if "unavailable" in d)
    yield from ((name, "", "not used", reason) for name, reason in NOT_USED.items())


def right(checks):
    """Which checks pass, and the largest error of a finding that does."""
    good = [check for check in checks if check["verdict"] != "FAIL"]
    if not good:
        return ""
    cases, largest = max(c["passes"] for c in good), max(c["largest"] or 0.0 for c in good)
    lost = max(c["warnings"] for c in good)
    return f"{', '.join(c['check'] for c in good)}: {cases} answers, errors up to {largest:.1f} u" + (
        f"; {lost} with lost digits" if lost else ""
    )


def told(checks):
    """`checks: words`, checks with the same words together."""
    found = {}
    for check in checks:
        if check["verdict"] == "FAIL":
            words = (check.get("diagnosis") or {}).get("words") or "nothing explains it"
            found.setdefault(words, []).append(f"{check['check']} ({check['failures']} of {check['judged']})")
    return [f"{', '.join(names)}: **{words}**" for words, names in found.items()]


def compared(found):
    """λ_k of all terms, in units of that of the first: eq. (5), those that were run, those read in source."""
    *_, rules = next(candidates(found))
    yield f"eq. (5), {', '.join(rules['wave']['terms'])}", *(ratios(rules[case]["rules"][TRACES]) for case in ("wave", "hand"))
    for label, _, c in candidates(found):
        if any(ASKED in c[case]["answers"] for case in ("wave", "hand")):
            yield label, *(ratios(c[case]["answers"].get(ASKED)) for case in ("wave", "hand"))
    for label, rule in FROM_SOURCE.items():
        yield f"{label}: from source, not run", *(ratios(rules[case]["rules"][rule]) for case in ("wave", "hand"))


def ratios(values):
    """`1 : 352 : 88`."""
    if not values or None in values:
        return "none: it raises"
    return " : ".join(f"{value / values[0]:.3g}" for value in values)


def measured(found):
    """Seconds and MiB."""
    for label, _, c in candidates(found):
        cost = c["cost"]
        numbers = (
            (f"{cost['seconds']:.2g}", f"{cost['bytes'] / 2**20:.0f}") if "seconds" in cost else (f"`{cost['unavailable']}`", "")
        )
        yield label, cost["quantity"], *numbers


# Figures


def weights(found):
    """λ of each condition of the wave problem over that of the equation, in units of eq. (5)'s; equal weights share a line."""
    rules = next(candidates(found))[2]["wave"]
    lines = {}
    for label, _, c in candidates(found):
        if values := c["wave"]["answers"].get(ASKED):
            lines.setdefault(tuple(np.round(np.array(values) / values[0], 9)), []).append(label)
    for label, rule in FROM_SOURCE.items():
        values = rules["rules"][rule]
        lines.setdefault(tuple(np.round(np.array(values) / values[0], 9)), []).append(f"{label}*")
    reference = np.array(rules["rules"][TRACES]) / rules["rules"][TRACES][0]
    figure = Figure(figsize=(1.25 * WIDTH, 0.42 * len(lines) + 1.4), layout="constrained")
    axes = figure.subplots()
    for y, values in enumerate(lines):
        for k, term in enumerate(rules["terms"][1:], start=1):
            axes.plot(values[k] / reference[k], y + 0.12 * (k - 2), "o", color=PALETTE[k], label=term if y == 0 else None)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yticks(range(len(lines)), [wrapped(names) for names in lines.values()], fontsize="small")
    axes.invert_yaxis()
    axes.set_xlabel("λ of a condition over that of the equation, in units of eq. (5)   (*: from source)")
    axes.legend(frameon=False, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    axes.grid(alpha=0.25)
    return figure


def wrapped(names):
    """Names, two on a line."""
    return ",\n".join(", ".join(names[i : i + 2]) for i in range(0, len(names), 2))


def costs(found):
    """Seconds and MiB at the peak, one bar a candidate; one colour a quantity."""
    rows = [(label, c["cost"]) for label, _, c in candidates(found) if "seconds" in c["cost"]]
    rows.sort(key=lambda row: (row[1]["quantity"], row[1]["seconds"]))
    colours = dict(zip(dict.fromkeys(cost["quantity"] for _, cost in rows), PALETTE))
    figure = Figure(figsize=(1.25 * WIDTH, 0.28 * len(rows) + 1.3), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, of, name in zip(
        panels, ("seconds", "bytes"), ("processor seconds, median", "MiB at the peak, first call"), strict=True
    ):
        for y, (_, cost) in enumerate(rows):
            value = cost[of] / (2**20 if of == "bytes" else 1)
            axes.plot(value, y, "o", color=colours[cost["quantity"]])
        axes.set_xscale("log")
        axes.set_xlabel(name)
        axes.grid(alpha=0.25)
    panels[0].set_yticks(
        range(len(rows)), [f"{label}: {cost['quantity'].partition('/')[0]}" for label, cost in rows], fontsize="small"
    )
    panels[0].invert_yaxis()
    return figure


def effects(document):
    """Relative L2 errors, a point for each seed and a mark at the median; a panel for each equation, the best rule on top."""
    figure = Figure(figsize=(1.6 * WIDTH, 3.9), layout="constrained")
    panels = figure.subplots(1, len(document["problems"]))
    for axes, (name, of) in zip(panels, document["problems"].items(), strict=True):
        errors = dict(sorted(of["errors"].items(), key=lambda item: np.median(item[1])))
        for y, (rule, values) in enumerate(errors.items()):
            colour = PALETTE[0] if rule in (TRACES, "no weights") else PALETTE[1]
            axes.plot([min(values), max(values)], [y, y], color=colour, linewidth=0.8, alpha=0.6)
            axes.plot(values, [y] * len(values), "o", color=colour, markersize=4)
            axes.plot(np.median(values), y, "|", color="black", markersize=13)
        axes.set_xscale("log")
        axes.set_yticks(range(len(errors)), [f"eq. (5): {rule}" if rule == TRACES else rule for rule in errors], fontsize="small")
        axes.invert_yaxis()
        axes.set_title(f"{name}, {of['steps']:,} steps", fontsize="medium")
        axes.set_xlabel("relative L2 error")
        axes.grid(alpha=0.25)
    return figure


if __name__ == "__main__":
    main()
