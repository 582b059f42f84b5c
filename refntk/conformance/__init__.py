"""Does another implementation compute the same? Checks against the certified vectors, and what is wrong if it does not.

>>> from refntk.vectors import read
>>> examine(Engine("reference"), read(only="quadratic")).passed
True
"""

from . import chance, estimators, laws, told
from .ahead import Ahead
from .checks import Check, Examination, Finding, Result, checks, examine, judge, selection
from .diagnosis import Diagnosis, diagnose
from .engines import Engine
from .mistakes import MISTAKES
from .process import Process
from .protocol import QUANTITIES, Answer, Candidate, Functions, load
from .results import Results

__all__ = [
    "MISTAKES",
    "QUANTITIES",
    "Ahead",
    "Answer",
    "Candidate",
    "Check",
    "Diagnosis",
    "Engine",
    "Examination",
    "Finding",
    "Functions",
    "Process",
    "Result",
    "Results",
    "chance",
    "checks",
    "diagnose",
    "estimators",
    "examine",
    "judge",
    "laws",
    "load",
    "selection",
    "told",
]
