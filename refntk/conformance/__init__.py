"""Does another implementation compute the same? Checks against the certified vectors, and what is wrong if it does not.

>>> from refntk.vectors import read
>>> examine(Engine("reference"), read(only="quadratic")).passed
True
"""

from . import told
from .checks import Check, Examination, Finding, Result, checks, examine, judge, selection
from .diagnosis import Diagnosis, diagnose
from .process import Process
from .protocol import QUANTITIES, Answer, Candidate, Engine, Functions, load
from .results import Results

__all__ = [
    "QUANTITIES",
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
    "checks",
    "diagnose",
    "examine",
    "judge",
    "load",
    "selection",
    "told",
]
