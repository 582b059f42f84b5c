"""Vectors as text: JSON whose numbers are hexadecimal floats, the same bytes for the same cases, and a manifest of digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..calculus.network import MLP
from ..problems.base import Problem, Term
from .case import ACCEPTABLE, FLAGS, Case, Operators, Want
from .truth import derivatives

VERSION = "1"
FORMAT, MANIFEST_FORMAT = "refntk-vectors-1", "refntk-vectors-manifest-1"


def hexadecimal(value: float) -> str:
    """A float exactly and shortly.

    >>> hexadecimal(0.5), hexadecimal(0.1), float.fromhex(hexadecimal(0.1))
    ('0x1p-1', '0x1.999999999999ap-4', 0.1)
    """
    mantissa, _, exponent = float(value).hex().partition("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}p{exponent}"


def encode(name: str, cases: Iterable[Case]) -> str:
    """The file of the problem `name` as text, the same bytes for the same cases."""
    cases = list(cases)
    groups = [
        {"parameters": _parameters(of[0].problem), **describe_problem(of[0].problem), "tests": [_test(case) for case in of]}
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
    return _layout(document) + "\n"


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


def _test(case: Case) -> dict[str, Any]:
    given: dict[str, Any] = {"scaling": case.scaling, "network": describe_network(case.network), "theta": _tensor(case.theta)}
    given["points"] = {name: _tensor(x) for name, x in case.points.items()}
    if case.quadrature is not None:
        given["quadrature"] = {name: _tensor(w) for name, w in case.quadrature.items()}
    given |= {"loss_weights": _tensor(case.loss_weights), "probes": _tensor(case.probes)}
    given |= {"dt": hexadecimal(case.dt), "alpha": hexadecimal(case.alpha)}
    want = {name: _wanted(want) for name, want in case.want.items()}
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


def _tensor(array: np.ndarray) -> dict[str, Any]:
    return {"shape": list(array.shape), "value": _numbers(array)}


def _wanted(want: Want) -> dict[str, Any]:
    parts = {part: _numbers(getattr(want, part)) for part in ("mid", "lower", "upper", "scale")}
    return {"shape": list(want.mid.shape), **parts}


def _numbers(array: np.ndarray) -> list[str]:
    return [hexadecimal(value) for value in array.ravel().tolist()]


def _layout(value: Any, indent: str = "") -> str:
    """JSON with a line for every array of numbers."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(name)}: {_layout(item, inner)}" for name, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(inner + _layout(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def manifest(texts: Mapping[str, str]) -> str:
    """The manifest of files `{name: text}`: size, digest and number of cases of each."""
    files = {
        name: {"bytes": len(data := text.encode()), "sha256": hashlib.sha256(data).hexdigest()} for name, text in texts.items()
    }
    return _layout({"schema": MANIFEST_FORMAT, "version": VERSION, "files": files}) + "\n"
