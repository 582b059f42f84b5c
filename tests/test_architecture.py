"""The house rules hold, and a breach of each is seen: who imports whom, what `import refntk` loads, names, lengths, docstrings."""

import ast
import importlib
import inspect
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import refntk as rn
from refntk import problems

PACKAGE = Path(rn.__file__).parent
ROOT = PACKAGE.parent
FILES = sorted(PACKAGE.rglob("*.py"))
each_file = pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))

# Contracts


def lint(folder):
    """The verdict of import-linter on the package in `folder`: (passes, report)."""
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.returncode == 0, run.stdout + run.stderr


def test_every_contract_is_kept():
    passes, report = lint(ROOT)
    assert passes, report


BREACHES = {
    "Data flows one way": ("errors.py", "from . import kernel"),
    "Inside the calculus": ("calculus/jet.py", "from . import propagation"),
    "Inside the kernel": ("kernel/gram.py", "from . import ntk"),
    "Figures come from results": ("weights/rules.py", "import matplotlib"),
    "The reference imports nothing it judges": ("kernel/ntk.py", "from .. import fast"),
}


def test_every_contract_has_a_breach():
    names = [line.partition("=")[2].strip() for line in (ROOT / "setup.cfg").read_text().splitlines() if line.startswith("name =")]
    assert [next((b for b in BREACHES if name.startswith(b)), name) for name in names] == list(BREACHES)


