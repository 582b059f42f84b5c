"""`refntk check` judges, tells, writes and returns what happened."""

import json
import sys

import pytest

from refntk.cli import main


@pytest.mark.parametrize("engine", ["numba", "reference"])
def test_our_own_engines_pass(engine, capsys):
    assert main(["check", "--problem", "poisson1d", "--engine", engine]) == 0
    out = capsys.readouterr().out
    assert f"refntk, engine {engine}: right in 32 checks" in out


def test_reports_are_written(tmp_path, capsys):
    arguments = [
        "check",
        "--problem",
        "quadratic",
        "--engine",
        "reference",
        "--json",
        f"{tmp_path}/a.json",
        "--html",
        f"{tmp_path}/a.html",
    ]
    assert main(arguments) == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["passed"]
    assert {check["verdict"] for check in found["checks"]} == {"pass", "not offered"}
    assert "refntk check refntk, engine reference" in (tmp_path / "a.html").read_text()
    assert "right in" in capsys.readouterr().out


def test_a_program_is_started_without_a_shell(capsys):
    assert main(["check", "--problem", "quadratic", "--", sys.executable, "-c", "raise SystemExit(7)", "; echo $HOME"]) == 3
    assert "exit status 7" in capsys.readouterr().out


def test_questions_come_back_as_answers(tmp_path, capsys):
    asked = tmp_path / "asked.jsonl"
    assert main(["check", "--problem", "quadratic", "--questions", str(asked)]) == 0
    ids = [json.loads(line)["id"] for line in asked.read_text().splitlines()]
    (tmp_path / "mine.jsonl").write_text("\n".join(json.dumps({"id": i, "results": {"traces": [1.0]}}) for i in ids))
    assert main(["check", "--problem", "quadratic", str(tmp_path / "mine.jsonl")]) == 3
    assert "WRONG in 1 of 1 checks" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["nowhere_to_be_found:x"], ["no/such/folder"], ["--problem", "waves"], ["--limit", "0"], ["a", "b"], ["--", "/no/such"]],
)
def test_what_cannot_be_used_is_said(arguments, capsys):
    assert main(["check", *arguments]) == 2
    assert "refntk: " in capsys.readouterr().err


def test_nothing_offered_is_not_right(tmp_path, capsys):
    (tmp_path / "mine.jsonl").write_text('{"id": "other", "results": {}}')
    assert main(["check", "--problem", "quadratic", str(tmp_path)]) == 3
    assert "nothing to judge" in capsys.readouterr().out
