"""The README tells the truth: its Python runs, its commands parse, its map is the house, and CI runs its test command."""

import __future__

import doctest
import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import refntk as rn
from refntk import cli

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def fenced(language: str, text: str = TEXT) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


BLOCKS = fenced("python")
ADDITIONS = {match[1]: block for block in BLOCKS if (match := re.match(r"# (refntk/\S+\.py)\n", block))}
COMMANDS = [line for block in fenced("console") for line in block.splitlines()]


# Python


def doctested(text: str) -> doctest.TestResults:
    test = doctest.DocTestParser().get_doctest(text, {}, "README.md", "README.md", 0)
    return doctest.DocTestRunner(verbose=False).run(test, out=lambda _: None)


def test_every_block_is_an_example_or_an_addition() -> None:
    assert [block for block in BLOCKS if not block.startswith(">>>") and block not in ADDITIONS.values()] == []


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.startswith(">>>")])
def test_examples_give_what_they_say(block: str) -> None:
    failed, attempted = doctested(block)
    assert attempted > 0
    assert failed == 0


def test_an_example_with_another_answer_is_seen() -> None:
    assert doctested(next(block for block in BLOCKS if ">>>" in block).replace("(120, 501)", "(120, 502)")).failed == 1


def added(file: str) -> ModuleType:
    """A copy of the module named by the first line of an addition, after its code has run in it."""
    name = file.removesuffix(".py").replace("/", ".")
    original = importlib.import_module(name)
    copy = ModuleType(name)
    vars(copy).update(vars(original))
    flags = __future__.annotations.compiler_flag
    exec(compile(ADDITIONS[file], "README.md", "exec", flags=flags, dont_inherit=True), vars(copy))
    return copy


def test_there_is_an_addition_of_every_kind() -> None:
    assert [Path(file).parent.name + "/" + Path(file).stem for file in ADDITIONS] == [
        "problems/beam",
        "calculus/activation",
        "weights/rules",
        "training/weightings",
        "studies/coin",
    ]


ASK_BEAM = """
import json, sys
import numpy as np
import refntk as rn
rn.problems.__path__.append(sys.argv[1])
beam, network = rn.problems.get("beam", load=2.0), rn.MLP([1, 6, 1])
theta, points = network.init(rng=17), beam.sample(rng=17, counts={"interior": 5})
direction, h = np.random.default_rng(17).standard_normal(network.size), 1e-5
found = rn.linearize(beam, network, theta, points).jacobian @ direction
ends = (rn.linearize(beam, network, theta + sign * h * direction, points).residual for sign in (1, -1))
x = np.linspace(0.0, 1.0, 5)
u = np.polynomial.Polynomial.fit(x, beam.solution(x[:, None], xp=np)[:, 0], 4)
print(json.dumps({
    "names": rn.problems.names(),
    "derivative": float(np.abs(found - np.subtract(*ends) / (2 * h)).max() / np.abs(found).max()),
    "equation": u.deriv(4)(0.3),
    "ends": [u(0.0), u(1.0), u.deriv()(0.0), u.deriv()(1.0)],
}))
"""


