"""The audit of public implementations, as far as it goes without them: networks that they trained, results, and the exchange."""

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import refntk as rn
from refntk.conformance import Process, examine
from refntk.conformance.parameters import load_parameters, theta_from
from refntk.errors import InvalidInput, ShapeError
from refntk.vectors import read, truth
from refntk.vectors.case import Case

FOLDER = Path(__file__).parent.parent / "validation" / "audit"
SIZES = [2, 20, 20, 1]
DOUBLE, SINGLE = 2.0**-48, 2.0**-20  # of the scale: 32 units of double precision, 16 of single


def module(name):
    """A module of the folder, whose names are those of other folders too."""
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location(f"audit_{name}", FOLDER / f"{name}.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    sys.path.remove(str(FOLDER))
    return found


# Networks that others trained

LIBRARIES = ("deepxde", "pina")
INPUTS = {"deepxde": [0, 1], "pina": [1, 0]}  # where x and t are: PINA's solvers hand the coordinates on by alphabet, t before x


@cache
def trained(library):
    """What the library kept, and refntk's numbers at its parameters."""
    kept = load_parameters(FOLDER / "trained" / f"{library}.npz")
    problem, network = rn.problems.get("heat"), rn.MLP(SIZES)
    points = {term.name: kept[f"points/{term.name}"] for term in problem.terms}
    theta = loaded(kept, library, network)
    n = sum(len(x) for x in points.values())
    case = Case(
        name=library, comment="", flags=(), problem=problem, network=network, theta=theta, points=points, scaling="sum",
        quadrature=None, loss_weights=np.ones(3), probes=np.ones((n, 1)), dt=1e-4, alpha=0.5,
    )  # fmt: skip
    return kept, truth.quantities(case)[0]


def loaded(kept, library, network, layout="out,in", inputs=INPUTS):
    kept = dict(kept)
    first = next(name for name, value in kept.items() if value.shape == (20, 2))
    kept[first] = kept[first][:, inputs[library]]
    points = np.concatenate([kept[f"points/{name}"] for name in ("interior", "initial", "boundary")])
    return theta_from(kept, network, layout=layout, names=library, probe=(points, kept["double/u"]), tolerance=1e-13)


QUANTITIES = {  # of refntk: its jets hold u_t and u_xx as (derivatives, sites, points, outputs), exponents (0, 1) before (2, 0)
    "residual": lambda found: found["residual"],
    "u_t": lambda found: found["jets/interior"][0, 0],
    "u_xx": lambda found: found["jets/interior"][1, 0],
    "ntk": lambda found: found["ntk"],
}


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("precision", "tolerance"), [("double", DOUBLE), ("single", SINGLE)])
def test_a_network_that_another_library_trained(library, quantity, precision, tolerance):
    kept, found = trained(library)
    want, got = kept[f"{precision}/{quantity}"], QUANTITIES[quantity](found)
    scale = np.abs(found["jets/interior"]).max() if quantity == "residual" else np.abs(got).max()  # a residual is a difference
    assert want.shape == got.shape
    assert np.max(np.abs(got - want)) <= tolerance * scale


@pytest.mark.parametrize("library", LIBRARIES)
def test_it_was_trained(library):
    _, found = trained(library)
    assert np.sqrt(np.mean(found["residual"] ** 2)) < 0.2  # at first it is of the size of 1


@pytest.mark.parametrize("library", LIBRARIES)
def test_another_layout_is_refused(library):
    with pytest.raises(ShapeError):
        loaded(trained(library)[0], library, rn.MLP(SIZES), layout="in,out")


def test_the_order_of_the_inputs_is_proved_too():
    with pytest.raises(InvalidInput, match="probe"):
        loaded(trained("pina")[0], "pina", rn.MLP(SIZES), inputs={"pina": [0, 1]})


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_transposed_square_matrix_is_refused(library):
    kept = dict(trained(library)[0])
    (square,) = (name for name, value in kept.items() if value.shape == (20, 20))
    kept[square] = kept[square].T
    with pytest.raises(InvalidInput, match="probe"):
        loaded(kept, library, rn.MLP(SIZES))


# Results


def results():
    return {
        path.stem: json.loads(path.read_text()) for path in sorted((FOLDER / "results").glob("*.json")) if path.stem != "effect"
    }


RAN = {name: document for name, document in results().items() if "candidates" in document}


def test_at_least_five_libraries_were_run():
    assert len(set(RAN) - {"refntk"}) >= 5


@pytest.mark.parametrize("name", sorted(results()))
def test_a_result_says_what_was_installed_when_and_where_or_why_not(name):
    document = results()[name]
    assert {"requirements", "date", "machine", "refntk", "command"} <= set(document)
    assert "versions" in document or document["unavailable"]


def test_the_tables_are_those_of_the_results():
    figures = module("figures")
    assert figures.shown(figures.documents(FOLDER / "results")) in (FOLDER / "README.md").read_text()


# The exchange


@pytest.mark.parametrize(("program", "name"), [("with_refntk", "Numba"), ("with_torch_func", "Contraction")])
def test_a_program_answers_as_an_adapter(program, name):
    cases = [case for case in read(only="heat") if case.comment in ("two neurons", "rows divided by √n")]
    with Process([sys.executable, str(FOLDER / "answer.py"), program, name], limit=100.0) as process:
        examination = examine(process, cases)
    assert examination.passed
    assert {result.check.name for result in examination.results if result.judged} >= {"ntk", "traces", "weights/wang_2022"}


def test_a_library_that_cannot_be_installed_is_recorded(tmp_path, monkeypatch):
    run = module("run")
    library = run.LIBRARIES["deepxde"]
    monkeypatch.setitem(
        run.LIBRARIES, "deepxde", type(library)(library.title, library.requirements, library.module, (), python="2.1")
    )
    arguments = ["--only", "deepxde", "--envs", str(tmp_path), "--out", str(tmp_path)]
    run.main(arguments)
    first = (tmp_path / "deepxde.json").read_text()
    assert json.loads(first)["unavailable"] == "no Python 2.1 on this machine"
    (tmp_path / "deepxde.json").write_text("kept")
    run.main(arguments)  # it is there already
    assert (tmp_path / "deepxde.json").read_text() == "kept"
    run.main([*arguments, "--fresh"])
    assert json.loads((tmp_path / "deepxde.json").read_text())["unavailable"]
