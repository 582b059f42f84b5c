"""Loss weights: eq. (5), and every published rule "by the NTK" as a closed form of K and r, alone or side by side."""

from __future__ import annotations

from .comparison import Comparison, compare
from .rules import (
    RULES,
    RULES_OF_U,
    Rule,
    accumulated,
    gradient_norm,
    gradient_norm_squared,
    lumped,
    mean_over_own,
    mean_trace,
    ones,
    own_over_total,
    root_loss_gradient,
    total_over_own,
    total_over_own_rescaled,
    trace,
    trace_of_u,
    trace_ratio,
)

__all__ = [
    "RULES",
    "RULES_OF_U",
    "Comparison",
    "Rule",
    "accumulated",
    "compare",
    "gradient_norm",
    "gradient_norm_squared",
    "lumped",
    "mean_over_own",
    "mean_trace",
    "ones",
    "own_over_total",
    "root_loss_gradient",
    "total_over_own",
    "total_over_own_rescaled",
    "trace",
    "trace_of_u",
    "trace_ratio",
]
