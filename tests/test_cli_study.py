"""`refntk study` conducts, goes on, shows and exports; what it says, writes and returns is what happened."""

import json
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_report import BROWSER, Page, seen

import refntk as rn
from refntk import cli, studies
from refntk.cli import main
from refntk.cli.conclusion import command
from refntk.studies.figure import BAND, POINTS, Curves, Figure, Image, Series, Slope
from refntk.studies.study import Claim, Study

HOSTILE = "<script>alert(1)</script> & `'\" 100% {x}"


@dataclass(frozen=True)
class Config:
    sizes: tuple[int, ...] = (4, 16, 64)
    repeats: int = 3
    factor: float = 1.0
    word: str = HOSTILE


class Means(Study[Config]):
    """Does the mean of n
    signs fall as `1/√n`? 100% <b>&</b>

    By drawing signs.
    """

    name = "means"
    source = "the law of large numbers & " + HOSTILE
    scales: Mapping[str, Config] = {"smoke": Config(), "desk": Config(repeats=9)}
    broken: tuple[int, ...] = ()
    stopped_at: int | None = None

    def cells(self, config):
        return [{"n": n, "i": i, "word": config.word} for n in config.sizes for i in range(config.repeats)]

    def measure(self, config, cell, *, key):
        if cell["n"] == self.stopped_at:
            raise KeyboardInterrupt
        if cell["n"] in self.broken:
            raise ZeroDivisionError(f"planted at {cell['n']}")
        signs = np.random.default_rng(key).choice([-1.0, 1.0], cell["n"])
        return {"square": np.array(config.factor * np.mean(signs) ** 2), "signs": signs[:4]}

    def claims(self, outcome):
        scaled = float(np.mean(outcome.arrays["square"] * outcome.column("n")))
        return [
            Claim("n times the mean square", "1", scaled, 0.3 < scaled < 3, (0.3, 3.0)),
            Claim(HOSTILE, HOSTILE, 1.0, True),
        ]

    def figures(self, outcome):
        n = np.array(outcome.config.sizes)
        squares = np.stack([outcome.arrays["square"][outcome.where(n=k)] for k in n])
        middle, low, high = squares.mean(1), squares.min(1), squares.max(1)
        points = Series("mean", n, middle, POINTS, low, high)
        return [
            Figure(
                "squares",
                "They fall. " + HOSTILE,
                [
                    Curves("mean square", "n (signs)", "square (dimensionless)", [points], [Slope(-1, (4.0, 1.0))], "xy"),
                    Curves("range", "n (signs)", "square (dimensionless)", [Series("range", n, middle, BAND, low, high)]),
                ],
            ),
            Figure("all", "All of them.", [Image("squares", squares, x="repeat", y="size", z="square (dimensionless)")]),
        ]


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> type[Means]:
    """The only study there is; its class may be changed until the test ends."""
    for name in ("broken", "stopped_at"):
        monkeypatch.setattr(Means, name, getattr(Means, name))
    found = Means()
    monkeypatch.setattr(studies, "names", lambda: ["means"])
    monkeypatch.setattr(studies, "get", {"means": found}.__getitem__)
    return Means


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["refntk.cli.study"], "_plots", lambda: None)


def smoke(out: Path, *more: str) -> int:
    return main(["study", "means", "--scale=smoke", "--quiet", f"--out={out}", *more])


