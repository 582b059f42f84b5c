"""Timing in turns, memory, workloads and rivals, at sizes that take no time; how fast anything is, is never asserted."""

import gc
import itertools
import json
import math
import os
import re
import sys
from concurrent.futures.process import BrokenProcessPool
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cases import NETWORK_PROBLEMS

import refntk as rn
from refntk import bench, cli, engine
from refntk.bench import Measurement, alternate, machine, timing, workloads
from refntk.errors import InvalidInput

FOLDER = Path(__file__).parent.parent / "validation" / "benchmark"
FAST = {"rounds": 1, "warmups": 0, "pause": 0.0, "shortest": 0.0}


def tiny(name="wave", engine="reference", each=3, sizes=(4, 3)):
    problem = rn.problems.get(name)
    case = bench.Case.of(
        problem, [len(problem.coordinates), *sizes, problem.outputs], counts={t.name: each for t in problem.terms}, engine=engine
    )
    return replace(case, theta=case.network.init(rng=3, scheme="normal", std=0.5))


# Taking turns


class Clock:
    """A clock that candidates move, so that what they take is known."""

    def __init__(self):
        self.now, self.log = 0.0, []

    def __call__(self):
        return self.now

    def candidate(self, name, *seconds):
        """A call that takes `seconds`, one after the other, the last for ever."""
        times = itertools.chain(seconds[:-1], itertools.repeat(seconds[-1]))

        def call():
            self.log.append(name)
            self.now += next(times)

        return call


def in_turns(log, names, rounds):
    return log == list(names) * rounds


def test_candidates_take_turns():
    clock = Clock()
    alternate({name: clock.candidate(name, 1.0) for name in "ABC"}, rounds=4, warmups=2, pause=0, clock=clock)
    assert in_turns(clock.log, "ABC", 6)


@pytest.mark.parametrize("log", ["AAABBBCCC", "ABCABCAB", "ABCACBABC"])
def test_what_is_not_in_turns_is_seen(log):
    assert not in_turns(list(log), "ABC", 3)


def test_warmups_do_not_count():
    clock = Clock()
    found = alternate({"A": clock.candidate("A", 100.0, 50.0, 3.0, 1.0, 2.0)}, rounds=3, warmups=2, pause=0, clock=clock)
    assert found["A"] == Measurement((3.0, 1.0, 2.0), 1)


def test_ratios_are_of_like_with_like():
    clock = Clock()
    calls = {"A": clock.candidate("A", 1.0, 2.0, 4.0), "B": clock.candidate("B", 6.0, 3.0, 24.0)}
    found = alternate(calls, rounds=3, warmups=0, pause=0, clock=clock)
    assert found["B"].over(found["A"]) == {"min": 3.0, "median": 3.0}
    assert found["A"].over(found["B"]) == {"min": 1 / 3, "median": 1 / 3}
    assert found["B"].summary() == {"seconds": (6.0, 3.0, 24.0), "calls": 1, "min": 3.0, "median": 6.0}


def test_a_mean_would_not_do():
    """One disturbed round moves a mean by more than half, the median not at all."""
    calm, disturbed = Measurement((1.0, 1.0, 1.0)), Measurement((1.0, 1.0, 4.0))
    assert disturbed.over(calm) == {"min": 1.0, "median": 1.0}
    assert np.mean(disturbed.seconds) / np.mean(calm.seconds) == 2.0


def test_short_work_is_repeated_and_divided():
    clock = Clock()
    short, long = clock.candidate("s", 0.25), clock.candidate("l", 2.0)
    found = alternate({"s": short, "l": long}, rounds=1, warmups=1, pause=0, shortest=1.0, clock=clock)
    assert (found["s"], found["l"]) == (Measurement((0.25,), 4), Measurement((2.0,), 1))
    assert clock.log == ["s", "l", "s", "s", "s", "s", "s", "l"]  # and once before the clock runs, which what is long does not need


