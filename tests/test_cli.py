"""The command line, through `main` in this process and, where pipes and encodings matter, through another."""

import inspect
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import refntk as rn
from refntk import cli, training
from refntk.cli import main
from refntk.training import History
from refntk.training.deviation import median_deviation
from refntk.training.weightings import WEIGHTINGS

OPTIONS = {name: p for name, p in inspect.signature(training.train).parameters.items() if p.kind is p.KEYWORD_ONLY}
TINY = [f"--count={name}=3" for name in ("interior", "initial", "velocity", "boundary")] + ["--width=4", "--depth=1", "--quiet"]


def tiny(out: Path, *more: str, steps: int = 6) -> list[str]:
    """A wave run that takes milliseconds, with its figures more."""
    return ["train", "wave", *TINY, f"--steps={steps}", "--record=2", f"--out={out}", *more]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """No figures, where they are not what is tested."""
    monkeypatch.setattr(sys.modules["refntk.cli.train"], "_plots", lambda: None)


def same(a: History, b: History) -> bool:
    """Whether two histories agree to the last bit in everything but the time they took."""
    x, y = a.arrays(), b.arrays()
    return x.keys() == y.keys() and all(np.array_equal(x[name], y[name], equal_nan=True) for name in x if name != "seconds")


# What can be trained


def test_the_table_has_every_problem_with_every_term(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["problems"]) == 0
    out = capsys.readouterr().out
    problems = [rn.problems.get(name) for name in rn.problems.names()]
    wanted = [text for p in problems for text in (p.name, p.title, ", ".join(p.source), *(f"{t.name} {t.count}" for t in p.terms))]
    assert [text for text in wanted if text not in out] == []


@pytest.mark.parametrize("name", rn.problems.names())
def test_details_tell_terms_parameters_and_whether_errors_are_measured(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["problems", name]) == 0
    out, problem = capsys.readouterr().out, rn.problems.get(name)
    wanted = [problem.title, *(t.name for t in problem.terms), *(f"{key} = {value}" for key, value in problem.parameters().items())]
    assert [text for text in wanted if text not in out] == []
    known = problem.solution(problem.domain.sample(1, rng=np.random.default_rng(0))) is not None
    assert ("errors are measured" in out) == known


def test_a_problem_found_later_is_in_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Later(type(rn.problems.get("wave"))):
        name, title = "later", "u_tt = later"

    get = rn.problems.get
    monkeypatch.setattr(rn.problems, "names", lambda: ["wave", "later"])
    monkeypatch.setattr(rn.problems, "get", lambda name: Later() if name == "later" else get(name))
    assert main(["problems"]) == 0
    assert "u_tt = later" in capsys.readouterr().out


# Options on their way to `train`


@pytest.fixture
def handed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, undrawn: None) -> Callable[..., dict[str, Any]]:
    """What `train` is called with for a command line; it does not run."""
    seen: dict[str, Any] = {}

    def record(problem: Any, network: Any, theta: Any, **options: Any) -> History:
        seen.update(options, problem=problem, network=network, theta=theta)
        raise OSError("seen enough")

    monkeypatch.setattr(training, "train", record)

    def call(*arguments: str) -> dict[str, Any]:
        out = [] if any(a.startswith("--out") for a in arguments) else [f"--out={tmp_path}"]
        assert main(["train", *arguments, *out]) == 1
        return seen

    return call


def test_what_is_not_said_is_left_to_train(handed: Callable[..., dict[str, Any]]) -> None:
    found = handed("wave")
    own = {"problem", "network", "theta", "steps", "weighting", "rng", "progress", "checkpoint", "resume"}
    assert found.keys() == own
    assert found["network"].sizes == (2, 100, 100, 100, 1)
    assert found["network"].shift == rn.problems.get("wave").normalization["shift"]


PASSED = {
    "steps": ("--steps=7", 7),
    "optimizer": ("--optimizer=gd", "gd"),
    "options": ("--option=tol=1e-9", {"tol": 1e-9}),
    "lr": ("--lr=0.5", 0.5),
    "decay": ("--decay=0.5,10", (0.5, 10)),
    "weighting": ("--weighting=spaced", "spaced"),
    "every": ("--every=3", 3),
    "alpha": ("--alpha=0.25", 0.25),
    "samples": ("--samples=2", 2),
    "dt": ("--dt=1e-3", 1e-3),
    "probe": ("--probe=normal", "normal"),
    "balance": ("--no-balance", False),
    "h": ("--h=2.5", 2.5),
    "weights": ("--weight=boundary=3", {"boundary": 3.0}),
    "resample": ("--no-resample", False),
    "counts": ("--count=interior=30x10", {"interior": (30, 10)}),
    "scaling": ("--scaling=mean", "mean"),
    "rng": ("--seed=3", 3),
    "engine": ("--engine=numba", "numba"),
    "record": ("--record=5", 5),
    "eigenvalues": ("--eigenvalues", True),
    "progress": ("--quiet", False),
    "checkpoint": ("--out={}", Path("checkpoint.npz")),
    "checkpoint_every": ("--checkpoint-every=4", 4),
    "resume": ("--resume", True),
}


