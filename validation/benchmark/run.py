"""Everything the README of this folder talks about, measured here and now: `python validation/benchmark/run.py`.

For every problem: peak memory of each workload in a process of its own; then all candidates are checked against the reference
engine; then they are timed in turns, in this one process, in three rotations (steps, traces, kernels), each with the bare matrix
products among them. Then how traces, kernel and step grow with n, width and depth. Results are JSON with their environment.
"""

import argparse
import json
import os
import tempfile
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import growth
from tqdm import tqdm

import refntk as rn
from refntk import bench
from refntk.files import replacing

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # or JAX takes most of a graphics card before the others ask

HERE = Path(__file__).parent
ENGINES = ("reference", "numba")
RIVALS = ("jax", "torch")
PROBLEMS = {  # sizes of the network, and points where they are not the paper's
    # Hirsch & Pichi take 300 + 300 + 100 + 200 points. Here 300 are on the equation, 300 on the velocity and 300 on the values.
    "wave": ([2, 500, 500, 500, 1], {"interior": 300, "velocity": 300, "initial": 150, "boundary": 150}),
    "qtensor": ([3, 500, 500, 500, 2], {}),
    "heat": ([2, 50, 50, 50, 1], {}),  # Best McKay et al., 990 points
    "poisson2d": ([2, 20, 20, 20, 20, 1], {}),
}
ROTATIONS = {"traces": ("traces",), "ntk": ("ntk",)}  # where rivals take seconds; all else is "steps"
STEP_ROUNDS = 25  # of "steps", whose ratios are to be known to some percent
MOST = 0.6  # of the machine's memory: what takes more in a process of its own is not timed among others
NO_GPU = "not measured"


def main(arguments=None):
    """Measures what the command line asks for and writes one file for each problem, and one for the growth."""
    options = parser().parse_args(arguments)
    out = options.out or (Path(tempfile.mkdtemp()) if options.quick else HERE / "results")
    out.mkdir(parents=True, exist_ok=True)
    rivals = [library for library in options.rivals if find_spec(library)]
    timing = {"rounds": 2, "warmups": 1, "pause": 0.0} if options.quick else {"rounds": options.rounds}
    steps = timing if options.quick else {"rounds": max(STEP_ROUNDS, options.rounds)}
    for name in options.only:
        if name == "growth":
            result = growth.measure(timing, shrink=64 if options.quick else 1)
        else:
            result = side_by_side(case(name, options.quick), rivals, timing, steps, quick=options.quick)
            result["ratios"] = ratios(result)
            print(bench.table(result), *(f"{what}: {values}" for what, values in result["ratios"].items()), sep="\n")
        result["left_out"] = [f"{library}: not installed" for library in options.rivals if library not in rivals]
        with replacing(out / f"{name}.json") as file:
            file.write(json.dumps(result | {"quick": options.quick}, indent=1, allow_nan=False).encode() + b"\n")
        print(f"written: {name}.json", flush=True)
    if options.quick and not options.out:
        print(f"a quick run says nothing about speed; its numbers went to {out}")


