"""refntk: the ground truth for neural-tangent-kernel computations in physics-informed neural networks."""

from . import problems
from .calculus.network import MLP
from .kernel.direct import DirectLinearization
from .kernel.linearization import linearize
from .kernel.ntk import ntk, ntk_block, ntk_diagonal, ntk_product, ntk_spectrum, ntk_traces
