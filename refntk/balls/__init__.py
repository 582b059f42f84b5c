"""Certified evaluation: arrays of balls that provably contain the number, through which the reference lines run unchanged.

>>> import numpy as np, refntk as rn
>>> from refntk import balls
>>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 1])
>>> points = {"interior": [[0.25]], "boundary": [[0.0], [0.5]]}
>>> found = balls.certify(
...     lambda: {"K": rn.ntk(rn.linearize(problem, network, balls.exact([2.0, 0.5]), balls.exact(points)))})
>>> found["K"].mid[2, 2], found["K"].lower[2, 2] <= 1.25 <= found["K"].upper[2, 2]  # u = w x + b: x² + 1
(np.float64(1.25), np.True_)
"""

from __future__ import annotations

from ..errors import MissingDependency

try:
    from .array import Balls, Undecided, Verdict
    from .certify import Enclosure, certify, exact, midpoints, precision
except ModuleNotFoundError as error:
    if error.name != "flint":
        raise
    raise MissingDependency("python-flint is not installed: pip install 'refntk[certify]'") from error

__all__ = ["Balls", "Enclosure", "Undecided", "Verdict", "certify", "exact", "midpoints", "precision"]
