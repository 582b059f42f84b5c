"""Where cells run: the standard `concurrent.futures.Executor` is the seam, and this process, a pool, dask and MPI all are one.

Everywhere BLAS is held to one thread, so that a cell has the same bits in any of them and beside any number of others. A pool that
breaks (a worker was killed, memory ran out) is built again; what was under way then runs alone, so that a cell that kills its
worker is found, and only that cell fails.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from ..errors import InvalidInput, MissingDependency

Name = TypeVar("Name")
AHEAD = 3  # cells handed over and not yet back, for each worker
DIED = "its worker process died while it ran, alone: killed, out of memory, or a crash in native code"


@dataclass(frozen=True)
class Failure:
    """Why there is no result: a traceback, or what became of the worker."""

    told: str


@dataclass(frozen=True)
class Place:
    """Where work is done: how an executor is opened there, how much is handed to it at once, and whether it is another process."""

    open: Callable[[], AbstractContextManager[Executor]]
    ahead: int
    elsewhere: bool


def place(workers: int = 1, address: str | None = None, /) -> Place:
    """Where to run: here, in a pool of `workers` processes, or the cluster at "tcp://host:port" or "tls://…" (dask), or "mpi".

    Raises `InvalidInput` for what is none of these, `MissingDependency` naming the extra to install.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InvalidInput("workers", workers, "give the number of processes, 1 or more")
    if address is None:
        return Place(_here, 1, False) if workers == 1 else Place(partial(_pool, workers), AHEAD * workers, True)
    if address == "mpi":
        return Place(_mpi, 1000, True)
    if address.startswith(("tcp://", "tls://")):
        return Place(partial(_dask, address), 1000, True)
    raise InvalidInput("executor", repr(address), "give tcp://host:port or tls://host:port of a dask scheduler, or mpi")


def run(function: Callable[..., Any], work: Mapping[Name, tuple[Any, ...]], where: Place, /) -> Iterator[tuple[Name, Any]]:
    """`(name, function(*arguments))` for all work, in the order in which it is done; a `Failure` where there is no result.

    `function`, arguments and results must be picklable if `where` is elsewhere. Whoever leaves early ends what is under way.

    >>> dict(run(divmod, {"a": (7, 2), "b": (1, 0)}, place()))["a"]
    (3, 1)
    """
    waiting, suspects = deque(work), deque[Name]()
    guarded = partial(_guarded, where.elsewhere, function)
    while waiting or suspects:
        alone = bool(suspects)
        with where.open() as executor:
            submit = partial(executor.submit, guarded)
            left = yield from _drain(submit, work, suspects if alone else waiting, 1 if alone else where.ahead)
        if alone:
            yield from ((name, Failure(DIED)) for name in left)
        else:
            suspects.extend(left)


def _drain(
    submit: Callable[..., Future[Any]], work: Mapping[Name, tuple[Any, ...]], queue: deque[Name], ahead: int
) -> Generator[tuple[Name, Any], None, list[Name]]:
    """Yields what is done until the queue is empty; returns what was under way when the executor broke, nothing if it did not."""
    flying: dict[Future[Any], Name] = {}
    try:
        while queue or flying:
            while queue and len(flying) < ahead:
                future = submit(*work[queue[0]])
                flying[future] = queue.popleft()
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                result = _result(future)
                yield flying.pop(future), result
    except BrokenExecutor:
        return list(flying.values())
    return []


def _result(future: Future[Any]) -> Any:
    """What a future holds; what the executor itself has to say about it (a worker lost too often) is a failure too."""
    try:
        return future.result()
    except BrokenExecutor:
        raise
    except Exception as error:
        return Failure(f"{type(error).__name__}: {error}")


def _guarded(elsewhere: bool, function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result, or a `Failure`: tracebacks cross processes as text."""
    if elsewhere:
        _hold_blas()
    try:
        return function(*arguments)
    except Exception:
        return Failure(traceback.format_exc())


@cache
def _hold_blas() -> object:
    """BLAS held to one thread in this process, for good: a worker may run several cells at once."""
    import scipy.linalg  # noqa: F401  # its BLAS must be loaded to be held, with NumPy's

    return threadpool_limits(1, user_api="blas")


class _Here(Executor):
    """Work done here, at once."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **options))
        return future


@contextmanager
def _here() -> Iterator[Executor]:
    import scipy.linalg  # noqa: F401

    with threadpool_limits(1, user_api="blas"):
        yield _Here()


@contextmanager
def _pool(workers: int) -> Iterator[Executor]:
    """New processes with one thread each; when the work is left early they are ended, not waited for."""
    before = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()
        raise
    executor.shutdown()


def _begin() -> None:
    """A worker leaves Ctrl-C to its parent, and its cores to the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["NUMBA_NUM_THREADS"] = "1"
    _hold_blas()


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    """A dask scheduler at an address; it gives a cell whose worker was lost to another one, three times."""
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependency("dask distributed is not installed: pip install 'refntk[cluster]'") from error
    try:
        client = Client(address, timeout="20s")
    except (OSError, TimeoutError, ValueError) as error:
        raise InvalidInput("executor", repr(address), f"no scheduler answers there ({error}); start one: dask scheduler") from error
    with client, client.get_executor(pure=False, retries=3) as executor:
        yield executor


@contextmanager
def _mpi() -> Iterator[Executor]:
    """The ranks of `mpirun -n N python -m mpi4py.futures -m refntk …`; rank 0 hands out the work."""
    try:
        from mpi4py.futures import MPIPoolExecutor
    except ImportError as error:
        raise MissingDependency("mpi4py is not installed: pip install 'refntk[mpi]'") from error
    with MPIPoolExecutor() as executor:
        yield executor