def test_every_option_of_train_can_be_given() -> None:
    assert OPTIONS.keys() - PASSED.keys() == {"points", "quadrature"}  # arrays have no place on a command line


@pytest.mark.parametrize("name", PASSED)
def test_an_option_arrives(name: str, handed: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    flag, want = PASSED[name]
    without = dict(handed("wave", f"--out={tmp_path / 'other'}"))
    found = handed("wave", flag.format(tmp_path))[name]
    assert found == (tmp_path / want if isinstance(want, Path) else want)
    assert found != without.get(name, OPTIONS[name].default)


@pytest.mark.parametrize(("name", "flag"), [("decay", "--decay=none"), ("dt", "--dt=none")])
def test_none_can_be_said(name: str, flag: str, handed: Callable[..., dict[str, Any]]) -> None:
    assert handed("wave", flag)[name] is None


def test_network_and_problem_are_those_asked_for(handed: Callable[..., dict[str, Any]]) -> None:
    found = handed(
        "sine_gordon", "--set=data=breather", "--set=frequency=0.5", "--width=7", "--depth=2", "--activation=sin", "--init=ntk"
    )
    assert found["problem"].parameters() == rn.problems.get("sine_gordon", data="breather", frequency=0.5).parameters()
    assert found["network"].sizes == (2, 7, 7, 1)
    assert found["network"].activation.name == "sin"
    assert np.array_equal(found["theta"], found["network"].init(rng=17, scheme="ntk"))


def test_the_folder_is_named_by_the_problem(
    handed: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["refntk", "train", "heat"])
    assert main() == 1
    assert (tmp_path / "refntk-heat").is_dir()


def test_help_teaches_every_weighting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    out = capsys.readouterr().out
    lessons = [(inspect.getdoc(kind) or "").splitlines()[0] for kind in WEIGHTINGS.values()]
    assert [lesson for lesson in lessons if lesson not in out] == []
    assert "refntk train wave" in out


def test_help_tells_every_number_that_is_taken_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    numbers = {name: p.default for name, p in OPTIONS.items() if type(p.default) in (int, float) and name != "rng"}
    told = {name: re.search(rf"--{name.replace('_', '-')} [XN] [^-]*?\(default: (\S+)\)", out) for name in numbers}
    assert {name: match and float(match[1]) for name, match in told.items()} == numbers


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"refntk {version('refntk')}\n"


# A run and what is left of it


def test_a_run_is_train_with_the_same_options(tmp_path: Path, undrawn: None) -> None:
    assert main(tiny(tmp_path)) == 0
    found = History.load(tmp_path / "history.npz")
    problem = rn.problems.get("wave")
    network = rn.MLP([2, 4, 1], **problem.normalization)
    counts = {term.name: 3 for term in problem.terms}
    want = training.train(problem, network, network.init(rng=17), steps=6, record=2, counts=counts, weighting="sketched", rng=17)
    assert same(found, want)
    assert not same(found, replace(want, theta=want.theta * (1 + 1e-15)))


def test_another_seed_is_another_run(tmp_path: Path, undrawn: None) -> None:
    assert main(tiny(tmp_path / "a")) == main(tiny(tmp_path / "b", "--seed=18")) == 0
    assert not same(*(History.load(tmp_path / name / "history.npz") for name in "ab"))


def test_files_figures_and_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = tiny(tmp_path)
    assert main(command) == 0
    figures = {f"{name}.{kind}" for name in ("losses", "weights", "field") for kind in ("png", "svg")}
    assert {path.name for path in tmp_path.iterdir()} == figures | {"history.npz", "summary.json", "checkpoint.npz"}
    history, summary = History.load(tmp_path / "history.npz"), json.loads((tmp_path / "summary.json").read_text())
    assert summary["config"] == history.config
    assert summary["error"] == history.errors[-1]
    assert summary["median_deviation"] == median_deviation(history)
    assert shlex.split(summary["command"]) == ["refntk", *command]
    out = capsys.readouterr().out
    said = [f"{100 * value:.2g} %" for value in summary["median_deviation"].values()]
    said += [f"{weight:.3g}" for weight in summary["weights"].values()] + [f"relative L2 error: {summary['error']:.3g}"]
    said += [*figures, "history.npz", "rows scaled: sum", "6 of 6 steps", summary["command"]]
    assert [text for text in said if text not in out] == []


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_every_weighting_runs(weighting: str, tmp_path: Path, undrawn: None) -> None:
    assert main(tiny(tmp_path, f"--weighting={weighting}")) == 0
    assert History.load(tmp_path / "history.npz").config["weighting"] == weighting


def test_a_problem_without_network_solution_or_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["train", "quadratic", "--steps=3", "--lr=1e-4", "--optimizer=gd", "--quiet", f"--out={tmp_path}"]
    assert main(arguments) == 0
    assert not (tmp_path / "field.png").exists()
    assert json.loads((tmp_path / "summary.json").read_text())["error"] is None
    assert "no solution is known" in capsys.readouterr().out


def test_a_live_line_unless_quiet(tmp_path: Path, undrawn: None, capsys: pytest.CaptureFixture[str]) -> None:
    loud = [word for word in tiny(tmp_path) if word != "--quiet"]
    assert main(loud) == 0
    assert "6/6" in capsys.readouterr().err
    assert main([*loud, "--force", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_without_matplotlib_the_numbers_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "refntk.plots", raising=False)
    monkeypatch.delattr(rn, "plots", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(tiny(tmp_path)) == 0
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz", ".json"}
    assert "pip install 'refntk[plot]'" in capsys.readouterr().err


# Runs that stand in the way, stop, and go on


def test_a_run_is_not_overwritten_by_oversight(tmp_path: Path, undrawn: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tiny(tmp_path)) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(tiny(tmp_path, "--seed=18")) == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert "--force" in capsys.readouterr().err


def test_an_unfinished_run_is_not_overwritten_either(tmp_path: Path, undrawn: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tiny(tmp_path)) == 0
    (tmp_path / "history.npz").unlink()
    assert main(tiny(tmp_path)) == 2
    assert "unfinished" in capsys.readouterr().err


def test_force_replaces(tmp_path: Path, undrawn: None) -> None:
    assert main(tiny(tmp_path)) == 0
    assert main(tiny(tmp_path, "--seed=18", "--force")) == 0
    assert History.load(tmp_path / "history.npz").config["seed"] == 18


@pytest.mark.parametrize("wrong", ["--lr=0", "--weight=nowhere=2", "--optimizer=damped --option=damping=-1"])
def test_force_with_a_wrong_option_loses_nothing(tmp_path: Path, undrawn: None, wrong: str) -> None:
    assert main(tiny(tmp_path)) == 0
    before = (tmp_path / "checkpoint.npz").read_bytes()
    assert main(tiny(tmp_path, "--seed=18", "--force", *wrong.split())) == 2
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    assert main(tiny(tmp_path, "--seed=18", "--force")) == 0
    assert (tmp_path / "checkpoint.npz").read_bytes() != before
    assert not (tmp_path / "replaced.npz").exists()


def test_resume_needs_its_checkpoint(tmp_path: Path, undrawn: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tiny(tmp_path)) == 0
    (tmp_path / "checkpoint.npz").unlink()
    assert main(tiny(tmp_path, "--resume")) == 2
    assert "checkpoint is missing" in capsys.readouterr().err


def test_resume_goes_on_to_the_same_history(tmp_path: Path, undrawn: None) -> None:
    assert main(tiny(tmp_path / "whole", steps=8)) == 0
    assert main(tiny(tmp_path / "parts", "--resume", steps=3)) == 0  # nothing stands there: the beginning
    first = History.load(tmp_path / "parts" / "history.npz")
    assert main(tiny(tmp_path / "parts", "--resume", steps=8)) == 0
    whole, parts = (History.load(tmp_path / name / "history.npz") for name in ("whole", "parts"))
    assert same(whole, parts)
    assert not same(whole, first)


def test_resume_with_another_option_is_refused(tmp_path: Path, undrawn: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tiny(tmp_path)) == 0
    assert main(tiny(tmp_path, "--resume", "--alpha=0.5", steps=8)) == 2
    assert "alpha" in capsys.readouterr().err


def interrupt_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the points of a step are drawn."""
    kind, numbers = type(rn.problems.get("wave")), count()
    sample = kind.sample

    def stopped(self: Any, **options: Any) -> Any:
        if next(numbers) == steps:
            raise KeyboardInterrupt
        return sample(self, **options)

    monkeypatch.setattr(kind, "sample", stopped)


def test_ctrl_c_keeps_what_was_done_and_the_run_goes_on(
    tmp_path: Path, undrawn: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(tiny(tmp_path / "whole", steps=8)) == 0
    with monkeypatch.context() as patch:
        interrupt_after(5, patch)
        assert main(tiny(tmp_path / "parts", steps=8)) == 130
    stopped = History.load(tmp_path / "parts" / "history.npz")
    assert stopped.config["interrupted"]
    assert 0 < stopped.config["completed"] < 8
    go_on = capsys.readouterr().out.strip().splitlines()[-1]
    assert go_on.endswith("--resume")
    assert main(shlex.split(go_on.partition("refntk ")[2])) == 0
    whole, parts = (History.load(tmp_path / name / "history.npz") for name in ("whole", "parts"))
    assert same(whole, parts)
    assert not same(whole, stopped)


def test_ctrl_c_before_anything_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object, **__: object) -> Iterator[None]:
        raise KeyboardInterrupt

    monkeypatch.setattr(rn.problems, "get", stop)
    assert main(tiny(tmp_path)) == 130
    assert capsys.readouterr().err == "refntk: stopped\n"


# Errors


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "required"),
        (["trian", "wave"], "trian"),
        (["problems", "wavee"], "did you mean 'wave'"),
        (["train"], "PROBLEM"),
        (["train", "wavee"], "did you mean 'wave'"),
        (["train", "wave", "--width=0"], "sizes"),
        (["train", "wave", "--depth=0"], "depth"),
        (["train", "quadratic", "--depth=2"], "has no network"),
        (["train", "wave", "--activation=tahn"], "did you mean 'tanh'"),
        (["train", "wave", "--init=xaver"], "did you mean 'xavier'"),
        (["train", "wave", "--steps=0"], "steps"),
        (["train", "wave", "--steps=some"], "--steps"),
        (["train", "wave", "--wei=trace"], "--wei"),  # no abbreviations, which another option would change
        (["train", "wave", "--weighting=tracee"], "did you mean 'trace'"),
        (["train", "wave", "--weight=boundary=1"], "weighting"),
        (["train", "wave", "--weight=boundry=1", "--weighting=fixed"], "did you mean 'boundary'"),
        (["train", "wave", "--weight=boundary=one", "--weighting=fixed"], "boundary=one"),
        (["train", "wave", "--lr=-1"], "lr"),
        (["train", "wave", "--decay=0.9"], "--decay: invalid decay value"),
        (["train", "wave", "--set=c"], "real number"),
        (["train", "wave", "--set==3"], "--set"),
        (["train", "wave", "--set=c=fast"], "real number"),
        (["train", "wave", "--set=speed=2"], "speed"),
        (["train", "wave", "--set=name=2"], "name"),
        (["train", "wave", "--count=interior=many"], "--count: invalid pair value"),
        (["train", "wave", "--count=inside=3"], "inside"),
        (["train", "wave", "--resume", "--force"], "--force"),
        (["train", "wave", "--seed=-1"], "rng"),
    ],
)
def test_what_cannot_be_used_is_named_without_a_traceback(
    arguments: list[str], word: str, tmp_path: Path, undrawn: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = [f"--out={tmp_path / 'out'}"] if arguments[:1] == ["train"] else []
    assert main([*arguments, *out]) == 2
    told = capsys.readouterr()
    assert word in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_a_folder_that_is_a_file(tmp_path: Path, undrawn: None, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(tiny(tmp_path / "file")) == 2
    assert "--out" in capsys.readouterr().err
    assert (tmp_path / "file").read_text() == "mine"


def test_divergence_keeps_what_was_recorded(tmp_path: Path, undrawn: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(tiny(tmp_path, "--optimizer=gd", "--lr=1e200", "--weighting=fixed")) == 2
    assert "lower lr" in capsys.readouterr().err
    assert History.load(tmp_path / "history.npz").steps[0] == 0


def test_a_failing_disk_is_no_usage_error(
    tmp_path: Path, undrawn: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: History, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(History, "save", full)
    assert main(tiny(tmp_path)) == 1
    assert "No space left" in capsys.readouterr().err


def test_a_mistake_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, undrawn: None) -> None:
    def broken(*_: object, **__: object) -> History:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(training, "train", broken)
    with pytest.raises(RuntimeError, match="a mistake of ours"):
        main(tiny(tmp_path))


def test_the_package_runs_as_a_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["refntk", "problems", "wavee"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("refntk", run_name="__main__")
    assert stop.value.code == cli.USAGE
    assert "did you mean 'wave'" in capsys.readouterr().err


# In a process of its own

TABLE = [sys.executable, "-m", "refntk", "problems"]


def test_a_reader_that_leaves_early() -> None:
    with subprocess.Popen(TABLE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
    assert process.returncode == cli.OTHER
    assert told == b""


def test_a_terminal_without_greek() -> None:
    plain = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    found = subprocess.run(TABLE, env=plain, capture_output=True, timeout=60, check=True)
    assert b"poisson1d" in found.stdout
    assert found.stdout.isascii()
