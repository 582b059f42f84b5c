"""refntk: the ground truth for neural-tangent-kernel computations in physics-informed neural networks."""

from __future__ import annotations

from . import natural, problems, weights
from .calculus.network import MLP
from .errors import InvalidInput
from .estimation import average, bounds, convergence, cubature, deflation, moments, probes, ratio, sketch
from .kernel import limits
from .kernel.direct import DirectLinearization
from .kernel.linearization import linearize
from .kernel.ntk import ntk, ntk_block, ntk_diagonal, ntk_product, ntk_spectrum, ntk_traces
from .rounding import rounding_error
from .training import History, train

__all__ = [
    "MLP",
    "DirectLinearization",
    "History",
    "InvalidInput",
    "average",
    "bounds",
    "convergence",
    "cubature",
    "deflation",
    "limits",
    "linearize",
    "moments",
    "natural",
    "ntk",
    "ntk_block",
    "ntk_diagonal",
    "ntk_product",
    "ntk_spectrum",
    "ntk_traces",
    "probes",
    "problems",
    "ratio",
    "rounding_error",
    "sketch",
    "train",
    "weights",
]


def __getattr__(name: str) -> str:
    """The version, read from the installed package's metadata when somebody asks."""
    if name == "__version__":
        from importlib.metadata import version

        return version("refntk")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
