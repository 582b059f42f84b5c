"""How far the loss weights in force were from those of the full kernel, whose traces a history holds for every recorded step."""

from __future__ import annotations

import numpy as np

from ..errors import TraceError
from ..weights import trace_ratio
from .history import History


def full_weights(history: History, /) -> dict[str, np.ndarray]:
    """The weights of eq. (5), `Tr K / Tr K_kk`, `{term: (R,)}`; NaN at a step where a trace is zero, so that no weight follows.

    >>> import refntk as rn
    >>> from refntk.training import train
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 3, 1])
    >>> history = train(problem, network, network.init(rng=17), steps=2, weighting="trace", rng=17)
    >>> bool(np.allclose(sum(1 / w for w in full_weights(history).values()), 1.0))  # Σ Tr K_kk / Tr K
    True
    """
    rows = [_ratio({term: float(values[i]) for term, values in history.traces.items()}) for i in range(len(history.steps))]
    return {term: np.array([row[term] for row in rows]) for term in history.traces}


def _ratio(traces: dict[str, float]) -> dict[str, float]:
    try:
        return {term: float(weight) for term, weight in trace_ratio(traces).items()}
    except TraceError:
        return dict.fromkeys(traces, np.nan)


def median_deviation(history: History, /) -> dict[str, float]:
    """The median over the recorded steps of `|λ_k in force / λ_k of the full kernel - 1|`, `{term: float}`; 0.1 means ten percent.

    With `weighting="sketched"` this is the error of the estimate; with weights renewed every few steps, their age.

    >>> import refntk as rn
    >>> from refntk.training import train
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 3, 1])
    >>> history = train(problem, network, network.init(rng=17), steps=2, weighting="trace", rng=17)
    >>> median_deviation(history)
    {'interior': 0.0, 'boundary': 0.0}
    """
    full = full_weights(history)
    relative = {term: np.abs(weights / full[term] - 1) for term, weights in history.weights.items()}
    return {
        term: float(np.median(values[np.isfinite(values)])) if np.isfinite(values).any() else np.nan
        for term, values in relative.items()
    }