def parser():
    """The command line."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [*PROBLEMS, "growth"]
    found.add_argument("--only", nargs="+", choices=known, default=known, metavar="NAME", help=f"some of {', '.join(known)}")
    found.add_argument("--rivals", nargs="*", choices=RIVALS, default=RIVALS, metavar="LIBRARY", help="jax, torch, or none")
    found.add_argument(
        "--rounds", type=int, default=bench.ROUNDS, metavar="N", help=f"(default: {bench.ROUNDS}; of steps at least {STEP_ROUNDS})"
    )
    found.add_argument("--quick", action="store_true", help="tiny sizes and few rounds, to see whether everything runs")
    found.add_argument("--out", type=Path, metavar="FOLDER", help="(default: results, with --quick a temporary folder)")
    return found


def case(name, quick=False):
    """A problem at the size that is measured, or at a tiny one."""
    sizes, counts = PROBLEMS[name]
    problem = rn.problems.get(name)
    if quick:
        sizes, counts = [sizes[0], *[16] * (len(sizes) - 2), sizes[-1]], {term.name: 8 for term in problem.terms}
    return bench.Case.of(problem, sizes, counts=counts)


def side_by_side(case, rivals, timing, steps=None, quick=False):
    """The document of one problem: memory, agreement, times, ratios."""
    prepared = own(case) | others(case, rivals)
    peaks = memory(case, prepared, ["ntk"] if quick else list(bench.WORKLOADS))
    out = {(row["workload"], row["candidate"]) for row in peaks if "left_out" in row}
    calls = {key: prepare() for key, prepare in tqdm(prepared.items(), desc="prepare") if key not in out}
    references = {workload: prepare(case)() for workload, prepare in bench.WORKLOADS.items()}
    agreement = bench.check(calls, references)
    rows = []
    for name in ("steps", *ROTATIONS):
        mine = {key: call for key, call in calls.items() if _rotation(key[0]) == name}
        rows += bench.rotation(name, mine, bench.gemms(case), progress=True, **(steps or timing if name == "steps" else timing))
    return bench.document(case, rows, agreement, memory=peaks, gpu=gpu(case, rivals, references, timing))


def _rotation(workload):
    return next((name for name, workloads in ROTATIONS.items() if workload in workloads), "steps")


def own(case, engines=ENGINES):
    """`{(workload, engine): prepare}`."""
    found = {(w, engine): (prepare, replace(case, engine=engine)) for w, prepare in bench.WORKLOADS.items() for engine in engines}
    return {key: partial(prepare, mine) for key, (prepare, mine) in found.items()}


def others(case, rivals, devices=None):
    """`{(workload, "library derivatives"): prepare}` for all rivals on their devices, the CPU if left out."""
    found = {}
    for library in rivals:
        module = import_module(f"rivals_{library}")
        for derivatives in module.DERIVATIVES:
            made = module.workloads(case, derivatives, **({"device": devices[library]} if devices else {}))
            found |= {(workload, f"{library} {derivatives}"): prepare for workload, prepare in made.items()}
    return found


def memory(case, prepared, workloads):
    """Bytes that each candidate takes beyond what its preparation holds, each in a process of its own."""
    rows = []
    for workload, candidate in tqdm([key for key in prepared if key[0] in workloads], desc="memory"):
        row = {"workload": workload, "candidate": candidate}
        try:
            row["bytes"] = bench.fresh(added, workload, candidate, case)
        except (BrokenProcessPool, MemoryError):
            row["left_out"] = "the process was killed or ran out of memory"
        if row.get("bytes", 0) > MOST * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
            row["left_out"] = f"it takes more than {MOST} of the machine's memory"
        rows.append(row)
    return rows


def added(workload, candidate, case):
    """The bytes one candidate adds to this process, which should be a new one."""
    if candidate in ENGINES:
        return bench.memory(workload, replace(case, engine=candidate))
    library, derivatives = candidate.split()
    module = import_module(f"rivals_{library}")
    module.workloads(case.shrunk(), derivatives)[workload]()()  # whatever is loaded at first use
    return bench.added_bytes(module.workloads(case, derivatives)[workload]())


def gpu(case, rivals, references, timing):
    """All workloads in turns on a GPU, refntk on CuPy's arrays in both precisions and rivals; or that this was not measured."""
    try:
        import cupy

        if not cupy.cuda.runtime.getDeviceCount():
            return NO_GPU
    except Exception:  # no CuPy, or one without a driver, which has errors of its own
        return NO_GPU

    def ended(call):
        def waits():
            answer = call()
            cupy.cuda.runtime.deviceSynchronize()
            return answer

        return waits

    points = {name: cupy.asarray(x) for name, x in case.points.items()}
    there = replace(case, theta=cupy.asarray(case.theta), points=points)
    single = there.cast("float32")
    calls = {(workload, "cupy"): ended(prepare(there)) for workload, prepare in bench.WORKLOADS.items()}
    devices = {"jax": "gpu", "torch": "cuda"}
    calls |= {key: prepare() for key, prepare in others(case, [r for r in rivals if _on_gpu(r)], devices).items()}
    agreement = bench.check(calls, references)
    singles = {(workload, "cupy float32"): ended(prepare(single)) for workload, prepare in bench.WORKLOADS.items()}
    rounded = {workload: prepare(single.cast("float64"))() for workload, prepare in bench.WORKLOADS.items()}
    agreement += bench.check(singles, rounded, single={"cupy float32"})
    calls |= singles
    rows = bench.rotation("gpu", calls, ended(bench.gemms(there)), progress=True, **timing)
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return {"device": name, "measurements": rows, "agreement": agreement}


def _on_gpu(library):
    if library == "torch":
        return import_module("torch").cuda.is_available()
    try:
        return bool(import_module("jax").devices("gpu"))
    except RuntimeError:
        return False


def ratios(document):
    """What this engine is judged by: `{name: {"min": ratio, "median": ratio, ...}}`, as far as the candidates were there."""
    timed = {(row["workload"], row["candidate"]): row for row in document["measurements"]}
    bytes_of = {(row["workload"], row["candidate"]): row.get("bytes") for row in document["memory"]}

    def jax(workload):
        """The faster of JAX's ways."""
        found = [key for key in timed if key[0] == workload and key[1].startswith("jax")]
        return min(found, key=lambda key: timed[key]["median"], default=None)

    step = ("unweighted_step", "numba")
    pairs = {
        "weighted step / unweighted step": (("weighted_step", "numba"), step),
        "weighted step / unweighted step of JAX": (("weighted_step", "numba"), jax("unweighted_step")),
        "algorithm 3 step / unweighted step": (("algorithm3_step", "numba"), step),
        "algorithm 3 step with differences / unweighted step": (("algorithm3_difference_step", "numba"), step),
        "traces of JAX / traces": (jax("traces"), ("traces", "numba")),
        "K of JAX / K": (jax("ntk"), ("ntk", "numba")),
    }
    found = {}
    if step in timed:  # the bare products of the same rotation: every rotation has its own
        found["unweighted step / bare matrix products"] = timed[step]["over_gemms"]
    for name, (above, below) in pairs.items():
        if above in timed and below in timed:
            found[name] = {kind: timed[above][kind] / timed[below][kind] for kind in ("min", "median")}
    above, below = bytes_of.get(("ntk", "numba")), bytes_of.get(jax("ntk") or ("ntk", "jax nested"))
    if above and below:
        found["memory of K / memory of K in JAX"] = {"bytes": above / below}
    return found


if __name__ == "__main__":
    main()
