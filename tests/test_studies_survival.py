"""What the engine survives, seen from outside: processes that are stopped, killed, starved of disk, and clusters that fail."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from toy_study import TOY, results

from refntk import files
from refntk.studies.conduct import conduct

CELLS = 12
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The bytes of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole") / "toy"
    conduct(TOY, folder, scale="smoke")
    return results(folder)


def start(*arguments, before="", **environment):
    """`python -m toy_study ...`, in a process group of its own; `before` is Python that runs first."""
    code = f"import sys\n{before}\nimport toy_study\nsys.exit(toy_study.main(sys.argv[1:]))"
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path} | {name: str(value) for name, value in environment.items()},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(condition, seconds=120):
    """What the condition says once it says something."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.005)
    return found


def kept(out):
    return len(list((out / "cells").glob("*.npz")))


def alive(folder):
    """The processes that wrote their numbers into a folder and have not ended."""
    return [path.name for path in folder.iterdir() if Path(f"/proc/{path.name}").exists() and not ended(path.name)]


def ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize(("workers", "when"), [(1, "later"), (2, "at once"), (2, "later")])
def test_ctrl_c(tmp_path, expected, workers, when):
    out, pids = tmp_path / "toy", tmp_path / "pids"
    pids.mkdir()
    process = start(out, workers, TOY_PAUSE=0.1, TOY_PIDS=pids)
    until(lambda: (out / "study.json").exists())
    until((lambda: kept(out) >= 2) if when == "later" else (lambda: time.sleep(0.2) or True))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    told = process.communicate(timeout=120)[1]
    assert (process.returncode, told) == (130, "stopped\n")
    until(lambda: not alive(pids))
    assert 0 <= kept(out) < CELLS
    stood = kept(out)
    assert conduct(TOY, out, scale="smoke").reused == stood
    assert results(out) == expected


def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path, expected):
    out, pids = tmp_path / "toy", tmp_path / "pids"
    pids.mkdir()
    process = start(out, 2, TOY_PAUSE=0.2, TOY_PIDS=pids)
    until(lambda: kept(out) >= 2)
    assert len(alive(pids)) == 2
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)
    until(lambda: not alive(pids))
    conduct(TOY, out, scale="smoke")
    assert results(out) == expected


def victim(folder):
    """Kills the process that first leaves its number in the folder, from outside; the thread that does it."""

    def kill():
        path = until(lambda: next(folder.iterdir(), None))
        time.sleep(0.15)
        os.kill(int(path.name), signal.SIGKILL)
        path.unlink()

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def test_a_worker_killed_from_outside(tmp_path, expected, monkeypatch):
    (tmp_path / "pids").mkdir()
    monkeypatch.setenv("TOY_PIDS", str(tmp_path / "pids"))
    monkeypatch.setenv("TOY_PAUSE", "0.1")
    killer = victim(tmp_path / "pids")
    found = conduct(TOY, tmp_path / "toy", scale="smoke", workers=2)
    killer.join()
    assert len(list((tmp_path / "pids").iterdir())) > 2  # two at first, and those that came after
    assert found.failures == []
    assert results(tmp_path / "toy") == expected


SIEGE = """
import os, random, signal, sys, time
from pathlib import Path
import toy_study
from refntk.studies.conduct import conduct

os.environ["TOY_PAUSE"] = "0.01"
chance, folder = random.Random(17), Path(sys.argv[1])
started = time.monotonic()
conduct(toy_study.TOY, folder / "whole", scale="smoke")
whole = time.monotonic() - started
for k in range(20):
    if (pid := os.fork()) == 0:
        conduct(toy_study.TOY, folder / str(k), scale="smoke")
        os._exit(0)
    time.sleep(chance.random() * whole)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


def test_killed_at_twenty_moments(tmp_path, expected):
    """Each in a folder of its own; what was killed goes on to the bytes of what was not."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))}
    subprocess.run([sys.executable, "-c", SIEGE, str(tmp_path)], env=environment, check=True, timeout=180)
    assert results(tmp_path / "whole") == expected
    folders = [tmp_path / str(k) for k in range(20)]
    stood = [kept(folder) for folder in folders]
    assert len(set(stood)) > 4  # the moments were many
    told = []
    for folder, cells in zip(folders, stood, strict=True):
        found = conduct(TOY, folder, scale="smoke")
        told.append((found.reused == cells, found.damaged, results(folder) == expected))
    assert told == [(True, 0, True)] * 20