def test_there_is_a_pause_before_every_turn(monkeypatch):
    clock, turns = Clock(), []
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: clock.log.append(seconds))
    candidates = {name: clock.candidate(name, 1.0) for name in "AB"}
    alternate(candidates, rounds=1, warmups=1, clock=clock, progress=lambda: turns.append(1))
    assert clock.log == [timing.PAUSE, "A", timing.PAUSE, "B"] * 2
    assert len(turns) == 4


@pytest.mark.parametrize("was_on", [True, False])
def test_the_collector_rests_while_the_clock_runs(was_on):
    before, seen = gc.isenabled(), []
    try:
        (gc.enable if was_on else gc.disable)()
        alternate({"A": lambda: seen.append(gc.isenabled())}, **FAST)
        after = gc.isenabled()
    finally:
        (gc.enable if before else gc.disable)()
    assert seen == [False]
    assert after == was_on


def test_the_collector_comes_back_after_an_error():
    def fails():
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        alternate({"A": fails}, **FAST)
    assert gc.isenabled()


@pytest.mark.parametrize(("option", "value"), [("rounds", 0), ("warmups", -1)])
def test_impossible_numbers_of_rounds_are_refused(option, value):
    with pytest.raises(InvalidInput, match=option):
        alternate({"A": list}, **{option: value})


# Workloads


def expected(case):
    """Every answer once more, from the dense Jacobian."""
    lin = rn.linearize(case.problem, case.network, case.theta, case.points)
    J, r, g = lin.jacobian.dense(), lin.residual, case.probe
    K = J @ J.T
    traces = {name: float(np.trace(K[rows, rows])) for name, rows in lin.blocks.items()}
    weights = {name: sum(traces.values()) / trace for name, trace in traces.items()}
    spread = np.concatenate([np.full(rows.stop - rows.start, weights[name]) for name, rows in lin.blocks.items()])
    ahead = rn.linearize(case.problem, case.network, case.theta + 1e-4 * (J.T @ g), case.points)
    return {
        "unweighted_step": {"residual": r, "gradient": J.T @ r},
        "weighted_step": {"residual": r, "weights": weights, "gradient": J.T @ (spread * r)},
        "sample": {"product": (ahead.residual - r) / 1e-4},
        "traces": {"traces": traces},
        "ntk": {"ntk": K},
        "product": {"product": K @ g},
    }


@pytest.mark.parametrize("workload", expected(tiny()))
@pytest.mark.parametrize("name", NETWORK_PROBLEMS)
def test_a_workload_does_the_work_it_names(name, workload):
    case = tiny(name)
    assert bench.disagreement(bench.WORKLOADS[workload](case)(), expected(case)[workload]) < 1e-10


@pytest.mark.parametrize("workload", ["algorithm3_step", "algorithm3_difference_step"])
def test_algorithm_3_averages_weighs_and_steps(workload):
    case = tiny()
    answer, want = bench.WORKLOADS[workload](case)(), expected(case)
    J, blocks = case.at().lin.jacobian.dense(), case.at().lin.blocks
    spread = np.concatenate([np.full(rows.stop - rows.start, answer["weights"][name]) for name, rows in blocks.items()])
    residual = want["unweighted_step"]["residual"]
    assert bench.disagreement(answer, {"residual": residual, "gradient": J.T @ (spread * residual)}) < 1e-12
    moved = bench.disagreement({"weights": answer["weights"]}, {"weights": want["weighted_step"]["weights"]})
    assert 1e-6 < moved < 0.2  # a new sample has the share 1/100


def test_differences_are_taken_where_they_are_named():
    exact, difference = (bench.WORKLOADS[name](tiny())() for name in ("algorithm3_step", "algorithm3_difference_step"))
    assert 0 < bench.disagreement(difference, exact) < 1e-2


@pytest.mark.parametrize("workload", bench.WORKLOADS)
@pytest.mark.parametrize("name", [name for name in engine.names() if name != "reference"])
def test_engines_do_the_same_work(name, workload):
    case = tiny()
    prepare = bench.WORKLOADS[workload]
    assert bench.disagreement(prepare(replace(case, engine=name))(), prepare(case)()) < 1e-11


