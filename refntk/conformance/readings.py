"""All readings of a quantity: the single ones of `functionals.py`, the composed ones of weights, and factors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from .. import weights as rules
from ..errors import InvalidInput
from ..weights import RULES, Rule
from .functionals import READINGS, TRACES, Numbers, Reading, per_term, stack
from .worlds import Linear

# Weights: functional, rows, power, aggregate

FUNCTIONALS: dict[rules.Functional, tuple[str, int]] = {
    rules.trace: ("traces", 10),
    rules.mean_trace: ("traces divided by the number of rows", 10),
    rules.ones: ("gradients of summed residuals, ‖∇Σ r‖²", 3),
    rules.gradient_norm: ("loss-gradient norms", 1),
    rules.gradient_norm_squared: ("squared loss-gradient norms", 1),
    rules.root_loss_gradient: ("norms of the gradients of root losses", 2),
}
ROWS: dict[Callable[..., dict[str, slice]], tuple[str, int]] = {
    dict: ("each term by itself", 12),
    rules.lumped: ("all conditions lumped together", 12),
    rules.accumulated: ("gradients accumulated over the terms before", 4),
}
POWERS: dict[float, tuple[str, int]] = {1.0: ("", 0), 0.5: ("a square root too many", 2), 2.0: ("a square too many", 2)}
AGGREGATES: dict[Callable[..., dict[str, float]], tuple[str, int]] = {
    rules.total_over_own: ("Σ s / s_k", 11),
    rules.mean_over_own: ("the mean of s over s_k", 11),
    rules.total_over_own_rescaled: ("Σ s / s_k, rescaled to Σ λ = M", 11),
    rules.own_over_total: ("s_k / Σ s, not inverted", 5),
    lambda s: {k: v / (sum(s.values()) / len(s)) for k, v in s.items()}: ("s_k over the mean of s, not inverted", 5),
    lambda s: {k: 1 / v for k, v in s.items()}: ("1 / s_k", 11),
    lambda s: dict(s): ("s_k itself, not inverted", 5),
    lambda s: {k: max(s.values()) / v for k, v in s.items()}: ("max s / s_k", 11),
    lambda s: {k: next(iter(s.values())) / v for k, v in s.items()}: ("the first s over s_k", 11),
    lambda s: {k: sum(1 / w for w in s.values()) ** -1 / v for k, v in s.items()}: ("1 / s_k, rescaled to Σ λ = 1", 11),
}


def _weights(name: str) -> Iterator[Reading]:
    """All compositions for the rule `name`, the right one first, then by how many of their parts are wrong."""
    right = RULES[name]
    for functional, rows, power, aggregate in itertools.product(FUNCTIONALS, ROWS, POWERS, AGGREGATES):
        parts = [
            (FUNCTIONALS[functional], functional is not right.functional),
            (ROWS[rows], rows is not right.rows),
            (POWERS[power], power != 1.0),
            (AGGREGATES[aggregate], aggregate is not right.aggregate),
        ]
        wrong = [part for part, differs in parts if differs]
        mistake = wrong[0][1] if wrong else 0
        words = ", ".join(part[0] for part in wrong)
        yield Reading(words, mistake, _composed(functional, rows, power, aggregate), len(wrong))
    yield Reading("all ones: weights before their first update", 14, lambda lin: np.ones(len(lin.blocks)))
    yield Reading("all zero: weights before their first update", 14, lambda lin: np.zeros(len(lin.blocks)))
    yield Reading("the given loss weights, never updated", 14, lambda lin: lin.case.loss_weights)
    yield Reading("of the terms in the reverse order", 9, lambda lin: stack(right(lin.K, lin.R, lin.blocks))[::-1])
    for wrong_trace in TRACES[2:]:
        if right.functional in (rules.trace, rules.mean_trace):
            yield Reading(f"{wrong_trace.words}, for the trace", wrong_trace.mistake, _from_traces(right, wrong_trace), 1)


def _composed(
    functional: rules.Functional, rows: Callable[..., dict[str, slice]], power: float, aggregate: Callable[..., dict[str, float]]
) -> Callable[[Linear], Numbers]:
    def powered(s: Mapping[str, float]) -> dict[str, float]:
        return aggregate({term: math.copysign(abs(value) ** power, value) for term, value in s.items()})

    return lambda lin: stack(Rule("", functional, powered, rows)(lin.K, lin.R, lin.blocks))


def _from_traces(rule: Rule, reading: Reading) -> Callable[[Linear], Numbers]:
    def made(lin: Linear) -> Numbers:
        s = reading.make(lin)
        if rule.functional is rules.mean_trace:
            s = s / per_term(lin, lambda rows: rows.stop - rows.start)
        return stack(rule.aggregate(dict(zip(lin.blocks, s.tolist(), strict=True))))

    return made


FACTORS: dict[str, tuple[int, Callable[[Linear], float], int]] = {  # mistake, number, how far-fetched
    "": (0, lambda lin: 1.0, 0),
    "a factor 2": (15, lambda lin: 2.0, 12),
    "a factor ½": (15, lambda lin: 0.5, 12),
    "a factor 4": (15, lambda lin: 4.0, 12),
    "a factor ¼": (15, lambda lin: 0.25, 12),
    "a factor -1": (15, lambda lin: -1.0, 12),
    "divided by the number of rows": (10, lambda lin: 1 / lin.J.shape[0], 10),
    "multiplied by the number of rows": (10, lambda lin: float(lin.J.shape[0]), 10),
    "divided by the root of the number of rows": (15, lambda lin: lin.J.shape[0] ** -0.5, 10),
    "twice, and divided by the number of rows": (15, lambda lin: 2 / lin.J.shape[0], 10),
    "divided by the number of terms": (11, lambda lin: 1 / len(lin.blocks), 10),
    "multiplied by the number of terms": (11, lambda lin: float(len(lin.blocks)), 10),
    "divided by the number of outputs: a mean for the sum": (16, lambda lin: 1 / lin.case.problem.outputs, 10),
    "divided by the number of parameters": (11, lambda lin: 1 / lin.J.shape[1], 10),
}


def readings(quantity: str, /) -> list[Reading]:
    """What the quantity has been taken for, the right reading first.

    >>> len(readings("traces")), readings("traces")[0].words, readings("weights/wang_2022")[0].mistake
    (16, '', 0)
    """
    if quantity.startswith("weights/"):
        return sorted(_weights(quantity.removeprefix("weights/")), key=lambda reading: reading.cost)
    return READINGS.get(quantity, [])


def taken(reading: Reading, lin: Linear, /) -> Numbers | None:
    """What the reading gives; None where nothing follows from it."""
    try:
        with np.errstate(all="ignore"):
            found = np.asarray(reading.make(lin), dtype=float)
    except (InvalidInput, ArithmeticError, ValueError, np.linalg.LinAlgError):
        return None
    return found if np.all(np.isfinite(found)) else None
