"""Fused passes against the reference lines: kernels evaluated by NumPy, compiled as C++, and on a graphics card if there is one."""

import re
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from cases import NETWORK_PROBLEMS, case
from elementwise import Compiled, Evaluated, compiler, cupy

import refntk as rn
from refntk import arrays
from refntk.calculus import expression, fused, passes
from refntk.calculus import jet as jets
from refntk.calculus.activation import ACTIVATIONS, Activation, get, polynomial
from refntk.calculus.polynomial import symbols
from refntk.errors import InvalidInput

UNITS = {"float64": 2.0**-53, "float32": 2.0**-24}
THRESHOLD = 64

dx, dy = jets.partials(2)
px, py, pz = jets.partials(3)
JETS = {
    "second": jets.jet((jets.partials(1)[0] ** 2,)),
    "value": jets.jet((jets.identity(2),)),
    "wave": jets.jet((dy**2 - 4 * dx**2,)),
    "mixed": jets.jet((dx * dy, dx**2, jets.identity(2))),
    "fourth": jets.jet((dx**2 * dy**2 + dx**4 / 3,)),
    "laplacian": jets.jet((px**2 + py**2 + pz**2, px * py * pz)),
}
TABLES = {f"{name} {which}": getattr(jet, which) for name, jet in JETS.items() for which in ("table", "last")}
PASSES = {"forward": expression.forward, "tangent": expression.tangent, "adjoint": expression.adjoint}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Every kernel of every activation and table, in one library."""
    if compiler() is None:
        pytest.skip("no C++ compiler is found")
    for write, table, activation in product(PASSES.values(), TABLES.values(), ACTIVATIONS.values()):
        fused.kernel(write(table), activation, Compiled)
    Compiled.build(tmp_path_factory.mktemp("kernels"))
    return Compiled


@dataclass(frozen=True)
class Home:
    """Where kernels run: the arrays they take, and who makes them."""

    xp: Any
    make: Any


def device():
    """The graphics card itself, where there is one."""
    xp = cupy()
    return Home(xp, arrays.elementwise(xp))


@pytest.fixture(params=["evaluated", "compiled", "device"])
def home(request):
    if request.param == "compiled":
        return Home(np, request.getfixturevalue("compiled"))
    return Home(np, Evaluated) if request.param == "evaluated" else device()


def every_pass(table, activation, home=None, dtype="float64", batch=2):
    """Forward, tangent and adjoint from the same numbers, which fit into single precision; without a home by reference."""
    xp, rng = home.xp if home else np, np.random.default_rng(1)

    def draw(*shape):
        return xp.asarray(rng.standard_normal(shape).astype(np.float32).astype(dtype))

    middle = () if batch is None else (batch,)
    z, dz, da = draw(table.inputs, 5, 6), draw(table.inputs, *middle, 5, 6), draw(len(table.rows), *middle, 5, 6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "elementwise", lambda xp: home and home.make)
        a, saved = passes.activate(table, activation, z, xp=xp)
        tangent = passes.activate_tangent(table, saved, dz, xp=xp)
        adjoint = passes.activate_adjoint(table, saved, da, xp=xp)
    return {"forward": arrays.to_numpy(a), "tangent": arrays.to_numpy(tangent), "adjoint": arrays.to_numpy(adjoint)}


def worst(got, want, dtype="float64"):
    """The largest error of all channels, in units of rounding at the scale of the channel: its largest entry, at least 1."""

    def largest(channels):
        return np.abs(channels).reshape(len(channels), -1).max(axis=1)

    errors = [largest(got[name] - want[name]) / np.maximum(largest(want[name]), 1.0) for name in want]
    return max(map(np.max, errors)) / UNITS[dtype]


@pytest.mark.parametrize("dtype", UNITS)
@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_fused_passes_are_the_reference_passes(table, activation, dtype, home):
    got, want = every_pass(table, activation, home, dtype), every_pass(table, activation)
    assert {name: (a.shape, a.dtype.name) for name, a in got.items()} == {name: (a.shape, dtype) for name, a in want.items()}
    assert worst(got, want, dtype) < THRESHOLD


def test_without_a_batch(home):
    table, tanh = JETS["wave"].table, get("tanh")
    assert worst(every_pass(table, tanh, home, batch=None), every_pass(table, tanh, batch=None)) < THRESHOLD


def values(home, activation, at, dtype="float64"):
    """σ and σ' at some numbers, (2, len(at))."""
    z = np.ones((3, 1, len(at)), dtype)
    z[0] = at
    a, _ = fused.activate(JETS["second"].table, get(activation), home.xp.asarray(z), home.make, xp=home.xp)
    return arrays.to_numpy(a)[:2, 0]


@pytest.mark.parametrize(("dtype", "at"), [("float64", 300.0), ("float32", 30.0)])
def test_slopes_keep_their_digits_at_saturation(dtype, at, home):
    """σ' = 4e/(1+e)², e = exp(-2|x|), where 1 - tanh² has long been 0."""
    slopes = values(home, "tanh", [at, -at], dtype)[1]
    assert np.max(np.abs(slopes / (4 * np.exp(-2 * at)) - 1)) < 64 * UNITS[dtype]


