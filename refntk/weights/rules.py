"""The rules by which published work weighs its losses "by the NTK": one functional of K, r and n per rule, one aggregate.

The loss is ½ Σ_k λ_k ‖r_k‖². Eq. (5) is `trace_ratio`; on estimated traces it is eq. (12). `RULES` holds what others compute
under the same name: `λ_k = Σs / s_k` (or not even inverted) with a functional s_k that is rarely the trace. There, term k has
n_k rows, its loss is `L_k = ‖r_k‖²/n_k` and its gradient `g_k = ∇L_k = (2/n_k) J_kᵀ r_k`, so that `‖g_k‖² = v_kᵀ K_kk v_k` with
`v_k = (2/n_k) r_k`: every rule is a closed form of K and r for unscaled rows (`scaling="sum"`). How their authors average in time
is not part of a rule. `RULES_OF_U` are rules of the kernel of u itself, which is no function of the residual's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .. import arrays
from ..arrays import Array
from ..errors import ShapeError, TraceError
from ..estimation.sketch import Estimate

Blocks = Mapping[str, slice]
Functional = Callable[[Array, Array, Blocks, Blocks], dict[str, float]]


def trace_ratio(traces: Mapping[str, float | Estimate], /) -> dict[str, float]:
    """Eq. (5), `λ_k = Σ_l Tr K_ll / Tr K_kk`: `{term: λ}` from `{term: trace}`, traces being floats or `Estimate`s (eq. (12)).

    The weights are positive and `Σ 1/λ_k = 1`. Source: Wang, Yu & Perdikaris 2022; Hirsch & Pichi 2025. Raises `TraceError`, naming
    term, value and remedy, where a trace is zero, negative or not finite, or so small that the weight would not be finite.

    >>> trace_ratio({"interior": 6.0, "boundary": 2.0})
    {'interior': 1.3333333333333333, 'boundary': 4.0}
    >>> trace_ratio({"interior": 6.0, "boundary": -2.0})
    Traceback (most recent call last):
    refntk.errors.TraceError: traces['boundary']: got -2.0; ...
    """
    if not traces:
        raise ShapeError("traces", "no traces", "pass a dict with one trace for each term")
    return total_over_own({name: arrays.scalar(value) for name, value in traces.items()}, argument="traces")


def total_over_own(s: Mapping[str, float], /, *, argument: str = "s") -> dict[str, float]:
    """`λ_k = Σs / s_k`.

    >>> total_over_own({"interior": 3.0, "boundary": 1.0})
    {'interior': 1.3333333333333333, 'boundary': 4.0}
    """
    for term, value in s.items():
        _check(argument, term, value, value > 0)
    total = sum(s.values())
    weights = {term: total / value for term, value in s.items()}
    for term, weight in weights.items():
        _check(argument, term, s[term], abs(weight) < math.inf)
    return weights


def mean_over_own(s: Mapping[str, float], /) -> dict[str, float]:
    """`λ_k = Σs / (M s_k)`, M terms.

    >>> mean_over_own({"interior": 3.0, "boundary": 1.0})
    {'interior': 0.6666666666666666, 'boundary': 2.0}
    """
    return {term: weight / len(s) for term, weight in total_over_own(s).items()}


def total_over_own_rescaled(s: Mapping[str, float], /) -> dict[str, float]:
    """`λ_k = M s_k⁻¹ / Σ s⁻¹`: `Σs / s_k`, rescaled so that the M weights add up to M.

    >>> total_over_own_rescaled({"interior": 3.0, "boundary": 1.0})
    {'interior': 0.5, 'boundary': 1.5}
    """
    weights = total_over_own(s)
    return {term: weight * len(s) / sum(weights.values()) for term, weight in weights.items()}


def own_over_total(s: Mapping[str, float], /) -> dict[str, float]:
    """`λ_k = s_k / Σs`: the ratio not inverted, so that the stiff term gets the large weight.

    >>> own_over_total({"interior": 3.0, "boundary": 1.0})
    {'interior': 0.75, 'boundary': 0.25}
    """
    total = sum(s.values())
    for term, value in s.items():
        _check("s", term, value, value >= 0 and total > 0)
    return {term: value / total for term, value in s.items()}


def trace(K: Array, residual: Array, blocks: Blocks, rows: Blocks, /) -> dict[str, float]:
    """`s_k = Tr K_kk`: the sum of the squared norms of the rows of J.

    >>> import numpy as np
    >>> trace(np.diag([1.0, 2.0, 4.0]), np.ones(3), {"a": slice(0, 1), "b": slice(1, 3)}, {"a": slice(0, 1), "b": slice(1, 3)})
    {'a': 1.0, 'b': 6.0}
    """
    xp = arrays.namespace(K)
    diagonal = xp.linalg.diagonal(K)
    return {term: arrays.scalar(xp.sum(diagonal[own])) for term, own in rows.items()}


def mean_trace(K: Array, residual: Array, blocks: Blocks, rows: Blocks, /) -> dict[str, float]:
    """`s_k = Tr K_kk / n_k`: the mean for the sum.

    >>> import numpy as np
    >>> mean_trace(np.diag([1.0, 2.0, 4.0]), np.ones(3), {"a": slice(0, 1), "b": slice(1, 3)}, {"a": slice(0, 1), "b": slice(1, 3)})
    {'a': 1.0, 'b': 3.0}
    """
    return {term: value / (rows[term].stop - rows[term].start) for term, value in trace(K, residual, blocks, rows).items()}


def trace_of_u(K: Array, residual: Array, blocks: Blocks, rows: Blocks, /) -> dict[str, float]:
    """`s_k = Tr K_kk, K of u`: the trace of another kernel, that of u where term k holds; the operator is left out.

    >>> import numpy as np
    >>> trace_of_u(np.diag([1.0, 2.0]), np.ones(2), {"a": slice(0, 2)}, {"a": slice(0, 2)})
    {'a': 3.0}
    """
    return trace(K, residual, blocks, rows)


def ones(K: Array, residual: Array, blocks: Blocks, rows: Blocks, /) -> dict[str, float]:
    """`s_k = 1ᵀ K_kk 1`, which is `‖∇ Σ r‖²`: rows added before they are squared.

    >>> import numpy as np
    >>> ones(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.ones(2), {"a": slice(0, 2)}, {"a": slice(0, 2)})
    {'a': 0.0}
    """
    xp = arrays.namespace(K)
    return _forms(K, xp.ones_like(residual), rows)


def gradient_norm_squared(K: Array, residual: Array, blocks: Blocks, rows: Blocks, /) -> dict[str, float]:
    """`s_k = vᵀ K_kk v, v = 2r/n`, which is `‖g_k‖²`; over rows of several terms, the square of the norm of their gradients' sum.

    >>> import numpy as np
    >>> gradient_norm_squared(np.eye(2), np.array([3.0, 4.0]), {"a": slice(0, 2)}, {"a": slice(0, 2)})  # g = r
    {'a': 25.0}
    """
    xp = arrays.namespace(K)
    v = [2 * residual[own] / (own.stop - own.start) for own in blocks.values()]
    return _forms(K, xp.concat(v), rows)


def gradient_norm(K: Array, residual: Array, blocks: Blocks, rows: Blocks, /) -> dict[str, float]:
    """`s_k = √(vᵀ K_kk v), v = 2r/n`, which is `‖g_k‖`, the norm of the loss gradient.

    >>> import numpy as np
    >>> gradient_norm(np.eye(2), np.array([3.0, 4.0]), {"a": slice(0, 2)}, {"a": slice(0, 2)})
    {'a': 5.0}
    """
    # Rounding may leave a gradient that vanishes with a form just below zero.
    return {term: arrays.root(s if s > 0 else 0 * s) for term, s in gradient_norm_squared(K, residual, blocks, rows).items()}


def root_loss_gradient(K: Array, residual: Array, blocks: Blocks, rows: Blocks, /) -> dict[str, float]:
    """`s_k = √(rᵀ K_kk r / (n_k rᵀ r))`, which is `‖∇ √L_k‖ = ‖g_k‖ / (2 √L_k)`; NaN where the residual is zero.

    >>> import numpy as np
    >>> root_loss_gradient(2 * np.eye(2), np.array([3.0, 4.0]), {"a": slice(0, 2)}, {"a": slice(0, 2)})  # √(K/n), whatever r is
    {'a': 1.0}
    """
    xp, found = arrays.namespace(K), {}
    for term, s in gradient_norm(K, residual, blocks, rows).items():
        r = residual[rows[term]]
        root = arrays.root(arrays.scalar(xp.sum(r * r)) / r.shape[0])
        found[term] = s / (2 * root) if root > 0 else math.nan
    return found


def lumped(blocks: Blocks, /) -> dict[str, slice]:
    """`conditions as one`: for the first term, the equation, its own rows; for the conditions, those of all together.

    >>> lumped({"interior": slice(0, 4), "initial": slice(4, 6), "boundary": slice(6, 9)})
    {'interior': slice(0, 4, None), 'initial': slice(4, 9, None), 'boundary': slice(4, 9, None)}
    """
    first, *others = blocks
    return {first: blocks[first]} | {term: slice(blocks[others[0]].start, blocks[others[-1]].stop) for term in others}


def accumulated(blocks: Blocks, /) -> dict[str, slice]:
    """`1…k as one`: for every term, its rows and those of all terms before it: what gradients that are never cleared add up to.

    >>> accumulated({"interior": slice(0, 4), "initial": slice(4, 6)})
    {'interior': slice(0, 4, None), 'initial': slice(0, 6, None)}
    """
    return {term: slice(0, rows.stop) for term, rows in blocks.items()}


@dataclass(frozen=True)
class Rule:
    """A published rule: `rule(K, residual, blocks)` is `{term: λ}` for K (n, n), residual (n,), `{term: slice}` of unscaled rows.

    `functional` makes s_k of the rows that `rows` gives to term k, and `aggregate` makes weights of these numbers; terms with the
    same rows share one. Raises `ShapeError`, and `TraceError` where no weight follows.

    >>> import numpy as np
    >>> blocks = {"interior": slice(0, 1), "boundary": slice(1, 3)}
    >>> RULES["wang_2023"](np.diag([3.0, 1.0, 1.0]), np.ones(3), blocks)  # means 3 and 1
    {'interior': 0.6666666666666666, 'boundary': 2.0}
    """

    source: str
    functional: Functional
    aggregate: Callable[[Mapping[str, float]], dict[str, float]]
    rows: Callable[[Blocks], dict[str, slice]] = dict  # its own

    @property
    def formula(self) -> str:
        """What it computes, in K, r and n_k: the formulas with which the docstrings of its parts begin.

        >>> RULES["hao_2023"].formula
        'λ_k = Σs / s_k, s_k = 1ᵀ K_kk 1, conditions as one'
        """
        found = (re.match("`(.+?)`", part.__doc__ or "") for part in (self.aggregate, self.functional, self.rows))
        return ", ".join(formula[1] for formula in found if formula)

    def __call__(self, K: Array, residual: Array, blocks: Blocks, /) -> dict[str, float]:
        """`{term: λ}`."""
        K, residual = arrays.as_floats("K", K), arrays.as_floats("residual", residual)
        arrays.check_shape("residual", residual, (None,))
        arrays.check_shape("K", K, (residual.shape[0], residual.shape[0]))
        stop = 0
        for term, rows in blocks.items():
            if rows.start != stop or rows.stop <= stop:
                raise ShapeError(
                    f"blocks[{term!r}]", rows, "blocks follow one another from row 0 on: take them from a linearization"
                )
            stop = rows.stop
        if stop != residual.shape[0]:
            raise ShapeError("blocks", f"{stop} rows", f"there are {residual.shape[0]}")
        given = self.rows(blocks)
        leader: dict[tuple[int, int], str] = {}
        for term, rows in given.items():
            leader.setdefault((rows.start, rows.stop), term)
        s = self.functional(K, residual, blocks, {term: given[term] for term in leader.values()})
        weights = self.aggregate(s)
        return {term: weights[leader[rows.start, rows.stop]] for term, rows in given.items()}


RULES: dict[str, Rule] = {
    "wang_2022": Rule("Wang, Yu & Perdikaris 2022 (PINNsNTK); eq. (5) of Hirsch & Pichi 2025", trace, total_over_own),
    "haghighat_2021": Rule("Haghighat & Juanes 2021 (SciANN, NTKLossWeight)", trace, total_over_own_rescaled),
    "wang_2023": Rule("Wang, Sankaran, Wang & Perdikaris 2023 (jaxpi)", mean_trace, mean_over_own),
    "bai_2023": Rule("Bai et al. 2023 (PIRBN, as in PaddleScience)", mean_trace, total_over_own),
    "hao_2023": Rule("Hao et al. 2023 (PINNacle)", ones, total_over_own, lumped),
    "neuralpde_2023": Rule("NeuralPDE.jl, pull request 673", gradient_norm_squared, total_over_own, lumped),
    "paddlescience_2024": Rule("PaddleScience before February 2025", gradient_norm, total_over_own, accumulated),
    "paddlescience_2025": Rule("PaddleScience since 1.4", gradient_norm, total_over_own),
    "pina_2025_march": Rule("PINA, March to November 2025", gradient_norm, own_over_total, accumulated),
    "pina_2025_november": Rule("PINA since November 2025", gradient_norm, own_over_total),
    "physicsnemo_2026": Rule("PhysicsNeMo-Sym, as read in November 2026", root_loss_gradient, total_over_own),
}

RULES_OF_U: dict[str, Rule] = {
    "zhao_2024": Rule("Zhao, Ding & Prakash 2024 (PINNsFormer, in a notebook)", trace_of_u, total_over_own),
}


def _forms(K: Array, v: Array, rows: Blocks) -> dict[str, float]:
    """`v_kᵀ K_kk v_k` for every term."""
    return {term: arrays.scalar(v[own] @ (K[own, own] @ v[own])) for term, own in rows.items()}


def _check(argument: str, term: str, value: float, usable: bool) -> None:
    """Raises `TraceError` unless `value` is usable."""
    finite = bool(abs(value) < math.inf)  # for balls too, which math does not know
    if usable and finite:
        return
    if not finite:
        remedy = "look for NaN or overflow in the parameters, the points and the residual"
    elif value < 0:
        remedy = "a small sample can be negative: average more samples, or take the traces of the full kernel (ntk_traces)"
    else:
        remedy = "no row of the term depends on the parameters, or too weakly for a weight: leave the term out, or start elsewhere"
    raise TraceError(f"{argument}[{term!r}]", value, remedy)