@pytest.mark.parametrize("workload", bench.WORKLOADS)
def test_workloads_take_arrays_of_other_libraries(workload):
    """As they must for CuPy's, which few have."""
    torch = pytest.importorskip("torch")
    case = tiny()
    points = {name: torch.tensor(x) for name, x in case.points.items()}
    foreign = replace(case, theta=torch.tensor(case.theta), points=points)
    bench.gemms(foreign)()
    assert bench.disagreement(bench.WORKLOADS[workload](foreign)(), bench.WORKLOADS[workload](case)()) < 1e-11


class Recorder:
    """A namespace that notes the shapes of its matrix products."""

    def __init__(self):
        self.shapes = []

    def __getattr__(self, name):
        return getattr(np, name)

    def matmul(self, left, right, out):
        self.shapes.append((*left.shape, right.shape[1]))
        return np.matmul(left, right, out=out)


def test_the_bound_is_made_of_the_products_of_a_step(monkeypatch):
    """Interior: 4 channels, of which 1 is read out. Velocity: 2 of which 1. Initial, boundary: 1."""
    recorder = Recorder()
    monkeypatch.setattr(workloads.arrays, "namespace", lambda *arrays: recorder)
    bench.gemms(tiny(each=10, sizes=(5,)))()
    want = []
    for channels, live in ((40, 10), (10, 10), (20, 10), (10, 10)):
        want += [(channels, 2, 5), (2, channels, 5)]  # first map: forward, gradient
        want += [(live, 5, 1), (5, live, 1), (live, 1, 5)]  # last map: forward, gradient, back
    assert recorder.shapes == want


def test_sites_count_as_points(monkeypatch):
    """A periodic condition evaluates u at two."""
    recorder = Recorder()
    monkeypatch.setattr(workloads.arrays, "namespace", lambda *arrays: recorder)
    bench.gemms(tiny("transport", each=10, sizes=(5,)))()
    assert recorder.shapes[-5] == (20, 2, 5)


# Agreement


@pytest.mark.parametrize(
    ("got", "error"),
    [
        ({"K": np.eye(2), "r": [1.0, 2.0]}, 0.0),
        ({"K": np.eye(2), "r": [1.0, 2.0 + 1e-8]}, 5e-9),  # in units of r's largest entry
        ({"K": np.eye(3), "r": [1.0, 2.0]}, math.inf),
        ({"K": np.eye(2), "r": [1.0, math.nan]}, math.inf),
        ({"K": np.eye(2), "r": [math.nan, 2.0]}, math.inf),
    ],
)
def test_disagreement(got, error):
    assert bench.disagreement(got, {"K": np.eye(2), "r": [1.0, 2.0]}) == pytest.approx(error, rel=1e-6)


def test_layers_are_compared_with_theta():
    case = tiny()
    assert bench.disagreement({"gradient": case.network.unflatten(case.theta)}, {"gradient": case.theta}) == 0


def test_who_is_wrong_is_not_timed():
    """Planted: a kernel that is off by 1e-9 of its largest entry."""
    case = tiny()
    want = bench.WORKLOADS["ntk"](case)()
    right = {("ntk", "a"): lambda: want}
    assert bench.check(right, {"ntk": want})[0]["disagreement"] == 0
    with pytest.raises(InvalidInput, match="ntk of b"):
        bench.check(right | {("ntk", "b"): lambda: {"ntk": want["ntk"] * (1 + 1e-9)}}, {"ntk": want})


