"""What a run was about, in JSON: enough to build problem and network again, and to know θ and points by their digests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import arrays
from ..arrays import Array
from ..calculus.network import MLP
from ..problems.base import Problem
from .settings import plain


def describe(
    problem: Problem,
    network: MLP | None,
    theta: Array,
    points: Mapping[str, Array] | None,
    blocks: Mapping[str, slice],
    quadrature: Mapping[str, Array] | None = None,
) -> dict[str, Any]:
    """The run's problem, network, first θ, and fixed points (None if they are drawn anew), as JSON values.

    >>> import refntk as rn
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 1])
    >>> describe(problem, network, np.zeros(2), None, {"interior": slice(0, 2), "boundary": slice(2, 4)})["sizes"]
    [1, 1]
    """
    found: dict[str, Any] = {
        "problem": problem.name,
        "parameters": problem.parameters(),
        "terms": list(blocks),
        "rows": {name: block.stop - block.start for name, block in blocks.items()},
        "theta_sha256": _digest({"theta": theta}),
        "points_sha256": None if points is None else _digest(points),
        "quadrature_sha256": None if quadrature is None else _digest(quadrature),
    }
    for name in ("sizes", "output_scale", "parametrization", "shift", "scale"):
        found[name] = None if network is None else getattr(network, name)
    return plain(found | {"activation": None if network is None else network.activation.name})


def _digest(values: Mapping[str, Array]) -> str:
    """SHA-256 over names, shapes and bytes."""
    sha = hashlib.sha256()
    for name, value in values.items():
        array = np.ascontiguousarray(arrays.to_numpy(value))
        sha.update(f"{name}:{array.dtype.str}:{array.shape}:".encode())
        sha.update(array.tobytes())
    return sha.hexdigest()