def test_a_new_file_is_a_new_problem(tmp_path: Path) -> None:
    (tmp_path / "beam.py").write_text(ADDITIONS["refntk/problems/beam.py"], encoding="utf-8")
    run = subprocess.run([sys.executable, "-c", ASK_BEAM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    assert found["names"] == [*rn.problems.names(), "beam"]
    assert found["derivative"] < 1e-8
    assert found["equation"] == pytest.approx(48.0, rel=1e-10)
    assert found["ends"] == pytest.approx([0.0] * 4, abs=1e-12)


def test_the_new_activation_has_all_derivatives(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = importlib.import_module("refntk.calculus.activation").ACTIVATIONS
    before = dict(registry)
    try:
        added("refntk/calculus/activation.py")
        x = np.linspace(-2.0, 2.0, 7)
        g = np.exp(-x * x / 2)
        found = np.stack(rn.MLP([1, 1, 1], activation="gaussian").activation.derivatives(x, 3, xp=np))
    finally:
        registry.clear()
        registry.update(before)
    np.testing.assert_allclose(found, np.stack([g, -x * g, (x * x - 1) * g, (3 * x - x**3) * g]), atol=1e-14)


def test_the_new_rule_gives_weights() -> None:
    before = dict(rn.weights.RULES)
    try:
        added("refntk/weights/rules.py")
        blocks = {"interior": slice(0, 2), "boundary": slice(2, 3)}
        found = rn.weights.RULES["largest_eigenvalue"](np.diag([1.0, 3.0, 1.0]), np.ones(3), blocks)
    finally:
        rn.weights.RULES.clear()
        rn.weights.RULES.update(before)
    assert found == pytest.approx({"interior": 4 / 3, "boundary": 4.0})


def test_the_new_weighting_trains() -> None:
    registry = importlib.import_module("refntk.training.weightings").WEIGHTINGS
    before = dict(registry)
    problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 4, 1])
    try:
        added("refntk/training/weightings.py")
        history = rn.train(problem, network, network.init(rng=17), steps=2, record=1, weighting="inverse")
    finally:
        registry.clear()
        registry.update(before)
    assert history.loss == pytest.approx([1.0, 1.0, 1.0])  # ½ Σ_k ‖r_k‖²/‖r_k‖² over two terms


ASK_COIN = """
import sys
from refntk import studies
studies.__path__.append(sys.argv[1])
came = studies.conduct(studies.get("coin"), sys.argv[2], scale="smoke")
assert len(came.study.figures(came.outcome)) == 1
print(studies.names().index("coin") >= 0, came.claims[0].holds, len(came.outcome.cells))
"""


def test_a_new_file_is_a_new_study(tmp_path: Path) -> None:
    (tmp_path / "coin.py").write_text(ADDITIONS["refntk/studies/coin.py"], encoding="utf-8")
    command = [sys.executable, "-c", ASK_COIN, str(tmp_path), str(tmp_path / "out")]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["True", "True", "8"]


# Commands


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("refntk ")])
def test_commands_parse(line: str) -> None:
    _, *arguments = shlex.split(line)
    assert cli.parser().parse_args(arguments).run


def test_the_first_two_commands_install_and_do_the_work() -> None:
    assert COMMANDS[:2] == ['pip install ".[plot]" && refntk train wave', 'pip install ".[test]" && python -m pytest -n 2']


def test_ci_takes_its_test_command_from_here() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"grep -x '([^']+)' README.md", script)
    assert re.findall(rf"^{pattern}$", TEXT, flags=re.MULTILINE) == [COMMANDS[1]]
    assert "-m pytest -n" not in script.replace(pattern, "")  # and has none of its own


# The map


def mapped(text: str) -> set[str]:
    """The paths of the tree in the README."""
    (tree,) = [block for block in fenced("text", text) if block.startswith("refntk/\n")]
    found, folder = set(), ""
    for line in tree.splitlines()[1:]:
        name = line.split()[0]
        nested = line.startswith("    ")
        folder = folder if nested else (name if name.endswith("/") else "")
        found.add(f"refntk/{folder}{name}" if nested else f"refntk/{name}")
    return found


def rooms() -> set[str]:
    """The rooms of the package, and the files of those rooms of which the map shows any."""
    package = ROOT / "refntk"
    files = {f"refntk/{path.name}" for path in package.glob("*.py") if not path.name.startswith("_")}
    folders = {f"refntk/{path.parent.name}/" for path in package.glob("*/__init__.py")}
    shown = {Path(path).parent.name for path in mapped(TEXT) if path.count("/") == 2 and path.endswith(".py")}
    inside = {f"refntk/{room}/{path.name}" for room in shown for path in (package / room).glob("[!_]*.py")}
    return files | folders | inside


def test_the_map_is_the_house() -> None:
    assert mapped(TEXT) == rooms()


@pytest.mark.parametrize(("old", "new"), [("  plots/ ", "  poems/ "), ("    ntk.py ", "    nkt.py ")])
def test_a_wrong_map_is_seen(old: str, new: str) -> None:
    assert mapped(TEXT.replace(old, new)) != rooms()
