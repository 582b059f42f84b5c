"""Readings of weights: a functional s_k, whose rows it takes, a power, the aggregate that makes weights of it, and an average."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ... import weights as rules
from ...weights import RULES, Rule
from ...weights.rules import Functional
from ..variants import Linearized
from .kernel import TRACES
from .reading import Numbers, Reading, rows_of, stack

Aggregate = Callable[[Mapping[str, float]], dict[str, float]]

# Each in words, with the number of the mistake that it is where it is wrong
FUNCTIONALS: dict[Functional, tuple[str, int]] = {
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
AGGREGATES: dict[Aggregate, tuple[str, int]] = {
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
STARTS = (0.1, 0.5, 0.9)  # how much of the first weights, which are 1, an average keeps after its first update


def weights(name: str, /) -> Iterator[Reading]:
    """All readings of the rule `name`, the right one first."""
    right = RULES[name]
    for functional, rows, power, aggregate in itertools.product(FUNCTIONALS, ROWS, POWERS, AGGREGATES):
        parts = [
            (FUNCTIONALS[functional], functional is not right.functional),
            (ROWS[rows], rows is not right.rows),
            (POWERS[power], power != 1.0),
            (AGGREGATES[aggregate], aggregate is not right.aggregate),
        ]
        wrong = [part for part, differs in parts if differs]
        words, made = ", ".join(part[0] for part in wrong), _composed(functional, rows, power, aggregate)
        yield Reading(words, wrong[0][1] if wrong else 0, made, len(wrong))
        for share in STARTS if len(wrong) <= 2 else ():
            start = f"averaged with weights of 1 before it: {share:g} + {1 - share:g} λ"
            yield Reading(
                f"{words}, {start}" if words else start, wrong[0][1] if wrong else 13, _averaged(made, share), len(wrong) + 1
            )
    yield Reading("all ones: weights before their first update", 14, lambda lin: np.ones(len(lin.blocks)))
    yield Reading("all zero: weights before their first update", 14, lambda lin: np.zeros(len(lin.blocks)))
    yield Reading("the given loss weights, never updated", 14, lambda lin: lin.case.loss_weights)
    yield Reading("of the terms in the reverse order", 9, lambda lin: stack(right(lin.K, lin.R, lin.blocks))[::-1])
    if right.functional in (rules.trace, rules.mean_trace):
        for reading in TRACES[2:]:
            yield Reading(f"{reading.words}, for the trace", reading.mistake, _from_traces(right, reading), 1)


def _averaged(made: Callable[[Linearized], Numbers], share: float) -> Callable[[Linearized], Numbers]:
    return lambda lin: share + (1 - share) * made(lin)


def _composed(
    functional: Functional, rows: Callable[..., dict[str, slice]], power: float, aggregate: Aggregate
) -> Callable[[Linearized], Numbers]:
    def powered(s: Mapping[str, float]) -> dict[str, float]:
        return aggregate({term: math.copysign(abs(value) ** power, value) for term, value in s.items()})

    return lambda lin: stack(Rule("", functional, powered, rows)(lin.K, lin.R, lin.blocks))


def _from_traces(rule: Rule, reading: Reading) -> Callable[[Linearized], Numbers]:
    def made(lin: Linearized) -> Numbers:
        s = reading.make(lin) / (rows_of(lin) if rule.functional is rules.mean_trace else 1)
        return stack(rule.aggregate(dict(zip(lin.blocks, s.tolist(), strict=True))))

    return made