@pytest.mark.parametrize("activation", ["tanh", "swish", "softplus"])
def test_nothing_is_infinite_far_out(activation, home):
    assert np.isfinite(values(home, activation, [1e4, -1e4])).all()


@pytest.mark.parametrize("name", NETWORK_PROBLEMS)
def test_everything_that_is_made_of_passes(name, monkeypatch):
    """The kernel, its traces, both products and the weights, with all kernels evaluated."""
    c = case(name)

    def quantities():
        lin = c.linearize()
        v, w = np.ones(lin.shape[1]), np.ones(lin.shape[0])
        products = {"tangent": lin.jacobian @ v, "adjoint": lin.jacobian.T @ w}
        return {"residual": lin.residual, "ntk": rn.ntk(lin), "diagonal": rn.ntk_diagonal(lin), **products}

    want = quantities()
    monkeypatch.setattr(arrays, "elementwise", lambda xp: Evaluated)
    got = quantities()
    errors = {k: np.abs(got[k] - want[k]).max() / (UNITS["float64"] * (np.abs(want[k]).max() + 1e-3)) for k in want}
    assert max(errors.values()) < 300, errors  # the threshold of the parity of libraries


def test_one_kernel_a_pass(monkeypatch):
    """A network of two hidden layers: two kernels forward, two back, nothing else; and each is written once."""
    calls = []

    class Counted(Evaluated):
        def __call__(self, *planes):
            calls.append(self)
            super().__call__(*planes)

    monkeypatch.setattr(arrays, "elementwise", lambda xp: Counted)
    c = case("poisson1d")
    for _ in range(2):
        lin = c.linearize()
        lin.vjp(np.ones((lin.shape[0], 1)))
    terms = len(c.problem.terms)
    assert len(calls) == 2 * terms * 4
    assert len(set(calls)) <= len(calls) / 2


# What is written


def test_an_activation_of_ones_own_has_a_kernel():
    """σ = x / √(1 + x²) by x and r = 1/√(1 + x²), with x' = 1 and r' = -x r³."""
    x, r = symbols(2)
    own = Activation("algebraic", lambda x, *, xp: (x, 1 / xp.sqrt(1 + x * x)), (r**0, -x * r**3), x * r)
    table = JETS["wave"].table
    assert worst(every_pass(table, own, Home(np, Evaluated)), every_pass(table, own)) < THRESHOLD


def test_a_function_that_no_kernel_knows_is_named():
    strange = Activation("strange", lambda x, *, xp: (xp.round(x),), (symbols(1)[0],), symbols(1)[0])
    with pytest.raises(InvalidInput, match="'strange', which asks for 'round'"):
        fused.generators(strange)


def untyped(body):
    """The numbers of a body that are not T's."""
    return re.findall(r"\b\d[\w.]*", re.sub(r"T\(-?[\d.e+-]+\)", "", body))


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
@pytest.mark.parametrize("write", PASSES.values(), ids=PASSES)
def test_every_number_is_of_the_type_of_the_arrays(write, activation):
    """Or single precision would be computed in double."""
    assert untyped(fused.kernel(write(JETS["fourth"].table), activation, Evaluated).body) == []


@pytest.mark.parametrize(("body", "found"), [("a0 = 2.0 * z0;", ["2.0"]), ("a1 = T(-1e-05) * z10 + 3;", ["3"])])
def test_an_untyped_number_is_seen(body, found):
    assert untyped(body) == found


# Planted faults

HERE = Home(np, Evaluated)


def test_planted_fault_a_lost_term():
    """The kernel is written from a table without σ'' z_x²."""
    table = JETS["mixed"].table
    rows = tuple(tuple(t for t in row if not (t.order == 2 and t.factors[0] == t.factors[-1])) for row in table.rows)
    got = every_pass(jets.Table(rows, table.inputs), get("tanh"), HERE)
    assert worst(got, every_pass(table, get("tanh"))) > 1e6


def test_planted_fault_an_adjoint_that_is_not_transposed(monkeypatch):
    table = JETS["mixed"].table
    want = every_pass(table, get("tanh"))
    monkeypatch.setattr(expression, "adjoint", expression.tangent)
    assert worst(every_pass(table, get("tanh"), HERE), want) > 1e6


@pytest.mark.parametrize("dtype", UNITS)
def test_planted_fault_numbers_with_half_their_digits(dtype, monkeypatch):
    half = {"float64": np.float32, "float32": np.float16}[dtype]
    decimal = polynomial([0.1, 0.2, 0.3])
    want = every_pass(JETS["second"].table, decimal)
    monkeypatch.setattr(expression, "number", lambda value: f"T({float(half(value))!r})")
    rounded = Home(np, type("Rounded", (Evaluated,), {}))  # a maker of its own, for kernels are kept
    assert worst(every_pass(JETS["second"].table, decimal, rounded, dtype), want, dtype) > THRESHOLD
