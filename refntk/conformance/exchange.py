"""Questions and answers as lines of JSON, one for each case: what another process reads and writes, and what files of results hold.

A question holds everything that a case gives, as plain JSON numbers and nested lists (decimal, exact when read as doubles):

    {"id": "wave-001", "quantities": ["residual", "ntk", ...], "problem": "wave", "parameters": {"c": 2.0}, "terms": [...],
     "network": {"sizes": [2, 8, 1], ...}, "theta": [...], "points": {"interior": [[...], ...]}, "scaling": "sum", ...}

and an answer `{"id": "wave-001", "results": {"ntk": [[...], ...], "traces": {"interior": 1.5, ...}}}` any of them: numbers, or
strings of hexadecimal floats. What is left out is not judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..vectors.case import Case
from ..vectors.encoding import describe_network, describe_problem
from .estimators import asked as sampling
from .estimators import sampled
from .protocol import Answer, as_answer, questions

MOST_BYTES = 2**25  # of one answer
MOST_DEPTH = 6
ADVICE = "; standard output is for answers alone: send what libraries print, when they are imported too, to standard error"


def question(case: Case, /) -> str:
    """The line that asks for everything that a case can judge.

    >>> from refntk.vectors import read
    >>> asked = json.loads(question(next(read(only="wave"))))
    >>> asked["id"], asked["parameters"], asked["network"]["sizes"], asked["quantities"][:2]
    ('wave-001', {'c': 2.0}, [2, 1, 1], ['residual', 'ntk'])
    """
    network = describe_network(case.network)
    asked = {
        "id": case.name,
        "quantities": questions(case),
        "problem": case.problem.name,
        "parameters": {} if case.problem.name == "operators" else case.problem.parameters(),
        **_plain(describe_problem(case.problem)),
        "network": None if network is None else _plain(network),
        "theta": case.theta.tolist(),
        "points": {name: x.tolist() for name, x in case.points.items()},
        "scaling": case.scaling,
        "quadrature": None if case.quadrature is None else {name: w.tolist() for name, w in case.quadrature.items()},
        "loss_weights": case.loss_weights.tolist(),
        "probes": case.probes.tolist(),
        "dt": case.dt,
        "alpha": case.alpha,
        "sampling": sampling(case) if sampled(case) else None,
    }
    return json.dumps(asked, allow_nan=False)


def answered(line: bytes, case: Case, /) -> dict[str, Answer]:
    """The answers to `question(case)` in one line. Raises `ValueError` with what is wrong with the line as a whole."""
    name, results = results_of(line)
    if name != case.name:
        raise ValueError(f"answers {name!r:.60} where {case.name!r} was asked")
    return read_results(results, case)


def results_of(line: bytes, /) -> tuple[str, Mapping[str, Any]]:
    """The id and the results in a line. Raises `ValueError`."""
    try:
        found = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error}): {line[:60]!r}"[:200] + ADVICE) from error
    if not isinstance(found, dict) or not isinstance(found.get("id"), str) or not isinstance(found.get("results"), dict):
        raise ValueError(f'not {{"id": ..., "results": {{...}}}}: {line[:60]!r}')
    return found["id"], found["results"]


def read_results(results: Mapping[str, Any], case: Case, /) -> dict[str, Answer]:
    """An answer for each quantity that was asked for; others are nobody's business."""
    terms, asked = [term.name for term in case.problem.terms], questions(case)
    return {quantity: _answer(value, terms) for quantity, value in results.items() if quantity in asked}


def _answer(value: Any, terms: list[str]) -> Answer:
    try:
        return as_answer(_numbers(value), terms)
    except (ValueError, OverflowError) as error:
        return Answer(None, str(error))


def _numbers(value: Any, depth: int = 0) -> Any:
    """Nested lists of floats. Raises `ValueError`."""
    if depth > MOST_DEPTH:
        raise ValueError("is nested too deeply")
    if isinstance(value, list):
        return [_numbers(item, depth + 1) for item in value]
    if isinstance(value, dict) and depth == 0:
        return {name: _numbers(item, 1) for name, item in value.items()}
    if isinstance(value, str):
        return float.fromhex(value)
    if isinstance(value, bool) or (value is not None and not isinstance(value, int | float)):
        raise ValueError(f"holds {value!r:.40} where a number is expected")
    return value if value is None else float(value)


def _plain(described: Any) -> Any:
    """Hexadecimal floats as numbers."""
    if isinstance(described, dict):
        return {name: _plain(item) for name, item in described.items()}
    if isinstance(described, list):
        return [_plain(item) for item in described]
    return float.fromhex(described) if isinstance(described, str) and "0x" in described else described
