"""Certified vectors: cases, what each gives and wants, and how far a result is from it.

>>> case = next(read(only="poisson1d"))
>>> case.want["ntk"].error(case.want["ntk"].mid)
0.0
"""

from .case import Case, Want
from .reader import read

__all__ = ["Case", "Want", "read"]
