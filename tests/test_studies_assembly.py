import io
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import refntk as rn
from refntk.errors import InvalidInput
from refntk.kernel import ntk as room
from refntk.studies import assembly
from refntk.studies.assembly import assemble_ntk

WAVE = rn.problems.get("wave")
NETWORK = rn.MLP([2, 6, 6, 1], **WAVE.normalization)
THETA = NETWORK.init(rng=17)
POINTS = WAVE.sample(rng=17, counts={"interior": 130, "initial": 40, "velocity": 40, "boundary": 30})
N = 240


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Tiles of some 30 rows, so that a small kernel has many; only here, so not with workers."""
    monkeypatch.setattr(room, "TILE_BYTES", 2**17)


def truth(**options):
    return rn.ntk(rn.linearize(WAVE, NETWORK, THETA, POINTS, **options))


@pytest.mark.parametrize("engine", ["reference", "numba"])
@pytest.mark.parametrize("tile", [1, 100, 10_000])
def test_the_bits_of_ntk(tmp_path, engine, tile):
    path = assemble_ntk(WAVE, NETWORK, THETA, POINTS, tmp_path / "K.npy", tile=tile, engine=engine)
    saved = io.BytesIO()
    np.save(saved, truth(engine=engine))
    assert path.read_bytes() == saved.getvalue()
    assert [p.name for p in tmp_path.iterdir()] == ["K.npy"]


def test_kernels_that_do_not_fit_into_the_tape(tmp_path, monkeypatch):
    """Where factors are made anew for every pair, and a stretch ends within a patch."""
    real = rn.linearize

    def tight(*arguments, **options):
        return replace(real(*arguments, **options), tape_bytes=60_000)

    monkeypatch.setattr(assembly, "linearize", tight)
    lin = tight(WAVE, NETWORK, THETA, POINTS)
    assert not lin.compact
    path = assemble_ntk(WAVE, NETWORK, THETA, POINTS, tmp_path / "K.npy", tile=90, engine="reference")
    assert np.array_equal(np.load(path, mmap_mode="r"), rn.ntk(lin))


def test_other_scaling_is_another_kernel(tmp_path):
    path = assemble_ntk(WAVE, NETWORK, THETA, POINTS, tmp_path / "K.npy", scaling="mean", engine="reference")
    assert np.array_equal(np.load(path), truth(scaling="mean"))
    assert not np.array_equal(np.load(path), truth())


def test_a_problem_without_a_network(tmp_path):
    problem = rn.problems.get("quadratic")
    theta, points = problem.init(rng=17), problem.sample(rng=17)
    path = assemble_ntk(problem, None, theta, points, tmp_path / "K.npy", tile=3, engine="reference")
    assert np.array_equal(np.load(path), rn.ntk(rn.linearize(problem, None, theta, points)))


def test_it_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    real, done = assembly._block, []

    def block(*arguments):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(arguments)
        return real(*arguments)

    path = tmp_path / "K.npy"
    monkeypatch.setattr(assembly, "_block", block)
    with pytest.raises(KeyboardInterrupt):
        assemble_ntk(WAVE, NETWORK, THETA, POINTS, path, tile=60, engine="reference")
    tiles = sorted(Path(f"{path}.tiles").iterdir())
    assert len(tiles) == 5
    tiles[0].write_bytes(tiles[0].read_bytes()[:-1])  # damaged: made again
    shutil.copy(tiles[1], tiles[2])  # of another tile: made again
    done.clear()
    monkeypatch.setattr(assembly, "_block", lambda *arguments: done.append(arguments) or real(*arguments))
    assemble_ntk(WAVE, NETWORK, THETA, POINTS, path, tile=60, engine="reference")
    count = len(assembly._stretches(rn.linearize(WAVE, NETWORK, THETA, POINTS), 60))
    assert len(done) == count * (count + 1) // 2 - 3
    assert np.array_equal(np.load(path), truth())


def test_a_tile_that_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(assembly, "_opened", assembly.lru_cache(lambda kernel: 1 / 0))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        assemble_ntk(WAVE, NETWORK, THETA, POINTS, tmp_path / "K.npy")


def test_what_stands_there_is_not_overwritten(tmp_path):
    (tmp_path / "K.npy").write_text("mine")
    with pytest.raises(InvalidInput, match="something stands there"):
        assemble_ntk(WAVE, NETWORK, THETA, POINTS, tmp_path / "K.npy")


@pytest.mark.parametrize("tile", [0, -1, 2.0, True])
def test_a_tile_that_is_none(tmp_path, tile):
    with pytest.raises(InvalidInput, match="tile"):
        assemble_ntk(WAVE, NETWORK, THETA, POINTS, tmp_path / "K.npy", tile=tile)


LARGE = """
import sys
import numpy as np, refntk as rn
from refntk.studies.assembly import assemble_ntk

def peak():
    with open("/proc/self/status") as file:
        return [int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM")][0]

def points(n):
    return problem.sample(rng=17, counts={"interior": n // 2, "initial": n // 8, "velocity": n // 8, "boundary": n // 4})

if __name__ == "__main__":
    path, workers = sys.argv[1], int(sys.argv[2])
    problem = rn.problems.get("wave")
    network = rn.MLP([2, 4, 1], **problem.normalization)
    theta = network.init(rng=17)
    peaks = []
    if workers == 1:
        assemble_ntk(problem, network, theta, points(2000), path + ".half", tile=600)
        peaks.append(peak())
    assemble_ntk(problem, network, theta, points(4000), path, tile=600, workers=workers)
    peaks.append(peak())
    if workers == 1:
        np.save(path + ".ntk", rn.ntk(rn.linearize(problem, network, theta, points(4000), engine="numba")))
        peaks.append(peak())
    print(*np.diff(peaks))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A kernel of 122 MiB by one and by two processes, and by `ntk`: the folder of the files, and growths of the peak (MiB)."""
    folder = tmp_path_factory.mktemp("large")
    (folder / "large.py").write_text(LARGE)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    grown = []
    for workers in ("1", "2"):
        command = [sys.executable, str(folder / "large.py"), str(folder / workers), workers]
        told = subprocess.run(command, check=True, timeout=120, stdout=subprocess.PIPE, text=True, env=environment)
        grown += [float(number) for number in told.stdout.split()]
    return folder, grown


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_same_bytes_from_any_number_of_processes(large, workers):
    assert (large[0] / workers).read_bytes() == (large[0] / "1.ntk.npy").read_bytes()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read there")
def test_memory_does_not_grow_with_the_matrix(large):
    """From 2,000 rows to 4,000 the matrix grows by 92 MiB; `ntk`, which holds it, shows that it would be seen."""
    assembled, whole = large[1]
    assert assembled < 60
    assert whole > 100
