"""The package itself as a candidate, by one of its engines: judged like any stranger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..estimation import probes
from ..kernel.linearization import linearize
from ..vectors import truth
from ..vectors.case import Case
from .estimators import PROBES, SAMPLED, SAMPLES, asked
from .protocol import Answer


@dataclass(frozen=True)
class Engine:
    """The package by one of its engines; a problem without a network has no other engine than the reference.

    >>> from refntk.vectors import read
    >>> case = next(read(only="wave"))
    >>> case.want["traces"].error(Engine("reference").answers(case, ["traces"])["traces"].value) < 30
    True
    """

    engine: str

    @property
    def name(self) -> str:
        """Who answers."""
        return f"refntk, engine {self.engine}"

    def answers(self, case: Case, quantities: Iterable[str], /) -> Mapping[str, Answer]:
        """All of them."""
        if case.network is None and self.engine != "reference":
            return {}
        found, refused = truth.quantities(case, engine=self.engine)
        why = "refused: no weight follows from these traces"
        answers = {q: Answer(np.asarray(a)) for q, a in found.items()} | {q: Answer(None, why) for q in refused}
        return answers | {q: Answer(self._samples(case, q)) for q in quantities if q in SAMPLED}

    def _samples(self, case: Case, quantity: str) -> np.ndarray:
        """Samples of Algorithm 2 without discretisation, or of Theorem 5, all at once."""
        options = {"scaling": case.scaling, "quadrature": case.quadrature, "engine": self.engine}
        lin = linearize(case.problem, case.network, case.theta, case.points, **options)  # type: ignore[arg-type]
        J, (family, _, law), seed = lin.jacobian.dense(), quantity.partition("/"), asked(case)["seed"]
        if law == "theorem_5":
            squares = (J @ probes.normal(J.shape[1], SAMPLES * PROBES, key=seed)) ** 2
        else:
            G = probes.draw(law, J.shape[0], SAMPLES * PROBES, key=seed)
            Z = J @ (J.T @ G)
            if family == "sampled_ntk":
                G, Z = (np.moveaxis(side.reshape(-1, SAMPLES, PROBES), 1, 0) for side in (G, Z))
                K = Z @ np.swapaxes(G, 1, 2) / PROBES  # (samples, n, n)
                return (K + np.swapaxes(K, 1, 2)) / 2
            squares = G * Z
        traces = np.stack([squares[rows].sum(axis=0) for rows in lin.blocks.values()])
        return traces.reshape(len(traces), SAMPLES, PROBES).mean(axis=2).T
