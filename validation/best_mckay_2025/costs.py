"""Seconds and bytes of one direction, and of whole runs, over the number of parameters, each in a process of its own.

`python validation/best_mckay_2025/costs.py --out validation/best_mckay_2025/costs [--runs] [--add]`, with one BLAS thread. Seconds
are those of the processor, so that other work on the machine counts for little; bytes are what the memory of the process rises by.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import refntk as rn
from refntk import bench
from refntk.plots import save, study
from refntk.studies.courses import Course
from refntk.studies.figure import Curves, Figure, Series, Slope

HERE = Path(__file__).parent / "costs"
NODES, STUDIED = [16, 16], [20, 20]  # Gauss points of one direction, 304 rows, and of the heat study, 460
HIDDEN = {261: [65], 1341: [20] * 4, 5301: [50] * 3, 29_521: [120] * 3, 136_761: [260] * 3, 1_085_761: [520] * 5}
SKETCH = {"rank": 150, "oversampling": 100}
WAYS = {  # label, method, options, parameters up to which it is measured
    "gradient": ("gradient", None, {}, 10**7),
    "damped": ("damped, through K", "damped", {}, 10**7),
    "sample": ("ENGD, through K", "engd", {"space": "sample"}, 10**7),
    "nystrom": ("Nyström sketch of K, 250 columns", "nystrom", SKETCH, 150_000),
    "searched": ("searched, eigenvalues of K", "searched", {"space": "sample"}, 10**7),
    "rows": ("searched, singular values of J", "searched", {"space": "rows"}, 150_000),
    "two": ("SNGD, two passes, 250 columns", "sngd", SKETCH, 150_000),
    "parameter": ("ENGD, through G (p × p)", "engd", {"space": "parameter"}, 2000),
}
RUNS = {261: ("rows", 100), 5301: ("rows", 50), 1_085_761: ("sample", 60)}  # space, steps


def linearized(p):
    """The heat problem with p parameters on its Gauss points, and R and J at a start."""
    course = Course.of("heat", HIDDEN[p], NODES)
    return course, course.at(course.network.init(rng=np.random.default_rng([18, 0]))).lin


def once(way, p):
    """One direction as a call, with a linearization of its own."""
    _, method, options, _ = WAYS[way]
    _, lin = linearized(p)
    if method is None:
        return lambda: lin.gradient(dict.fromkeys(lin.blocks, 1.0))
    return lambda: rn.natural.direction(lin, method, **options)


def direction(way, p):
    """Processor seconds, the least of up to three calls of new linearizations, and bytes of the first, for one size."""
    once(way, 261)()  # whatever is compiled or loaded at first use
    held = bench.added_bytes(once(way, p))
    taken = []
    while len(taken) < 3 and sum(taken) < 10:
        call, start = once(way, p), time.process_time()
        call()
        taken.append(time.process_time() - start)
    return {"way": way, "parameters": p, "seconds": min(taken), "bytes": held}


def run(p, seed):
    """A training by `rn.train`: errors at every tenth of the steps, processor seconds of all, and bytes at the peak."""
    once("searched", 261)()
    space, steps = RUNS[p]
    course, found = Course.of("heat", HIDDEN[p], STUDIED), []
    theta = course.network.init(rng=np.random.default_rng([19, seed]))
    how = {"weighting": "fixed", "scaling": "quadrature", "engine": "numba", "points": course.points, "record": steps // 10}
    how |= {"steps": steps, "optimizer": "searched", "options": {"space": space}, "quadrature": course.quadrature}
    start = time.process_time()
    held = bench.added_bytes(lambda: found.append(rn.train(course.problem, course.network, theta, **how)))
    taken, history = time.process_time() - start, found[0]
    told = {"steps": history.steps.tolist(), "errors": history.errors.tolist(), "seconds": taken, "bytes": held}
    return {"parameters": p, "seed": seed} | told


def drawn(document):
    """Seconds and bytes over p, on logarithmic axes."""
    panels = []
    for y, told in (("seconds", "processor seconds, one thread"), ("bytes", "bytes at the peak")):
        series = []
        for way, (label, *_) in WAYS.items():
            rows = sorted((row["parameters"], row[y]) for row in document["directions"] if row["way"] == way)
            if rows:
                series.append(Series(label, *np.array(rows, dtype=float).T))
        start = min(s.y[0] for s in series)
        panels.append(Curves("One direction, 304 rows", "parameters p", told, series, [Slope(1, (1e4, 3 * start), "p")], "xy"))
    return study(Figure("costs", "What one direction costs over the number of parameters, each in a process of its own.", panels))


def main(arguments=None):
    """Measures what is asked for, adds it to `costs.json`, and draws all that stands there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, metavar="FOLDER")
    parser.add_argument("--least", type=int, default=0, metavar="P", help="sizes of at least so many parameters")
    parser.add_argument("--most", type=int, default=10**7, metavar="P", help="and at most so many")
    parser.add_argument("--runs", type=int, default=0, metavar="N", help="whole runs from so many starts")
    parser.add_argument("--draw", action="store_true", help="measure nothing, draw again")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "costs.json"
    document = json.loads(file.read_text()) if file.exists() else {"directions": [], "runs": []}
    if not options.draw:
        sizes = [p for p in HIDDEN if options.least <= p <= options.most]
        if not options.runs:
            new = [bench.fresh(direction, way, p) for p in sizes for way in WAYS if p <= WAYS[way][3]]
            there = {(row["way"], row["parameters"]) for row in new}
            document["directions"] = [r for r in document["directions"] if (r["way"], r["parameters"]) not in there] + new
        new = [bench.fresh(run, p, seed) for p in sizes if p in RUNS for seed in range(options.runs)]
        there = {row["parameters"] for row in new}
        document["runs"] = [r for r in document["runs"] if r["parameters"] not in there] + new
        document["environment"] = bench.environment()
        file.write_text(json.dumps(document, indent=1) + "\n")
    if document["directions"]:
        save(drawn(document), options.out / "costs.png")


if __name__ == "__main__":
    main()
