"""Vectors as bytes, the same for the same cases: JSON with hexadecimal floats, large tensors beside it, a manifest of digests.

A tensor of more than 64 entries lies in a safetensors file under the name of its place, `wave-023/given/theta`; of what is wanted,
`mid`, `lower`, `upper` and `scale` lie each for itself, so that nobody must put bounds together. Those are 3 % of the tensors, and
were 43 % of all text; what stays, up to an 8 × 8 kernel, can be read by eye, and 129 of the 467 cases need no other file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import safetensors
from ..calculus.network import MLP
from ..problems.base import Problem, Term
from .case import ACCEPTABLE, FLAGS, Case, Operators
from .truth import derivatives

VERSION = "2"
FORMAT, MANIFEST_FORMAT = "refntk-vectors-2", "refntk-vectors-manifest-2"
MOST_IN_JSON = 64  # entries of a tensor
PARTS = ("mid", "lower", "upper", "scale")  # of what is wanted


def hexadecimal(value: float) -> str:
    """A float exactly and shortly.

    >>> hexadecimal(0.5), hexadecimal(0.1), float.fromhex(hexadecimal(0.1))
    ('0x1p-1', '0x1.999999999999ap-4', 0.1)
    """
    mantissa, _, exponent = float(value).hex().partition("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}p{exponent}"


def encode(name: str, cases: Iterable[Case]) -> dict[str, bytes]:
    """The two files of the problem `name`, {its name: its bytes}: JSON, and beside it what is large."""
    cases = list(cases)
    aside: dict[str, np.ndarray] = {}
    groups = [
        {"parameters": _parameters(of[0].problem), **describe_problem(of[0].problem), "tests": [_test(case, aside) for case in of]}
        for of in _grouped(cases)
    ]
    used = {flag for case in cases for flag in case.flags}
    notes = {
        flag: {"bug": bug, "effect": effect, "acceptable": flag in ACCEPTABLE}
        for flag, (bug, effect) in FLAGS.items()
        if flag in used
    }
    document = {
        "schema": FORMAT,
        "version": VERSION,
        "problem": name,
        "numberOfTests": len(cases),
        "notes": notes,
        "groups": groups,
    }
    return {f"{name}.json": _text(document), f"{name}.safetensors": safetensors.encode(aside)}


def _grouped(cases: Sequence[Case]) -> list[list[Case]]:
    """Cases of one problem with the same parameters, together, in the order of their first."""
    groups: dict[str, list[Case]] = {}
    for case in cases:
        groups.setdefault(json.dumps([_parameters(case.problem), describe_problem(case.problem)]), []).append(case)
    return list(groups.values())


def _parameters(problem: Problem) -> dict[str, Any]:
    if isinstance(problem, Operators):
        return {}
    return {name: value if isinstance(value, str) else hexadecimal(value) for name, value in problem.parameters().items()}


def describe_problem(problem: Problem) -> dict[str, Any]:
    """Coordinates and terms of a problem, as a file names them."""
    return {"coordinates": list(problem.coordinates), "terms": [_term(term) for term in problem.terms]}


def _term(term: Term) -> dict[str, Any]:
    operators = [
        [{"exponents": list(exponents), "coefficient": hexadecimal(c)} for exponents, c in operator.terms]
        for operator in term.operators
    ]
    found = [list(exponents) for exponents in derivatives(term)]
    return {"name": term.name, "components": term.components, "operators": operators, "derivatives": found}


def _test(case: Case, aside: dict[str, np.ndarray]) -> dict[str, Any]:
    def tensor(array: np.ndarray, *place: str) -> dict[str, Any]:
        return _tensor({"value": array}, "/".join((case.name, "given", *place)), aside)

    given: dict[str, Any] = {"scaling": case.scaling, "network": describe_network(case.network)}
    given |= {"theta": tensor(case.theta, "theta"), "points": {name: tensor(x, "points", name) for name, x in case.points.items()}}
    if case.quadrature is not None:
        given["quadrature"] = {name: tensor(w, "quadrature", name) for name, w in case.quadrature.items()}
    given |= {"loss_weights": tensor(case.loss_weights, "loss_weights"), "probes": tensor(case.probes, "probes")}
    given |= {"dt": hexadecimal(case.dt), "alpha": hexadecimal(case.alpha)}
    want = {
        name: _tensor({part: getattr(want, part) for part in PARTS}, f"{case.name}/want/{name}", aside)
        for name, want in case.want.items()
    }
    about = {"id": case.name, "comment": case.comment, "flags": list(case.flags)}
    return {**about, "given": given, "want": want, "refused": list(case.refused)}


def describe_network(network: MLP | None) -> dict[str, Any] | None:
    """Sizes, activation and factors of a network, as a file names them."""
    if network is None:
        return None
    return {
        "sizes": list(network.sizes),
        "activation": network.activation.name,
        "parametrization": network.parametrization,
        "output_scale": hexadecimal(network.output_scale),
        "factors": [hexadecimal(s) for s in network.scales],
        "shift": [hexadecimal(x) for x in network.shift],
        "scale": [hexadecimal(x) for x in network.scale],
    }


def _tensor(parts: Mapping[str, np.ndarray], name: str, aside: dict[str, np.ndarray]) -> dict[str, Any]:
    """Arrays of one shape as numbers or, where they are large, as the name under which they are put `aside`."""
    shape = next(iter(parts.values())).shape
    if math.prod(shape) <= MOST_IN_JSON:
        return {"shape": list(shape), **{part: [hexadecimal(x) for x in array.ravel().tolist()] for part, array in parts.items()}}
    aside |= {stored(name, part): array for part, array in parts.items()}
    return {"shape": list(shape), "safetensors": name}


def stored(name: str, part: str) -> str:
    """The name under which a part of a tensor lies in the file beside.

    >>> stored("wave-023/given/theta", "value"), stored("wave-023/want/ntk", "mid")
    ('wave-023/given/theta', 'wave-023/want/ntk/mid')
    """
    return name if part == "value" else f"{name}/{part}"


def _layout(value: Any, indent: str = "") -> str:
    """JSON with a line for every array of numbers."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(name)}: {_layout(item, inner)}" for name, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(inner + _layout(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def manifest(files: Mapping[str, bytes]) -> bytes:
    """The manifest of files `{name: bytes}`: size and digest of each."""
    entries = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()}
    return _text({"schema": MANIFEST_FORMAT, "version": VERSION, "files": entries})


def _text(document: Mapping[str, Any]) -> bytes:
    return (_layout(document) + "\n").encode()
