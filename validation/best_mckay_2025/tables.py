"""Tables 1-6 of Best McKay et al. 2025 with ours beside them, from the results in this folder: `python tables.py`, to tables.md.

Theirs are minutes on an A100, 2,500 (heat), 2,000 (Poisson) and 1,000 steps of natural gradients (nonlinear; the largest network),
3,000 (transport), 100,000 of Adam; ours are processor seconds of one core for the steps in `study.json`.
"""

import json
from pathlib import Path

import numpy as np

from refntk import files
from refntk.studies.comparison import spread

HERE = Path(__file__).parent
LABELS = {"adam": "Adam", "bfgs": "BFGS, L-BFGS", "engd": "ENGD", "single": "SNGD, single pass", "two": "SNGD, two passes"}
LABELS |= {"ours": "ours", "sample": "ours, through K"}
ONE, HEAT, FIVE, MILLION = {}, {"hidden": "65"}, {"hidden": "50-50-50"}, {"hidden": "520-520-520-520-520"}
PRINTED = {  # heading: study, cells, then by method what is printed: median, least, largest; minutes; rank of G
    "Heat, 261 parameters (Tables 1 and 2)": ("sngd_heat", HEAT, {
        "adam": ((1.39e-3, 8.69e-4, 1.65e-3), 24.87), "bfgs": ((1.99e-4, 5.0e-5, 1.77e-1), 1.10),
        "engd": ((2.78e-6, 1.95e-6, 8.94e-6), 1.34), "single": ((3.62e-7, 8.23e-8, 5.62e-6), 1.06),
        "two": ((1.49e-7, 1.27e-7, 4.86e-6), 1.10)}),
    "Heat, 5,301 parameters (Tables 1 and 2)": ("sngd_heat", FIVE, {
        "adam": ((6.13e-5, 2.59e-5, 1.13e-4), 44.15), "bfgs": ((3.65e-6, 2.32e-6, 6.50e-6), 1.86),
        "engd": ((5.66e-7, 2.91e-7, 1.36e-6), 221.89), "single": ((7.87e-9, 6.00e-9, 1.68e-8), 1.56),
        "two": ((1.24e-8, 8.7e-9, 1.698e-8), 1.86)}),
    "Heat, 1,085,761 parameters (Tables 1 and 2)": ("sngd_heat", MILLION, {
        "adam": ((1.10e-5, 8.42e-6, 2.70e-5), 64.48), "single": ((1.484e-8, 8.92e-9, 2.65e-8), 16.663),
        "two": ((1.49e-7, 8.63e-9, 1.99e-8), 11.283)}),
    "Poisson, 1,341 parameters (Tables 3 and 4)": ("sngd_poisson", ONE, {
        "adam": ((4.67e-4, 2.89e-4, 6.95e-4), 52.51), "bfgs": ((8.0e-6, 4.92e-6, 1.05e-5), 0.96),
        "engd": ((5.16e-7, 3.78e-7, 7.27e-7), 8.85, 105.6), "single": ((9.46e-9, 7.10e-9, 1.96e-8), 1.52, 160.6),
        "two": ((1.21e-8, 7.58e-9, 1.98e-8), 1.92, 134.6)}),
    "Nonlinear, energy, 1,321 parameters (Table 5)": ("sngd_nonlinear", {"form": "energy"}, {
        "adam": ((2.28e-5, 5.32e-6, 4.64e-5), 52.51), "bfgs": ((1.20e-7, 3.52e-8, 2.43e-7), 1.88),
        "engd": ((7.39e-8, 1.28e-8, 2.31e-7), 4.56), "single": ((3.66e-8, 1.34e-8, 5.56e-8), 1.09),
        "two": ((4.02e-8, 1.41e-8, 6.28e-8), 1.32)}),
    "Nonlinear, strong residual, 1,321 parameters": ("sngd_nonlinear", {"form": "strong"}, {}),
}  # fmt: skip
TRANSPORT = {  # Table 6: errors of five runs
    "SNGD, two passes": (2.99e-4, 7.24e-4, 3.78e-4, 8.13e-4, 2.73e-4),
    "SNGD, single pass": (4.59e-4, 9.51e-4, 1.23e-3, 2.01e-3, 2.45e-3),
    "ENGD": (3.33, 2.85e-3, 1.82, 1.79, 2.33e-3),
    "BFGS": (3.32e-3, 7.68e-2, 2.24e-3, 3.67e-2, 7.67e-3),
}


def main():
    """Writes `tables.md`."""
    rows = []
    for heading, (name, where, printed) in PRINTED.items():
        cells, arrays, seconds = result(name)
        rows += [f"\n## {heading}\n", "| | paper | minutes | rank | here | seconds | rank |", "|---|---|---|---|---|---|---|"]
        methods = [m for m in LABELS if m in printed or any(fits(cell, where | {"method": m}) for cell in cells)]
        for method in methods:
            theirs = printed.get(method, ())
            at = [i for i, cell in enumerate(cells) if fits(cell, where | {"method": method})]
            left = [span(theirs[0]) if theirs else "", *(f"{x:g}" for x in theirs[1:])]
            left += [""] * (3 - len(left))
            right = ["", "", ""]
            if at:
                rank = float(np.median(arrays["final"][at]))
                right = [span(spread(arrays["error"][at, -1])), f"{np.median(seconds[at]):.2g}", f"{rank:.0f}" if rank else ""]
            rows.append("| " + " | ".join([LABELS[method], *left, *right]) + " |")
    cells, arrays, seconds = result("sngd_transport")
    rows += [
        "\n## Transport, c = 30, 1,341 parameters (Table 6)\n",
        "| | errors, run by run | losses | ranks | seconds |",
        "|---|---|---|---|---|",
    ]
    rows += [f"| paper, {label} | {' '.join(f'{e:.1e}' for e in errors)} | | | |" for label, errors in TRANSPORT.items()]
    for way in dict.fromkeys(cell["way"] for cell in cells):
        at = [i for i, cell in enumerate(cells) if cell["way"] == way]
        errors, losses = (" ".join(f"{e:.1e}" for e in arrays[y][at, -1]) for y in ("error", "loss"))
        ranks, spent = " ".join(f"{r:.0f}" for r in arrays["final"][at]), " ".join(f"{s:.0f}" for s in seconds[at])
        rows.append(f"| {way} | {errors} | {losses} | {ranks} | {spent} |")
    told = (
        "Medians [least, largest] of relative L2 errors; medians of minutes on an A100, processor seconds, and ranks above 1e-13."
    )
    (HERE / "tables.md").write_text(f"# Tables, printed by `tables.py`\n\n{told}\n" + "\n".join(rows) + "\n")


def result(name):
    """Cells, arrays and processor seconds of each cell."""
    meta, arrays = files.read(HERE / name / "result.npz", "refntk study 1")
    conducted = json.loads((HERE / name / "environment.json").read_text())["conducted"]
    return meta["cells"], arrays, np.array(conducted["processor seconds of each cell"])


def fits(cell, where):
    """Whether a cell has these values."""
    return all(cell.get(name) == value for name, value in where.items())


def span(values):
    """Median [least, largest]."""
    middle, low, high = values
    return f"{middle:.1e} [{low:.1e}, {high:.1e}]"


if __name__ == "__main__":
    main()
