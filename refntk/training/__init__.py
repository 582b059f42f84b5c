"""Training by a weighted loss: optimizers, weightings, the loop, histories and checkpoints."""

from .history import History
from .run import DivergenceError
from .train import train

__all__ = ["DivergenceError", "History", "train"]
