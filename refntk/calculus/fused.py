"""A jet through one activation on a graphics card: each pass one elementwise kernel, written from the table (twins of `passes`).

What the reference lines do in dozens of kernels, each reading and writing whole arrays, is done here in one: a thread reads all
channels of one neuron at one point, keeps products in registers and writes every channel once. The generators of the activation are
computed in there too, from the value channel, which is all that the other two passes need to be given: nothing else is kept. They
are written by running the reference lines of `activation` on symbols, so that every activation, a user's own too, has a kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from ..arrays import Array, Maker, Namespace
from ..errors import InvalidInput
from . import expression
from .activation import Activation
from .expression import Pass, number
from .jet import Table

FUNCTIONS = {"abs": "fabs"} | {  # of the array API, by their names in C
    name: name for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")
}


def activate(table: Table, activation: Activation, z: Array, make: Maker, *, xp: Namespace) -> tuple[Array, Any]:
    """Twin of `passes.activate`."""
    saved = (activation, z)
    return _apply(expression.forward(table), saved, None, make, xp=xp), saved


def activate_tangent(table: Table, saved: Any, dz: Array, make: Maker, *, xp: Namespace) -> Array:
    """Twin of `passes.activate_tangent`."""
    return _apply(expression.tangent(table), saved, dz, make, xp=xp)


def activate_adjoint(table: Table, saved: Any, da: Array, make: Maker, *, xp: Namespace) -> Array:
    """Twin of `passes.activate_adjoint`."""
    return _apply(expression.adjoint(table), saved, da, make, xp=xp)


def _apply(what: Pass, saved: Any, other: Any, make: Maker, *, xp: Namespace) -> Array:
    """The planes of z, broadcast along a batch, and of `other` through the kernel, into the planes of the result."""
    activation, z = saved
    out = xp.empty((len(what.rows), *(z if other is None else other).shape[1:]), dtype=z.dtype)
    kernel(what, activation, make)(
        *(z[f, ...] for f in _planes(what)), *(other[c, ...] for c in what.sources), *(out[c, ...] for c in range(len(what.rows)))
    )
    return out


def _planes(what: Pass) -> list[int]:
    """The channels of z that are read; the first always is, by the generators."""
    return sorted({0, *what.factors})


@cache
def kernel(what: Pass, activation: Activation, make: Maker) -> Callable[..., Any]:
    """The kernel of a pass, to be called with the planes it reads and those it writes."""
    inputs = [*(f"T z{f}" for f in _planes(what)), *(f"T o{c}" for c in what.sources)]
    outputs = [f"T a{c}" for c, _ in enumerate(what.rows)]
    rows = [f"r{c} = {row}" for c, row in enumerate(what.rows)]  # all is read before the first is written: planes might overlap
    lines = [*generators(activation), *expression.derivatives(activation, what.orders), *rows]
    body = [*(f"const T {line};" for line in lines), *(f"a{c} = r{c};" for c, _ in enumerate(what.rows))]
    return make(", ".join(inputs), ", ".join(outputs), "\n".join(body), "refntk_pass")


def generators(activation: Activation) -> list[str]:
    """The assignments of `g<i>` from `z0`, one operation a line. Raises `InvalidInput` for a function that is not in `FUNCTIONS`.

    >>> from .activation import get
    >>> generators(get("sin"))
    ['t0 = sin(z0)', 't1 = cos(z0)', 'g0 = t0', 'g1 = t1']
    """
    lines: list[str] = []
    found = activation.generators(_Symbol("z0", lines), xp=_Functions(activation.name))
    return [*lines, *(f"g{i} = {symbol.name}" for i, symbol in enumerate(found))]


class _Symbol:
    """A number to come: what is done to it is written down in `lines`."""

    def __init__(self, name: str, lines: list[str]):
        self.name, self.lines = name, lines

    def then(self, text: str) -> _Symbol:
        """The symbol of a new line."""
        self.lines.append(f"t{len(self.lines)} = {text}")
        return _Symbol(f"t{len(self.lines) - 1}", self.lines)

    def __neg__(self) -> _Symbol:
        return self.then(f"-{self.name}")

    def __add__(self, other: Any) -> _Symbol:
        return self.then(f"{self.name} + {_operand(other)}")

    def __sub__(self, other: Any) -> _Symbol:
        return self.then(f"{self.name} - {_operand(other)}")

    def __mul__(self, other: Any) -> _Symbol:
        return self.then(f"{self.name} * {_operand(other)}")

    def __truediv__(self, other: Any) -> _Symbol:
        return self.then(f"{self.name} / {_operand(other)}")

    def __rsub__(self, other: Any) -> _Symbol:
        return self.then(f"{_operand(other)} - {self.name}")

    def __rtruediv__(self, other: Any) -> _Symbol:
        return self.then(f"{_operand(other)} / {self.name}")

    __radd__, __rmul__ = __add__, __mul__


def _operand(value: Any) -> str:
    return value.name if isinstance(value, _Symbol) else number(value)


class _Functions:
    """The namespace of symbols."""

    def __init__(self, activation: str):
        self.activation = activation

    def __getattr__(self, name: str) -> Callable[[_Symbol], _Symbol]:
        if name not in FUNCTIONS:
            raise InvalidInput("activation", f"{self.activation!r}, which asks for {name!r}", f"write it with {sorted(FUNCTIONS)}")
        return lambda symbol: symbol.then(f"{FUNCTIONS[name]}({symbol.name})")
