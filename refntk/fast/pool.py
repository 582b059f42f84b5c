"""Threads: stretches of points in parallel, each carried by one thread with a single-threaded BLAS.

Threaded BLAS and threaded elementwise loops fight for the cores: OpenBLAS's workers spin for a while after every product, and a
loop that takes 0.1 ms alone takes 8 to 30 ms right behind one. So there is one pool, every thread of it calls a BLAS that is held
to one thread, and everything (products, activations, Gram sums) scales with the pool instead of the products alone. The cuts do not
depend on the number of threads and sums run in a fixed order, so the bits are the same for any number of them.

Measured before it was chosen (wave equation, 3 × 500, two cores, OpenBLAS held to AVX2): the products of one step take 57 ms with a
threaded BLAS and 57 ms as two single-threaded streams, so nothing is lost; a step takes 67 ms alone or 100 ms behind a threaded
product, 91 ms if it begins 50 ms behind one, when the workers still spin.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import numba
from threadpoolctl import ThreadpoolController

SHARED_BYTES = 2**24  # a term whose tape is smaller stays whole (wave, 3 × 500: 43.4 ms a step against 44.9 with halves from 4 MiB)
MOST_BYTES = 2**25  # and no stretch leaves much more than this


def tile(points: int, size: int) -> int:
    """How many points a stretch has, from the bytes of tape a point leaves: half a term, whatever the number of threads.

    Terms with little work stay whole, for every stretch costs Python; large ones are cut further.
    """
    halves = 2 if points * size > SHARED_BYTES else 1
    return -(-points // max(halves, -(-points * size // MOST_BYTES)))


@cache
def _threads(process: int, workers: int) -> ThreadPoolExecutor:
    """One pool per process (threads do not survive a fork) and size."""
    return ThreadPoolExecutor(workers, thread_name_prefix="refntk")


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401  # its BLAS must be loaded to be found, and held, with NumPy's

    return ThreadpoolController()


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """BLAS held to one thread, for the whole process, while inside."""
    with _controller().limit(limits=1, user_api="blas"):
        yield


def map(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:  # the twin of the built-in
    """`function` of every item, in order, on `numba.get_num_threads()` threads."""
    work = list(items)
    workers = min(numba.get_num_threads(), len(work))
    with single_threaded_blas():
        if workers <= 1:
            return [function(item) for item in work]
        return list(_threads(os.getpid(), workers).map(function, work))
