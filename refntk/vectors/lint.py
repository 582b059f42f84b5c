"""What must hold between the numbers of a case, whatever made them: sums, products and symmetries, on the published floats."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..weights import RULES
from .case import FLAGS, UNIT, Case

SLACK = 8.0  # rounding of the published floats and of the sums below, in units of u · scale


def faults(case: Case, /) -> Iterator[str]:
    """What is wrong with a case: relations between its quantities that do not hold, or a flag that nobody explains.

    Checked: K = Kᵀ = J Jᵀ, its diagonal in the traces, its eigenvalues ordered, none negative, their sum, K G, Jᵀ Λ R, the normal
    equations Jᵀ(J d - R) = 0 of a direction d, and the weights of every rule from K and R; errors in units of u times the scales of
    both sides. Cost: a few products of matrices.
    """
    want, n = case.want, case.want["residual"].mid.shape[0]
    K, R, diagonal = want["ntk"].mid, want["residual"].mid, np.diagonal(want["ntk"].mid)
    scale = want["ntk"].scale
    blocks, stop = {}, 0
    for term in case.problem.terms:
        blocks[term.name] = slice(stop, stop := stop + case.points[term.name].shape[0] * term.components)

    def off(name: str, got: np.ndarray, known: np.ndarray, size: np.ndarray) -> Iterator[str]:
        worst = np.max(np.abs(got - known) - SLACK * n * UNIT * size, initial=0.0)
        if not worst <= 0:
            yield f"{case.name}: {name} is off by {worst:.1e}"

    yield from (f"{case.name}: flag {flag!r} is not explained" for flag in case.flags if flag not in FLAGS)
    yield from off("K - Kᵀ", K, K.T, np.zeros_like(K))
    traces = want["traces"]
    yield from off("traces", np.array([np.sum(diagonal[rows]) for rows in blocks.values()]), traces.mid, traces.scale * n)
    eigenvalues = want["spectrum"].mid
    yield from off("order of the spectrum", np.sort(eigenvalues)[::-1], eigenvalues, np.zeros(n))
    yield from off("smallest eigenvalue", np.minimum(eigenvalues, 0.0), np.zeros(n), want["spectrum"].scale)
    total = np.array([np.sum(diagonal)])
    yield from off("sum of the spectrum", np.array([np.sum(eigenvalues)]), total, n * want["spectrum"].scale[:1])
    G = case.probes
    yield from off("K G", K @ G, want["products"].mid, scale @ np.abs(G) + want["products"].scale)
    if "jacobian" in want:
        J = want["jacobian"].mid
        yield from off("J Jᵀ", J @ J.T, K, scale * J.shape[1])
        if "gradient" in want:
            weights = np.repeat(case.loss_weights, [rows.stop - rows.start for rows in blocks.values()])
            size = np.abs(J).T @ (weights * want["residual"].scale) + want["gradient"].scale
            yield from off("gradient", J.T @ (weights * R), want["gradient"].mid, size)
        if "direction" in want:
            d = want["direction"].mid
            size = np.abs(J).T @ (np.abs(J) @ np.abs(d) + np.abs(R)) * sum(J.shape)
            yield from off("direction", J.T @ (J @ d - R), np.zeros(J.shape[1]), size)
    for name, rule in RULES.items():
        if f"weights/{name}" in want:
            known = want[f"weights/{name}"]
            found = np.array(list(rule(K, R, blocks).values()))
            yield from off(f"weights/{name}", found, known.mid, known.scale * 2.0**10)  # sums that cancel: a bound is not known
