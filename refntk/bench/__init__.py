"""How long the work of a study takes, and how much memory: its workloads side by side, and the matrix products that bound them."""

from __future__ import annotations

from .compare import BOUND, SCHEMA, check, compare, document, rotation, table
from .machine import added_bytes, environment, fresh, memory
from .timing import PAUSE, ROUNDS, WARMUPS, Call, Measurement, alternate
from .workloads import WORKLOADS, Answer, Case, disagreement, gemms

__all__ = [
    "BOUND",
    "PAUSE",
    "ROUNDS",
    "SCHEMA",
    "WARMUPS",
    "WORKLOADS",
    "Answer",
    "Call",
    "Case",
    "Measurement",
    "added_bytes",
    "alternate",
    "check",
    "compare",
    "disagreement",
    "document",
    "environment",
    "fresh",
    "gemms",
    "memory",
    "rotation",
    "table",
]