FIGURES = ["all.png", "squares.png"]
TOLD = ["report.html", "figures/squares.png", "figures/all.png"]
FILES = ["cells", "claims.json", "environment.json", "figures", "report.html", "result.npz", "study.json"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# A study from beginning to end


def test_a_study_leaves_numbers_figures_and_a_report(
    means: type[Means], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == FIGURES
    out, err = capsys.readouterr()
    assert err == ""
    wanted = ("Does the mean of n signs fall", "n times the mean square", "[0.3, 3]", "2 of 2 claims hold")
    assert [text for text in wanted if text not in out] == []
    assert told(out) == ["result.npz", "claims.json", "environment.json", *TOLD]
    conducted = json.loads((tmp_path / "environment.json").read_text())["conducted"]
    assert conducted["cells"] == len(conducted["processor seconds of each cell"]) == 9


def told(out: str) -> list[str]:
    """The files that a study says it has written."""
    return re.search(r"^written to [^:]*: (.*)$", out, re.MULTILINE)[1].split(", ")


def test_what_is_told_is_what_is_written(means: type[Means], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smoke(tmp_path)
    before = contents(tmp_path)
    for name in ("report.html", "figures/all.png"):
        (tmp_path / name).unlink()
    capsys.readouterr()
    assert smoke(tmp_path) == 0
    assert told(capsys.readouterr().out) == ["result.npz", "claims.json", *TOLD]
    assert contents(tmp_path) == before
    assert main(["study", "show", str(tmp_path)]) == 0
    assert told(capsys.readouterr().out) == TOLD
    assert contents(tmp_path) == before


def test_figures_for_print(means: type[Means], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke(tmp_path, "--figures=svg") == 0
    assert main(["study", "show", str(tmp_path), "--figures=pdf"]) == 0
    assert [path.name for path in sorted((tmp_path / "figures").iterdir())] == ["all.pdf", "squares.pdf"]
    assert "figures/all.svg" in told(capsys.readouterr().out)


def test_claims_of_another_version_are_told(
    means: type[Means], undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke(tmp_path)
    before = (tmp_path / "claims.json").read_bytes()
    main(["study", "show", str(tmp_path)])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(Means, "claims", lambda self, outcome: [Claim("another", "1", 1.0, True)])
    main(["study", "show", str(tmp_path)])
    assert "this version's differ" in capsys.readouterr().err
    assert (tmp_path / "claims.json").read_bytes() == before


def test_the_report_tells_all_of_it_to_the_letter(means: type[Means], tmp_path: Path) -> None:
    smoke(tmp_path, "--seed=3")
    page = Page.of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.faults == []
    assert [name for name, _ in page.images] == ["squares", "all"]
    assert [image.startswith(b"<?xml") and b"<svg" in image for _, image in page.images] == [True, True]
    told = "\n".join(page.texts)
    environment = json.loads((tmp_path / "environment.json").read_text())
    wanted = [HOSTILE, Means.source, "They fall. " + HOSTILE, "n times the mean square", "[0.3, 3]", "4,16,64", "By drawing signs."]
    wanted += ["refntk study means --scale smoke --seed 3", environment["processor"], "2 of 2 claims hold."]
    assert [text for text in wanted if text not in told] == []


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed to look at pages with")
@pytest.mark.parametrize("width", [360, 1200])
def test_a_browser_shows_the_report(width: int, means: type[Means], tmp_path: Path) -> None:
    smoke(tmp_path / "out")
    found = seen((tmp_path / "out" / "report.html").read_text(encoding="utf-8"), tmp_path, width=width)
    assert (found["images"], found["overflow"], found["cells"], found["scripts"]) == ([True, True], False, True, 0)


def test_the_same_command_again_computes_nothing_and_writes_the_same(means: type[Means], tmp_path: Path) -> None:
    smoke(tmp_path)
    before = contents(tmp_path)
    means.broken = (4, 16, 64)
    assert smoke(tmp_path, "--resume") == 0
    assert contents(tmp_path) == before


def test_fresh_computes_all_and_removes_figures_that_are_no_more(means: type[Means], tmp_path: Path) -> None:
    smoke(tmp_path)
    (tmp_path / "figures" / "old.svg").write_text("of another version")
    before = contents(tmp_path)
    assert smoke(tmp_path, "--fresh", "--seed=18") == 0
    after = contents(tmp_path)
    assert before.keys() - after.keys() >= {"figures/old.svg"}
    assert before["result.npz"] != after["result.npz"]
    means.broken = (4,)
    assert smoke(tmp_path, "--fresh", "--seed=18") == 1


@pytest.mark.parametrize("more", [["--seed=18"], ["--set=factor=2"]])
def test_a_folder_of_another_study_is_left_alone(
    more: list[str], means: type[Means], undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smoke(tmp_path)
    before = contents(tmp_path)
    assert smoke(tmp_path, *more) == cli.USAGE
    assert contents(tmp_path) == before
    assert "fresh" in capsys.readouterr().err


def test_resume_insists_on_something_to_resume(means: type[Means], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke(tmp_path / "new", "--resume") == cli.USAGE
    assert "leave --resume out" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert smoke(tmp_path / "new", "--resume", "--fresh") == cli.USAGE


def test_the_folder_is_named_by_study_and_scale(
    means: type[Means], undrawn: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", "means", "--quiet"]) == 0
    assert (tmp_path / "refntk-means-desk" / "result.npz").exists()


def test_the_command_told_repeats_the_study(
    means: type[Means], undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smoke(tmp_path / "a b", "--set=sizes=4,8", "--set=factor=0.5", "--seed=5", "--set=word=it's $1")
    before = contents(tmp_path / "a b")
    words = shlex.split(re.search(r"^repeat with: refntk (.*)$", capsys.readouterr().out, re.MULTILINE)[1])
    assert "sizes=4,8" in words
    assert main([*words, "--quiet"]) in (0, 3)
    after = contents(tmp_path / "a b")
    assert {name for name in before if before[name] != after[name]} <= {"environment.json", "report.html"}


@pytest.mark.parametrize("name", studies.names())
def test_the_command_of_every_study_gives_its_configuration(name: str) -> None:
    study = studies.get(name)
    wrong = [
        scale
        for scale, config in study.scales.items()
        for other in study.scales
        if study.configure(other, pairs(study, other, config)) != config
    ]
    assert wrong == []


def pairs(study: Study[Any], scale: str, config: Any) -> dict[str, str]:
    """The values of --set that make this configuration of a scale."""
    words = command(study, {"scale": scale, "seed": 1, "config": studies.study.plain(config)})
    return dict(word.split("=", 1) for word in words if "=" in word)


# Options on their way


@pytest.fixture
def handed(means: type[Means], undrawn: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def call(*arguments: str) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def record(study: Study[Any], out: Path, **options: Any) -> None:
            seen.update(options, study=study.name, out=out)
            raise OSError("seen enough")

        monkeypatch.setattr(sys.modules["refntk.cli.study"], "conduct", record)
        assert main(["study", "means", f"--out={tmp_path}", *arguments]) == cli.OTHER
        return seen

    return call


PASSED = {
    "scale": ("--scale=smoke", "smoke"),
    "seed": ("--seed=3", 3),
    "workers": ("--workers=2", 2),
    "executor": ("--executor=tcp://h:1", "tcp://h:1"),
    "fresh": ("--fresh", True),
    "progress": ("--quiet", False),
    "changes": ("--set=factor=2=3", {"factor": "2=3"}),
}


@pytest.mark.parametrize("name", PASSED)
def test_an_option_arrives(name: str, handed: Callable[..., dict[str, Any]]) -> None:
    flag, want = PASSED[name]
    assert handed()[name] != want
    assert handed(flag)[name] == want


def test_a_live_line_unless_quiet(means: type[Means], undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "means", "--scale=smoke", f"--out={tmp_path}"]) == 0
    assert "9/9" in capsys.readouterr().err


# What goes wrong


def test_a_claim_that_fails_is_told_and_seen_in_the_exit_code(
    means: type[Means], undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke(tmp_path, "--set=factor=100") == cli.REFUTED
    out = capsys.readouterr().out
    assert "1 of 2 claims hold" in out
    assert "FAILS" in out
    assert '<span class="bad">✗&nbsp;FAILS</span>' in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert main(["study", "show", str(tmp_path)]) == cli.REFUTED


def test_cells_that_fail_are_told_and_the_others_kept(
    means: type[Means], undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    means.broken = (4, 64)
    assert smoke(tmp_path) == cli.OTHER
    err = capsys.readouterr().err
    assert "6 cells failed" in err
    assert err.count("Traceback") == 1
    assert ("2 more: ZeroDivisionError: planted at 4" in err, "3 more: ZeroDivisionError: planted at 64" in err) == (True, True)
    assert len(list((tmp_path / "cells").iterdir())) == 3
    means.broken = (16,)
    assert smoke(tmp_path) == 0


def test_stopped_by_the_keyboard(means: type[Means], undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    means.stopped_at = 16
    assert smoke(tmp_path) == cli.INTERRUPTED
    assert "kept" in capsys.readouterr().err
    assert len(list((tmp_path / "cells").iterdir())) == 3
    means.stopped_at, means.broken = None, (4,)
    assert smoke(tmp_path, "--resume") == 0


def test_a_damaged_cell_is_told_and_computed_again(
    means: type[Means], undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    smoke(tmp_path)
    before = contents(tmp_path)
    cell = next((tmp_path / "cells").iterdir())
    cell.write_bytes(cell.read_bytes()[:-9])
    assert smoke(tmp_path) == 0
    assert "1 damaged" in capsys.readouterr().err
    after = contents(tmp_path)
    assert {name for name in before if before[name] != after[name]} <= {"environment.json", "report.html"}
    conducted = json.loads(after["environment.json"])["conducted"]
    assert conducted["cells"] == 1
    assert sorted(seconds is None for seconds in conducted["processor seconds of each cell"]) == [False] + 8 * [True]


WRONG = {
    "scale": ["means", "--scale=dsk"],
    "study": ["meens"],
    "set": ["means", "--set=fator=2"],
    "value": ["means", "--set=repeats=two"],
    "pair": ["means", "--set=repeats"],
    "workers": ["means", "--workers=0"],
    "executor": ["means", "--executor=http://h"],
    "nothing": [],
    "folder": ["show", "nowhere"],
    "export": ["export", "nowhere", "file.nc"],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_told(
    name: str,
    means: type[Means],
    undrawn: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", *WRONG[name]]) == cli.USAGE
    assert "refntk" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_numbers_are_kept_and_reported(
    means: type[Means], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "refntk.plots", raising=False)
    monkeypatch.delattr(rn, "plots", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert smoke(tmp_path) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [name for name in FILES if name != "figures"]
    assert "pip install 'refntk[plot]'" in capsys.readouterr().err
    assert "matplotlib is not installed" in (tmp_path / "report.html").read_text(encoding="utf-8")


# Help, list, show, export


def test_help_tells_every_study_and_what_it_asks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "--help"]) == 0
    shown = "".join(capsys.readouterr().out.split())
    asked = [cli.conclusion.question(studies.get(name)) for name in studies.names()]
    assert [text for text in [*studies.names(), *asked] if "".join(text.split()) not in shown] == []


def test_help_of_a_study_tells_its_configuration(means: type[Means], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "means", "--help"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^configuration +smoke +desk$", out, re.MULTILINE)
    assert re.search(r"^repeats +3 +9$", out, re.MULTILINE)
    assert re.search(r"^cells +9 +27$", out, re.MULTILINE)
    assert "By drawing signs." in out


def test_the_list_has_every_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["study", "list"]) == 0
    out = capsys.readouterr().out
    found = [studies.get(name) for name in studies.names()]
    assert [text for study in found for text in (study.name, cli.conclusion.question(study), study.source) if text not in out] == []


def test_what_is_shown_is_what_was_told(means: type[Means], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smoke(tmp_path)
    first, before = capsys.readouterr().out, contents(tmp_path)
    means.broken = (4, 16, 64)
    assert main(["study", "show", str(tmp_path)]) == 0
    assert capsys.readouterr().out == first.replace("result.npz, claims.json, environment.json, ", "")
    assert contents(tmp_path) == before


def test_an_unfinished_study_is_not_shown(
    means: type[Means], undrawn: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    means.broken = (4,)
    smoke(tmp_path)
    assert main(["study", "show", str(tmp_path)]) == cli.USAGE
    assert "go on with it" in capsys.readouterr().err


def test_export_gives_the_numbers_with_coordinates_and_attributes(means: type[Means], undrawn: None, tmp_path: Path) -> None:
    xarray = pytest.importorskip("xarray", reason="the extra netcdf is not installed")
    pytest.importorskip("netCDF4", reason="the extra netcdf is not installed")
    smoke(tmp_path / "out")
    assert main(["study", "export", str(tmp_path / "out"), str(tmp_path / "result.nc")]) == 0
    outcome = studies.conduct(Means(), tmp_path / "out", scale="smoke").outcome
    with xarray.open_dataset(tmp_path / "result.nc") as found:
        assert {name: found[name].dims for name in found.data_vars} == {"square": ("cell",), "signs": ("cell", "signs_axis1")}
        assert all(np.array_equal(found[name], array) for name, array in outcome.arrays.items())
        assert found["n"].values.tolist() == outcome.column("n").tolist()
        assert set(found["word"].values) == {HOSTILE}
        assert json.loads(found.attrs["config"])["sizes"] == [4, 16, 64]
        assert (found.attrs["study"], found.attrs["seed"]) == ("means", 17)
        assert found.attrs["claims"].startswith("holds: n times the mean square")
        square = found["square"].set_index(cell=["n", "i"]).unstack()
    assert square.sel(n=16, i=2) == outcome.arrays["square"][5]


@pytest.mark.parametrize("name", ["xarray", "netCDF4"])
def test_export_without_the_extra_names_it(
    name: str,
    means: type[Means],
    undrawn: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("xarray", reason="the extra netcdf is not installed")
    smoke(tmp_path / "out")
    monkeypatch.setitem(sys.modules, name, None)
    assert main(["study", "export", str(tmp_path / "out"), str(tmp_path / "result.nc")]) == cli.OTHER
    assert "pip install 'refntk[netcdf]'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
