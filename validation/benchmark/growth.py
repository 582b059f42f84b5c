"""How time and memory grow with the number of rows, the width and the depth, for refntk's own fast engine on the wave equation."""

import numpy as np
from tqdm import tqdm

import refntk as rn
from refntk import bench

ENGINE = "numba"
AXES = {  # what grows, and (rows, width, hidden layers) on the way
    "n": {n: (n, 256, 3) for n in (150, 300, 600, 1200, 2400)},
    "width": {width: (900, width, 3) for width in (64, 128, 256, 512, 1024)},
    "depth": {depth: (900, 256, depth) for depth in (1, 2, 4, 8)},
}
WORKLOADS = ("unweighted_step", "traces", "ntk")


def measure(timing, shrink=1):
    """The document: rows (axis, x, workload, seconds, bytes) and the slopes of straight lines through them on log-log axes.

    `timing` are options of `bench.alternate`; `shrink` divides rows and widths, to see whether everything runs.
    """
    rows = [
        row
        for axis, sizes in AXES.items()
        for x, size in tqdm(sizes.items(), desc=axis)
        for row in _at(axis, x, size, timing, shrink)
    ]
    case = {"problem": "wave", "engine": ENGINE, "shrunk": shrink}
    return {"schema": bench.SCHEMA, "case": case, "growth": rows, "slopes": slopes(rows), "environment": bench.environment()}


def _at(axis, x, size, timing, shrink):
    """One row for each workload at one size. The sizes of one axis are timed one after the other: their ratios are far from 1."""
    rows, width, depth = max(6, size[0] // shrink), max(2, size[1] // shrink), size[2]
    counts = {"interior": rows // 3, "velocity": rows // 3, "initial": rows // 6, "boundary": rows // 6}
    case = bench.Case.of(rn.problems.get("wave"), [2, *[width] * depth, 1], counts=counts, engine=ENGINE)
    times = bench.alternate({name: bench.WORKLOADS[name](case) for name in WORKLOADS}, **timing)
    return [
        {"axis": axis, "x": x, "workload": name, **times[name].summary(), "bytes": bench.fresh(bench.memory, name, case)}
        for name in WORKLOADS
    ]


def slopes(rows):
    """`{axis: {workload: {"seconds": (slope, last), "bytes": ...}}}`: the exponent of a power law fitted to all sizes by least
    squares, and the one between the two largest, where fixed costs weigh least.
    """
    found = {}
    for axis in dict.fromkeys(row["axis"] for row in rows):
        found[axis] = {}
        for name in WORKLOADS:
            line = [row for row in rows if row["axis"] == axis and row["workload"] == name]
            x = [row["x"] for row in line]
            found[axis][name] = {
                "seconds": power(x, [row["median"] for row in line]),
                "bytes": power(x, [row["bytes"] for row in line]),
            }
    return found


def power(x, y):
    """The exponents of `y ~ x^k`: through all points, and between the last two. None where something is not positive."""
    if min(y) <= 0:
        return None
    u, v = np.log(x), np.log(y)
    return {"all": float(np.polyfit(u, v, 1)[0]), "last": float((v[-1] - v[-2]) / (u[-1] - u[-2]))}
