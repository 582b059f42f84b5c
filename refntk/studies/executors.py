"""Where cells run: the standard `concurrent.futures.Executor` is the seam, and this process, a pool, dask and MPI all are one.

Everywhere BLAS is held to one thread, so that a cell has the same bits in any of them and beside any number of others. A pool that
breaks (a worker was killed, memory ran out) is built again; what was under way then runs alone, so that a cell that kills its
worker is found, and only that cell fails.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from ..errors import InvalidInput, MissingDependency

Name = TypeVar("Name")
AHEAD = 3  # cells handed over and not yet back, for each worker
PATIENCE = 20  # seconds for a scheduler to answer, and to have a worker
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


def run(
    function: Callable[..., Any], work: Mapping[Name, tuple[Any, ...]], where: Place, /
) -> Generator[tuple[Name, Any], None, None]:
    """`(name, function(*arguments))` for all work, in the order in which it is done; a `Failure` where there is no result.

    `function`, arguments and results must be picklable if `where` is elsewhere. Whoever closes it early ends what is under way.
    Raises what `Place.open` raises, and `ConnectionError` where a scheduler was lost.

    >>> dict(run(divmod, {"a": (7, 2), "b": (1, 0)}, place()))["a"]
    (3, 1)
    """
    waiting, suspects = deque(work), deque[Name]()
    guarded = partial(_guarded, where.elsewhere, function)
    while waiting or suspects:
        alone = bool(suspects)
        with where.open() as executor:
            submit = partial(executor.submit, guarded)
            lost = yield from _drain(submit, work, suspects if alone else waiting, 1 if alone else where.ahead)
        if alone:
            yield from ((name, Failure(DIED)) for name in lost)
        else:
            suspects.extend(lost)


def _drain(
    submit: Callable[..., Future[Any]], work: Mapping[Name, tuple[Any, ...]], queue: deque[Name], ahead: int
) -> Generator[tuple[Name, Any], None, list[Name]]:
    """Yields what is done until the queue is empty or the executor breaks; returns what was lost with a worker."""
    flying: dict[Future[Any], Name] = {}
    lost: list[Name] = []
    try:
        while queue or flying:
            while queue and len(flying) < ahead:
                future = submit(*work[queue[0]])
                flying[future] = queue.popleft()
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                error = future.exception()
                if isinstance(error, BrokenExecutor):
                    raise error
                name = flying.pop(future)
                if type(error).__name__ == "KilledWorker":  # dask: it, or what ran beside it, cost several workers
                    lost.append(name)
                else:
                    yield name, future.result() if error is None else Failure(f"{type(error).__name__}: {error}")
    except BrokenExecutor:
        lost.extend(flying.values())
    except CancelledError as error:
        raise ConnectionError("the scheduler was lost; what was done is kept, go on when it is back") from error
    return lost


def _guarded(elsewhere: bool, function: Callable[..., Any], *arguments: Any) -> Any:
    """The function's result, or a `Failure`: tracebacks cross processes as text."""
    if elsewhere:
        _hold_blas()
    try:
        return function(*arguments)
    except (Exception, SystemExit):
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


class _Pool(ProcessPoolExecutor):
    """Processes that begin deaf to Ctrl-C, which a terminal sends to all of them: their parent answers it."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            return super().submit(function, *arguments, **options)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # a process started here inherits it
        try:
            return super().submit(function, *arguments, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _pool(workers: int) -> Iterator[Executor]:
    """New processes with one thread each; when the work is left early they are ended, not waited for."""
    before = set(multiprocessing.active_children())
    executor = _Pool(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield executor
    except BaseException:
        for child in set(multiprocessing.active_children()) - before:
            child.terminate()  # which cancels the rest as well; to cancel it before would upset Python 3.11
        executor.shutdown()
        raise
    executor.shutdown()


def _begin() -> None:
    """A worker leaves Ctrl-C to its parent, its cores to the others, and does not outlive who started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, daemon=True).start()
    os.environ["NUMBA_NUM_THREADS"] = "1"


def _follow() -> None:
    """Ends this process when its parent has ended, even by kill -9."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _dask(address: str) -> Iterator[Executor]:
    """A dask scheduler at an address. It hands a cell whose worker was lost to another one, three times, and then gives it up."""
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingDependency("dask distributed is not installed: pip install 'refntk[cluster]'") from error
    try:
        client = Client(address, timeout=PATIENCE)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        raise InvalidInput("executor", repr(address), f"no scheduler answers there ({error}); start one: dask scheduler") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError as error:
            raise InvalidInput("executor", repr(address), f"no worker came; start some: dask worker {address}") from error
        executor = client.get_executor(pure=False)
        try:
            yield executor
        finally:
            executor.shutdown(wait=False)


@contextmanager
def _mpi() -> Iterator[Executor]:
    """The ranks of `mpirun -n N python -m mpi4py.futures -m refntk …`; rank 0 hands out the work."""
    try:
        from mpi4py.futures import MPIPoolExecutor, _core
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py finds no MPI library
        raise MissingDependency(f"mpi4py cannot be used ({error}): pip install 'refntk[mpi]' beside an MPI") from error
    if _core.SharedPool is None:
        raise InvalidInput("executor", "'mpi'", "start it as: mpirun -n N python -m mpi4py.futures -m refntk study …")
    executor = MPIPoolExecutor()
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
