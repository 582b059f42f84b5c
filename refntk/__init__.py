"""refntk: the ground truth for neural-tangent-kernel computations in physics-informed neural networks."""

from __future__ import annotations

from . import problems, weights
from .calculus.network import MLP
from .errors import InvalidInput
from .estimation import average, moments, probes, sketch
from .kernel.direct import DirectLinearization
from .kernel.linearization import linearize
from .kernel.ntk import ntk, ntk_block, ntk_diagonal, ntk_product, ntk_spectrum, ntk_traces
from .training import History, train

__all__ = [
    "MLP",
    "DirectLinearization",
    "History",
    "InvalidInput",
    "average",
    "linearize",
    "moments",
    "ntk",
    "ntk_block",
    "ntk_diagonal",
    "ntk_product",
    "ntk_spectrum",
    "ntk_traces",
    "probes",
    "problems",
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
