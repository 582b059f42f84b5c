"""A jet through one activation, in numba: kernels written from the table, one fused loop for each pass.

The same table that the reference loops over is spelled out here as source, term by term, and compiled: every channel of a point is
read once, all products stay in registers, every result is written once. Kernels are made when first asked for and kept on disk by
numba (in `REFNTK_CACHE`, or the user's cache folder). The transcendental functions stay with NumPy, whose tanh and exp are
vectorised where numba's are not; they see only the value channel.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from ..arrays import Array, Namespace
from ..calculus.activation import Activation
from ..calculus.jet import Table, Term
from .buffers import empty

Kernel = Callable[..., None]


def activate(table: Table, activation: Activation, z: Array, *, xp: Namespace) -> tuple[Array, Any]:
    """Twin of `calculus.passes.activate`."""
    generators = IN_PLACE.get(activation.name, activation.generators)(z[0], xp=np)
    out = empty((len(table.rows), *z.shape[1:]), z.dtype)
    forward_kernel(table, activation)(z, *generators, out)
    return out, (activation, generators, z)


@njit(nogil=True, cache=True, error_model="numpy")
def _slope(e: Any) -> None:
    for i in range(e.shape[0]):
        for u in range(e.shape[1]):
            e[i, u] = 4 * e[i, u] / ((1 + e[i, u]) * (1 + e[i, u]))


def _tanh(x: Array, *, xp: Namespace) -> tuple[Array, ...]:
    """The generators of tanh as in `calculus.activation`, without temporaries."""
    s, d = np.tanh(x, out=empty(x.shape, x.dtype)), np.abs(x, out=empty(x.shape, x.dtype))
    d *= -2
    np.exp(d, out=d)
    _slope(d)
    return s, d


IN_PLACE = {"tanh": _tanh}  # activations worth a version of their own


def activate_tangent(table: Table, saved: Any, dz: Array, *, xp: Namespace) -> Array:
    """Twin of `calculus.passes.activate_tangent`."""
    return _linear(tangent_kernel(table, saved[0]), len(table.rows), saved, dz)


def activate_adjoint(table: Table, saved: Any, da: Array, *, xp: Namespace) -> Array:
    """Twin of `calculus.passes.activate_adjoint`."""
    return _linear(adjoint_kernel(table, saved[0]), table.inputs, saved, da)


def _linear(kernel: Kernel, channels: int, saved: Any, other: Array) -> Array:
    _, generators, z = saved
    batched = other if other.ndim == 4 else other[:, None]
    out = empty((channels, *batched.shape[1:]), z.dtype)
    kernel(z, *generators, np.ascontiguousarray(batched), out)
    return out if other.ndim == 4 else out[:, 0]


@cache
def forward_kernel(table: Table, activation: Activation) -> Kernel:
    """`out[c] = Σ terms`, arguments (z, *generators, out)."""
    rows = [(c, " + ".join(_term(t) for t in row)) for c, row in enumerate(table.rows)]
    return _compile(_source(activation, [t for row in table.rows for t in row], table.inputs, rows, other=None))


@cache
def tangent_kernel(table: Table, activation: Activation) -> Kernel:
    """`out[c] = Σ_g (∂a_c/∂z_g) other[g]`, arguments (z, *generators, other, out)."""
    return _compile(_linear_source(table, activation, [(c, g, terms) for (c, g), terms in table.jacobian.items()], len(table.rows)))


@cache
def adjoint_kernel(table: Table, activation: Activation) -> Kernel:
    """`out[g] = Σ_c (∂a_c/∂z_g) other[c]`, arguments (z, *generators, other, out)."""
    return _compile(_linear_source(table, activation, [(g, c, terms) for (c, g), terms in table.jacobian.items()], table.inputs))


def _linear_source(table: Table, activation: Activation, entries: list[tuple[int, int, tuple[Term, ...]]], targets: int) -> str:
    rows = []
    for target in range(targets):
        parts = [f"({' + '.join(_term(t) for t in terms)}) * o{source}" for c, source, terms in entries if c == target]
        rows.append((target, " + ".join(parts) or "0.0"))
    terms = [t for _, _, terms in entries for t in terms]
    return _source(activation, terms, table.inputs, rows, other=sorted({source for _, source, _ in entries}))


def _term(term: Term) -> str:
    """One term of the table: `coefficient * s<order> * z<factor> * ...`."""
    return " * ".join([*_number(term.coefficient), f"s{term.order}", *(f"z{f}" for f in term.factors)])


def _number(coefficient: Any) -> list[str]:
    """A coefficient as a factor, unless it is 1; exact, because repr of a float is."""
    return [] if coefficient == 1 else [f"({float(coefficient)!r})"]


def _sigma(activation: Activation, order: int) -> str:
    """σ^(order) in the generators g0, g1, …"""
    terms = [
        " * ".join([*_number(c), *(f"g{i}" for i, power in enumerate(e) for _ in range(power))]) or "1.0"
        for e, c in activation.derivative(order).terms
    ]
    return " + ".join(terms) or "0.0"


def _source(
    activation: Activation, terms: Iterable[Term], channels: int, rows: list[tuple[int, str]], *, other: list[int] | None
) -> str:
    """The kernel: loops over points, batch and width, loads, derivatives of σ, rows, stores."""
    used = list(terms)
    generators = [f"G{i}" for i in range(len(activation.rules))]
    factors = sorted({f for t in used for f in t.factors})
    batch = "s, " if other is not None else ""
    lines = [
        f"def kernel({', '.join(['z', *generators, *(['other'] if other is not None else []), 'out'])}):",
        "    for i in range(z.shape[1]):",
        "        for s in range(out.shape[1]):" if other is not None else "        if True:",
        "            for u in range(z.shape[2]):",
    ]
    body = [f"g{i} = {name}[i, u]" for i, name in enumerate(generators)]
    body += [f"z{f} = z[{f}, i, u]" for f in factors]
    body += [f"o{c} = other[{c}, s, i, u]" for c in other or []]
    body += [f"s{k} = {_sigma(activation, k)}" for k in sorted({t.order for t in used})]
    body += [f"out[{c}, {batch}i, u] = {expression}" for c, expression in rows]
    return "\n".join(lines + [" " * 16 + line for line in body]) + "\n"


@cache
def _compile(source: str) -> Kernel:
    """The source as a compiled function that releases the GIL. It stands in a file of its own so that numba can keep it."""
    path = _folder() / f"kernel_{hashlib.sha256(source.encode()).hexdigest()[:32]}.py"
    kept = True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != source:
            scratch = path.with_suffix(f".{os.getpid()}")
            scratch.write_text(source)
            os.replace(scratch, path)
    except OSError:
        kept = False  # nowhere to keep it: compiled anew in every process
    scope: dict[str, Any] = {"__name__": __name__}  # numba imports a kept kernel's module by this name
    exec(compile(source, str(path), "exec"), scope)  # the source is the table's, spelled out above
    return njit(nogil=True, cache=kept, error_model="numpy", fastmath={"contract"})(scope["kernel"])


def _folder() -> Path:
    chosen = os.environ.get("REFNTK_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "refntk"