@pytest.mark.parametrize(("error", "single", "right"), [(1e-9, (), False), (1e-3, {"a"}, True), (0.1, {"a"}, False)])
def test_single_precision_is_allowed_its_rounding_and_no_more(error, single, right):
    want = {"ntk": np.eye(2)}
    with nullcontext() if right else pytest.raises(InvalidInput, match="ntk of a"):
        bench.check({("ntk", "a"): lambda: {"ntk": want["ntk"] * (1 + error)}}, {"ntk": want}, single=single)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_case_is_rounded_and_widened(library):
    xp = pytest.importorskip(library)
    case = tiny()
    there = replace(case, theta=xp.asarray(case.theta), points={name: xp.asarray(x) for name, x in case.points.items()})
    single = there.cast("float32")
    wide = single.cast("float64")
    assert [c.single for c in (there, single, wide)] == [False, True, False]
    assert all(x.dtype == xp.float32 for x in (single.theta, *single.points.values()))
    assert np.array_equal(wide.theta, case.theta.astype(np.float32).astype(float))


# Documents


@pytest.fixture(scope="module")
def document():
    return bench.compare({"reference": tiny()}, **FAST)


def test_a_document_is_json_and_complete(document):
    assert json.loads(json.dumps(document, allow_nan=False))["case"] == {
        "problem": "wave",
        "parameters": {"c": 2.0},
        "sizes": [2, 4, 3, 1],
        "rows": {"interior": 3, "initial": 3, "velocity": 3, "boundary": 3},
        "p": 31,
    }
    assert [row["workload"] for row in document["measurements"]] == ["gemms", *bench.WORKLOADS]


def test_rows_hold_the_ratio_to_the_bound(document):
    bound, *rows = document["measurements"]
    assert bound["over_gemms"] == {"min": 1.0, "median": 1.0}
    assert [row["over_gemms"]["min"] for row in rows] == [row["min"] / bound["min"] for row in rows]


def test_a_table_has_a_line_for_every_workload():
    rows = [
        {"workload": w, "candidate": c, "seconds": [s], "median": s, "min": s / 2, "over_gemms": {"median": s / 0.1}}
        for w, c, s in [("gemms", "bare", 0.1), ("ntk", "a", 0.3), ("ntk", "b", 0.4), ("traces", "b", 0.2)]
    ]
    case = {"problem": "wave", "sizes": [2, 1], "p": 3, "rows": {"interior": 5}}
    *_, head, gemms, ntk, traces = bench.table({"case": case, "measurements": rows}).splitlines()
    assert head.split() == ["a", "b"]
    assert gemms.split() == ["gemms", "100", "(50)", "1.00", "x"]
    assert ntk.split() == ["ntk", "300", "(150)", "3.00", "x", "400", "(200)", "4.00", "x"]
    assert traces.split() == ["traces", "200", "(100)", "2.00", "x"]
    assert traces.index("200") == ntk.index("400")  # under b


def test_errors_of_single_precision_stand_under_the_table():
    timed = {"seconds": [1.0], "median": 1.0, "min": 1.0, "over_gemms": {"median": 1.0}}
    rows = [{"workload": w, "candidate": c, **timed} for w, c in [("gemms", "bare"), ("ntk", "a"), ("ntk", "b")]]
    case = {"problem": "wave", "sizes": [2, 1], "p": 3, "rows": {"interior": 5}}
    errors = {("ntk", "a"): 0.0, ("ntk", "b"): 2e-7, ("traces", "b"): 0.0}
    agreement = [{"workload": w, "candidate": c, "disagreement": e} for (w, c), e in errors.items()]
    *_, head, ntk, traces = bench.table({"case": case, "measurements": rows, "agreement": agreement}).splitlines()
    assert [head.split(), ntk.split(), traces.split()] == [["b"], ["ntk", "2.0e-07"], ["traces", "0.0e+00"]]


# The machine


def private(document):
    """Paths and the machine's name, as they stand in a document."""
    return re.findall(r"/\w+/[\w/.]+|" + re.escape(os.uname().nodename), json.dumps(document))


def test_the_environment_says_what_times_depend_on_and_nothing_else():
    found = bench.environment()
    assert found["versions"]["numpy"] == np.__version__
    assert {pool["user_api"] for pool in found["pools"]} >= {"blas"}
    assert private(found) == []


