import multiprocessing
import os
import time
from collections import Counter
from concurrent.futures import Future
from contextlib import closing, nullcontext

import pytest
import toy_study
from threadpoolctl import threadpool_limits

from refntk.errors import InvalidInput
from refntk.studies import executors
from refntk.studies.executors import Failure, place, run

GOOD = {f"good {i}": ("works", i) for i in range(9)}
FAULTS = {
    "raises": "ZeroDivisionError: planted",
    "exits": "SystemExit: 3",
    "dies": "died while it ran, alone",
    "cannot be sent": "pickle",
}


@pytest.fixture(scope="module")
def found():
    """What two processes make of good work with every fault in its midst."""
    work = dict(list(GOOD.items())[:4]) | {kind: (kind, 0) for kind in FAULTS} | GOOD
    with closing(run(toy_study.work, work, place(2))) as results:
        told = list(results)
    assert Counter(name for name, _ in told) == Counter(dict.fromkeys(work, 1))
    return dict(told)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_told(found, kind):
    assert isinstance(found[kind], Failure)
    assert FAULTS[kind] in found[kind].told


def test_the_others_go_on(found):
    assert {name: found[name] for name in GOOD} == {name: 10 * value for name, (_, value) in GOOD.items()}


@pytest.mark.parametrize("kind", ["raises", "exits"])
def test_here_too(kind):
    (name, failure), second = run(toy_study.work, {"bad": (kind, 0), "good": ("works", 1)}, place())
    assert name == "bad"
    assert FAULTS[kind] in failure.told
    assert 'toy_study.py", line' in failure.told  # a traceback
    assert second == ("good", 10)


@pytest.mark.parametrize("workers", [1, 2])
def test_blas_has_one_thread(monkeypatch, workers):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")  # for new processes
    with threadpool_limits(2, user_api="blas"):  # for this one
        (found,) = run(toy_study.work, {"threads": ("threads", 0)}, place(workers))
        assert set(toy_study.work("threads", 0)) == {min(2, os.cpu_count())}
    assert set(found[1]) == {1}


def test_whoever_leaves_early_ends_what_is_under_way():
    started = time.monotonic()
    with closing(run(time.sleep, {i: (0 if i == 0 else 60,) for i in range(20)}, place(2))) as results:
        assert next(results) == (0, None)
    for child in multiprocessing.active_children():
        child.join(5)
    assert not multiprocessing.active_children()
    assert time.monotonic() - started < 30


class Flawed(executors.Executor):
    """An executor that gives up, cell by cell, whatever `troubles` names."""

    def __init__(self, troubles):
        self.troubles = troubles

    def submit(self, function, /, *arguments):
        future = Future()
        trouble = self.troubles.pop(arguments[-1], None)
        if trouble == "cancelled":
            future.cancel()
            future.set_running_or_notify_cancel()
        elif trouble is not None:
            future.set_exception(trouble)
        else:
            future.set_result(function(*arguments))
        return future


def flawed(troubles):
    return executors.Place(lambda: nullcontext(Flawed(troubles)), 3, True)


class KilledWorker(Exception):
    """As dask names the error of a cell that cost several workers."""


def test_a_cell_given_up_with_its_neighbour_is_tried_alone():
    assert dict(run(toy_study.work, GOOD, flawed({3: KilledWorker()}))) == {name: 10 * v for name, (_, v) in GOOD.items()}


def test_what_an_executor_says_of_a_cell_is_its_failure():
    told = dict(run(toy_study.work, GOOD, flawed({3: ValueError("no such function there")})))["good 3"]
    assert told == Failure("ValueError: no such function there")


def test_a_lost_scheduler_is_an_error():
    with pytest.raises(ConnectionError, match="scheduler was lost"):
        list(run(toy_study.work, GOOD, flawed({3: "cancelled"})))


@pytest.mark.parametrize("workers", [0, -1, 1.0, True, "2"])
def test_a_number_of_workers_that_is_none(workers):
    with pytest.raises(InvalidInput, match="workers"):
        place(workers)


@pytest.mark.parametrize("address", ["tpc://127.0.0.1:8786", "127.0.0.1:8786", "", "MPI", "http://127.0.0.1"])
def test_an_address_that_is_none(address):
    with pytest.raises(InvalidInput, match="tcp://host:port"):
        place(1, address)