@pytest.mark.parametrize("contract", BREACHES)
def test_a_planted_breach_is_seen(contract, tmp_path):
    file, line = BREACHES[contract]
    shutil.copytree(PACKAGE, tmp_path / "refntk", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    broken = tmp_path / "refntk" / file
    broken.write_text(broken.read_text() + f"\n{line}\n")
    passes, report = lint(tmp_path)
    assert not passes
    assert any(row.startswith(contract) and row.endswith("BROKEN") for row in report.splitlines()), report


# Imports, file by file


def imported(source, package):
    """The modules a source imports, absolute, and the names it takes from them: {"refntk.errors", "refntk.errors.ShapeError"}."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def package_of(path):
    return ".".join(path.relative_to(ROOT).parent.parts)


def imports(path):
    return imported(path.read_text(), package_of(path))


def roots(path):
    return {module.partition(".")[0] for module in imports(path)}


@each_file
def test_no_automatic_differentiation(path):
    assert not roots(path) & {"jax", "torch", "autograd", "tensorflow", "casadi", "sympy"}


@each_file
def test_matplotlib_is_imported_in_one_room(path):
    assert path.parent.name == "plots" or "matplotlib" not in roots(path)


def names(source):
    """Every identifier of a source: variables, attributes, functions, imports."""
    nodes = list(ast.walk(ast.parse(source)))
    found = {
        getattr(node, field) for node in nodes for field in ("id", "attr", "name") if isinstance(getattr(node, field, None), str)
    }
    return found | imported(source, "refntk")


@each_file
def test_cupy_is_used_in_one_file(path):
    """Where machines are described it may be listed; what it is asked for, arrays.py asks."""
    assert path == PACKAGE / "arrays.py" or not [name for name in names(path.read_text()) if "cupy" in name.lower()]


@pytest.mark.parametrize("line", ["import cupy", "from cupy import array", "x = cupy.ones(1)", "compat.is_cupy_array(x)"])
def test_a_use_of_cupy_is_seen(line):
    assert [name for name in names(line) if "cupy" in name]


ROOMS_OF_A_PDE = (
    "refntk.problems.base",
    "refntk.problems.domain",
    "refntk.problems.parameter",
    "refntk.calculus.jet",
    "refntk.arrays",
    "refntk.errors",
)
PDES = sorted({type(problems.get(name)).__module__ for name in problems.names()})


def strangers(modules):
    """The imports that a file of a PDE should do without."""
    rooms = (*ROOMS_OF_A_PDE, "numpy", *sys.stdlib_module_names)
    above = {"refntk", "refntk.problems", "refntk.calculus"}  # the packages by whose name a room is reached
    return {m for m in modules if m not in above and not any(m == room or m.startswith(room + ".") for room in rooms)}


@pytest.mark.parametrize("module", PDES)
def test_a_pde_needs_only_what_describes_it(module):
    assert strangers(imports(Path(sys.modules[module].__file__))) == set()


@pytest.mark.parametrize(
    "line", ["from ..kernel.ntk import ntk", "from .. import kernel", "from .wave import Wave", "import scipy"]
)
def test_a_pde_that_needs_more_is_seen(line):
    assert strangers(imported(line, "refntk.problems"))


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("import a.b", {"a.b"}),
        ("from a import b", {"a", "a.b"}),
        ("from . import x", {"refntk.kernel", "refntk.kernel.x"}),
        ("from ..errors import E", {"refntk.errors", "refntk.errors.E"}),
        ("def f():\n    import jax", {"jax"}),
    ],
)
def test_imports_are_read_right(line, want):
    assert imported(line, "refntk.kernel") == want


HEAVY = (
    "scipy",
    "numba",
    "matplotlib",
    "hypothesis",
    "torch",
    "jax",
    "tqdm",
    "cupy",
    "threadpoolctl",
    "flint",
    "dask",
    "mpmath",
    "pandas",
)


def loaded(statement):
    code = f"import sys; {statement}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_importing_refntk_loads_numpy_and_little_else():
    found = loaded("import refntk")
    assert "numpy" in found
    assert not found & set(HEAVY)
    foreign = found - set(sys.stdlib_module_names) - loaded("import numpy")
    assert {m for m in foreign if not m.startswith("_")} <= {"refntk", "array_api_compat"}


def test_a_heavy_import_is_seen():
    assert loaded("import refntk, scipy") & set(HEAVY) == {"scipy"}


# Names, lengths, docstrings


@each_file
def test_rooms_have_names_of_things(path):
    assert not {path.stem, *path.relative_to(PACKAGE).parts} & {
        "utils",
        "util",
        "core",
        "helpers",
        "helper",
        "common",
        "misc",
        "base_utils",
    }


@each_file
def test_rooms_are_short(path):
    assert len(path.read_text().splitlines()) <= 400, "look for the second idea in it"


@each_file
def test_rooms_say_what_they_are(path):
    assert ast.get_docstring(ast.parse(path.read_text()))


def public():
    """Every function and class a user may call: those in `refntk.__all__`, and those of the modules in it."""
    found = {}
    for name in rn.__all__:
        thing = getattr(rn, name)
        if not isinstance(thing, ModuleType):
            found[name] = thing
            continue
        for inner in getattr(thing, "__all__", [n for n in vars(thing) if not n.startswith("_")]):
            value = getattr(thing, inner)
            if (inspect.isfunction(value) or inspect.isclass(value)) and value.__module__.startswith(thing.__name__):
                found[f"{name}.{inner}"] = value
    return found


PUBLIC = public()
FUNCTIONS = [name for name, thing in PUBLIC.items() if inspect.isfunction(thing)]
CHECKS = "check_"  # functions that only raise have nothing to show


def test_public_names_are_there_once():
    assert len(set(rn.__all__)) == len(rn.__all__)
    assert {"MLP", "linearize", "ntk", "ntk_diagonal", "ntk_traces", "problems"} <= set(rn.__all__)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_things_say_what_they_are(name):
    assert inspect.getdoc(PUBLIC[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_public_functions_show_an_example(name):
    """The examples themselves are run as doctests."""
    assert name.rpartition(".")[2].startswith(CHECKS) or ">>>" in inspect.getdoc(PUBLIC[name])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_generators_and_switches_are_keyword_only(name):
    """SPEC 7: `rng` is passed by name. So is everything that is true or false."""
    parameters = inspect.signature(PUBLIC[name]).parameters.values()
    found = [p.name for p in parameters if (p.name == "rng" or isinstance(p.default, bool)) and p.kind is not p.KEYWORD_ONLY]
    assert found == []


def test_version_is_that_of_the_metadata():
    assert rn.__version__ == importlib.metadata.version("refntk")
    with pytest.raises(AttributeError, match="no attribute 'versoin'"):
        _ = rn.versoin