@pytest.mark.parametrize("leak", ["/opt/lib/libopenblas.so", os.uname().nodename])
def test_a_leak_is_seen(leak):
    assert private({"pools": [{"filepath": leak}]})


def test_a_checkout_without_git_has_no_revision(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert bench.environment()["revision"] is None


linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
MIB = 2**20


@linux
def test_added_memory_is_what_the_call_holds_at_its_peak():
    def call():
        _ = np.ones(96 * MIB // 8)
        return np.ones(32 * MIB // 8)

    assert 126 * MIB < bench.added_bytes(call) < 140 * MIB  # the system counts pages, and not all at once


@linux
def test_an_earlier_peak_is_not_counted():
    np.ones(64 * MIB // 8)
    assert bench.added_bytes(lambda: np.ones(MIB // 8)) < 16 * MIB


@linux
def test_a_fresh_process_does_not_begin_with_our_peak():
    """`ru_maxrss` would."""
    ballast = np.ones(400 * MIB // 8)
    assert bench.fresh(bench.added_bytes, partial(np.ones, 32 * MIB // 8)) in range(30 * MIB, 64 * MIB)
    assert ballast[0] == 1


def test_without_proc_the_peak_is_asked_of_the_system(monkeypatch):
    read = Path.read_text

    def elsewhere(path, *arguments, **options):
        if path.parts[1:2] == ("proc",):
            raise OSError("no /proc here")
        return read(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", elsewhere)
    assert machine.added_bytes(list) == 0
    assert machine.environment()["processor"]


def test_errors_come_out_of_a_fresh_process():
    with pytest.raises(ZeroDivisionError):
        bench.fresh(divmod, 1, 0)


@linux
def test_the_memory_of_a_kernel_is_not_that_of_its_jacobian():
    case = tiny(each=150, sizes=(64, 64))  # K is 2.7 MiB, J would be 20 MiB
    n, p = case.at().lin.shape
    assert 8 * n * n < bench.memory("ntk", case) < 8 * n * (n + p)


def test_a_shrunk_case_is_tiny_and_of_the_same_kind():
    small = tiny("qtensor", each=9, sizes=(40, 3)).shrunk()
    assert small.network.sizes == (3, 4, 3, 2)
    assert {name: len(x) for name, x in small.points.items()} == {"interior": 4, "initial": 4, "boundary": 4}
    assert small.at().lin.shape == (24, small.network.size)


# The command


def test_the_command_times_and_keeps(tmp_path, capsys):
    out = tmp_path / "numbers.json"
    counts = "--counts=interior=3,initial=3,velocity=3,boundary=3"
    options = ["--width=4", "--depth=1", counts, "--engines=reference", "--rounds=1", "--quiet", f"--out={out}"]
    assert cli.main(["bench", *options]) == 0
    assert bench.table(json.loads(out.read_text())) in capsys.readouterr().out


def test_the_command_tells_the_errors_of_single_precision(capsys):
    counts = "--counts=interior=3,initial=3,velocity=3,boundary=3"
    assert cli.main(["bench", "--width=4", counts, "--engines=reference", "--rounds=1", "--quiet", "--dtype=float32"]) == 0
    times, errors = capsys.readouterr().out.split("largest error against double precision")
    assert "reference float32" in times
    found = {words[0]: float(words[1]) for line in errors.splitlines()[3:] if (words := line.split())}
    assert set(found) == set(bench.WORKLOADS)
    assert min(found.values()) > 1e-9
    assert max(found.values()) < 1e-2


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--problem=quadratic"], "no network"),
        (["--depth=0"], "hidden layer"),
        (["--engines=numab"], "did you mean 'numba'"),
        (["--counts=interior"], "TERM=N"),
        (["--counts=inside=3"], "inside"),
    ],
)
def test_the_command_says_what_cannot_be(options, told, capsys):
    assert cli.main(["bench", "--width=4", "--quiet", *options]) == 2
    assert told in capsys.readouterr().err


# Rivals


@pytest.fixture(scope="module", autouse=True)
def folder():
    """The benchmark's programs find each other as scripts do."""
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def jax_rivals():
    """JAX compiles in half the time if it may do so badly."""
    jax = pytest.importorskip("jax")
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    import rivals_jax

    yield rivals_jax
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="module")
def torch_rivals():
    pytest.importorskip("torch")
    import rivals_torch

    return rivals_torch


def agrees(rivals, case, derivatives, workload):
    call = rivals.workloads(case, derivatives)[workload]()
    return bench.check({(workload, derivatives): call}, {workload: bench.WORKLOADS[workload](case)()})


JAX = [("wave", "nested", w) for w in ("unweighted_step", "sample", "traces", "ntk", "product")]
JAX += [
    ("qtensor", "jet", "traces"),
    ("qtensor", "nested", "ntk"),
    ("heat", "nested", "product"),
    ("poisson2d", "jet", "ntk"),
]  # every problem, way and workload; each costs a compilation


@pytest.mark.parametrize(("name", "derivatives", "workload"), JAX)
def test_jax_agrees(jax_rivals, name, derivatives, workload):
    assert agrees(jax_rivals, tiny(name), derivatives, workload)


TORCH = [("func", w) for w in ("unweighted_step", "sample", "traces", "ntk", "product")]
TORCH += [("autograd", w) for w in ("unweighted_step", "sample")]


@pytest.mark.parametrize(("derivatives", "workload"), TORCH)
@pytest.mark.parametrize("name", ["wave", "qtensor", "heat", "poisson2d"])
def test_torch_agrees(torch_rivals, name, derivatives, workload):
    assert agrees(torch_rivals, tiny(name), derivatives, workload)


@pytest.mark.parametrize("workload", ["unweighted_step", "sample", "traces", "ntk", "product"])
def test_a_rival_of_another_equation_is_refused(torch_rivals, workload):
    """Planted: the wave speed off by 1e-9."""
    case = tiny()
    call = torch_rivals.workloads(replace(case, problem=rn.problems.get("wave", c=2 * (1 + 1e-9))))[workload]()
    with pytest.raises(InvalidInput, match="off by"):
        bench.check({(workload, "torch"): call}, {workload: bench.WORKLOADS[workload](case)()})


@pytest.mark.parametrize("rivals", ["jax_rivals", "torch_rivals"])
def test_rivals_refuse_what_they_are_not_written_for(rivals, request):
    case = tiny()
    sine = replace(case, network=rn.MLP(case.network.sizes, activation="sin"))
    with pytest.raises(ValueError, match="tanh"):
        request.getfixturevalue(rivals).workloads(sine)["unweighted_step"]()


# The whole


@pytest.fixture
def quick(monkeypatch):
    """`run.py` without processes of its own and with two sizes an axis."""
    import growth
    import run

    monkeypatch.setattr(bench, "fresh", lambda function, *arguments: function(*arguments))
    axes = {axis: dict(list(sizes.items())[:2]) for axis, sizes in growth.AXES.items()}
    monkeypatch.setattr(growth, "AXES", axes)
    return run


def test_everything_is_measured_written_and_drawn(quick, tmp_path, capsys):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    import figures

    quick.main(["--quick", "--only", "heat", "growth", "--rivals", "torch", "--out", str(tmp_path)])
    assert "weighted step / unweighted step" in capsys.readouterr().out
    found = json.loads((tmp_path / "heat.json").read_text())
    timed = {(row["workload"], row["candidate"]) for row in found["measurements"]}
    assert timed >= {(w, e) for w in bench.WORKLOADS for e in quick.ENGINES} | {("ntk", "torch func"), ("gemms", "bare")}
    assert {row["candidate"] for row in found["memory"]} == {*quick.ENGINES, "torch func"}
    assert max(row["disagreement"] for row in found["agreement"]) < 1e-10
    assert found["gpu"] == "not measured" or found["gpu"]["measurements"]
    assert figures.main(["--results", str(tmp_path), "--out", str(tmp_path)]) == ["growth", "memory", "times"]
    assert (
        {path.stem for path in tmp_path.glob("*.png")}
        == {path.stem for path in tmp_path.glob("*.svg")}
        == {"growth", "memory", "times"}
    )


def test_who_needs_too_much_memory_is_left_out(quick, monkeypatch):
    """Planted: the kernel of one engine is killed."""

    def fresh(function, workload, candidate, case):
        if (workload, candidate) == ("ntk", "numba"):
            raise BrokenProcessPool("planted")
        return 1

    monkeypatch.setattr(bench, "fresh", fresh)
    found = quick.side_by_side(tiny(), [], FAST)
    assert [row["candidate"] for row in found["memory"] if "left_out" in row] == ["numba"]
    assert [row["candidate"] for row in found["measurements"] if row["workload"] == "ntk"] == ["reference"]


def test_a_gpu_that_is_there_is_measured(quick, monkeypatch):
    """Planted: a CuPy whose arrays are NumPy's."""
    runtime = SimpleNamespace(
        getDeviceCount=lambda: 1, deviceSynchronize=lambda: None, getDeviceProperties=lambda i: {"name": b"planted"}
    )
    other = type("ndarray", (), {})
    fake = SimpleNamespace(asarray=np.asarray, cuda=SimpleNamespace(runtime=runtime), ndarray=other, generic=other)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    case = tiny()
    references = {workload: prepare(case)() for workload, prepare in bench.WORKLOADS.items()}
    found = quick.gpu(case, [], references, FAST)
    assert found["device"] == "planted"
    count = len(bench.WORKLOADS)
    assert [row["candidate"] for row in found["measurements"]] == ["bare", *["cupy"] * count, *["cupy float32"] * count]
    assert {row["candidate"] for row in found["agreement"] if row["disagreement"] > 1e-10} == {"cupy float32"}


def test_no_gpu_is_said(quick, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert quick.gpu(tiny(), [], {}, FAST) == "not measured"


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_slopes_are_exponents(exponent):
    import growth

    x = [150.0, 300.0, 600.0, 1200.0]
    assert growth.power(x, [3e-4 * v**exponent for v in x]) == pytest.approx({"all": exponent, "last": exponent}, rel=1e-12)


def test_a_fixed_cost_shows_in_the_slope():
    import growth

    found = growth.power([1.0, 2.0, 4.0, 8.0], [2.0, 3.0, 5.0, 9.0])  # 1 + x
    assert found["all"] < found["last"] < 1


def test_memory_that_was_not_seen_has_no_slope():
    import growth

    assert growth.power([1.0, 2.0], [0, 4096]) is None


def test_ratios_name_what_they_divide(quick):
    timed = {
        ("gemms", "bare"): 9.0,  # of another rotation: not what a step is held against
        ("unweighted_step", "numba"): 1.5,
        ("weighted_step", "numba"): 1.5,
        ("unweighted_step", "jax nested"): 4.0,
        ("unweighted_step", "jax jet"): 3.0,
        ("ntk", "numba"): 2.0,
        ("ntk", "jax nested"): 80.0,
    }
    rows = [
        {"workload": w, "candidate": c, "min": s / 2, "median": s, "over_gemms": {"min": s, "median": s}}
        for (w, c), s in timed.items()
    ]
    memory = [
        {"workload": "ntk", "candidate": "numba", "bytes": 5},
        {"workload": "ntk", "candidate": "jax nested", "bytes": 100},
    ]
    found = quick.ratios({"measurements": rows, "memory": memory})
    assert {name: values.get("median", values.get("bytes")) for name, values in found.items()} == {
        "weighted step / unweighted step": 1.0,
        "weighted step / unweighted step of JAX": 0.5,  # the faster of the two
        "unweighted step / bare matrix products": 1.5,
        "K of JAX / K": 40.0,
        "memory of K / memory of K in JAX": 0.05,
    }