def test_a_disk_without_room_for_the_result(tmp_path, expected):
    """Files may not grow beyond 1,800 bytes: enough for a cell, not for the result."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1800, 1800))"
    process = start(tmp_path / "toy", before=limit)
    told = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert told.startswith(f"toy: [Errno 27] could not write {tmp_path / 'toy' / 'result.npz'}")
    assert told.count("\n") == 1
    assert kept(tmp_path / "toy") == CELLS
    assert not [path for path in (tmp_path / "toy").rglob("*") if files.is_part(path)]
    assert conduct(TOY, tmp_path / "toy", scale="smoke").reused == CELLS
    assert results(tmp_path / "toy") == expected


NOBODY = ("tcp://127.0.0.1:1", "tcp://", "tcp://127.0.0.1:port", "tcp://no.such.host.invalid:8786", "tls://127.0.0.1:1")


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """What runs at addresses where nobody listens come to, all begun at once: (what they said, exit code)."""
    pytest.importorskip("distributed")
    hasty = "import refntk.studies.executors as e; e.PATIENCE = 2"
    started = {address: start(tmp_path_factory.mktemp("none") / "toy", 1, address, before=hasty) for address in NOBODY}
    return {address: (process.communicate(timeout=180)[1], process.returncode) for address, process in started.items()}


@pytest.mark.parametrize("address", NOBODY)
def test_an_address_where_nobody_listens(calls, address):
    told, code = calls[address]
    assert code == 1
    assert told.startswith(f"toy: executor: got {address!r}; no scheduler answers there")
    assert told.count("\n") == 1


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A dask scheduler on loopback with two worker processes of one thread; each leaves its number in a folder."""
    distributed = pytest.importorskip("distributed")
    (tmp_path / "pids").mkdir()
    monkeypatch.setenv("TOY_PIDS", str(tmp_path / "pids"))
    monkeypatch.setenv("TOY_PAUSE", "0.1")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))}
    quiet = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    told, dask = tmp_path / "scheduler.json", [sys.executable, "-m", "dask"]
    common = ["--scheduler-file", str(told), "--no-dashboard", "--host", "127.0.0.1"]
    started = [subprocess.Popen([*dask, "scheduler", "--port", "0", *common], **quiet)]
    try:
        common = ["--nworkers", "2", "--nthreads", "1", "--local-directory", str(tmp_path), *common]
        started.append(subprocess.Popen([*dask, "worker", *common], **quiet))
        until(told.exists)
        found = until(lambda: address(told))
        with distributed.Client(found, timeout="120s") as client:
            client.wait_for_workers(2, timeout=120)
        yield found
    finally:
        for process in reversed(started):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def address(told):
    try:
        return json.loads(told.read_text())["address"]
    except ValueError:  # half written
        return None


def test_dask_with_a_worker_killed_on_the_way(cluster, tmp_path, expected):
    process = start(tmp_path / "toy", 1, cluster)
    killer = victim(tmp_path / "pids")
    assert (process.communicate(timeout=180)[1], process.returncode) == ("", 0)
    killer.join()
    assert results(tmp_path / "toy") == expected


@pytest.fixture(scope="module")
def mpirun():
    """The command that starts two ranks."""
    pytest.importorskip("mpi4py")
    found = shutil.which("mpirun", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip("no mpirun here")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    return [found, *(["--allow-run-as-root", "--oversubscribe"] if "Open MPI" in version else []), "-n", "2", sys.executable]


def test_two_ranks_of_mpi(mpirun, tmp_path, expected, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])))
    command = [*mpirun, "-m", "mpi4py.futures", "-m", "toy_study", str(tmp_path / "toy"), "1", "mpi"]
    subprocess.run(command, check=True, timeout=180)
    assert results(tmp_path / "toy") == expected


def test_mpi_without_mpirun(tmp_path):
    pytest.importorskip("mpi4py")
    process = start(tmp_path / "toy", 1, "mpi")
    assert "mpirun -n N python -m mpi4py.futures" in process.communicate(timeout=120)[1]
    assert process.returncode == 1
