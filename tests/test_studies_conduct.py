import errno
import json
import multiprocessing
import os
import shutil
import sys
from dataclasses import asdict

import numpy as np
import pytest
import toy_study
from toy_study import TOY, results

from refntk import files, studies
from refntk.errors import DamagedFile, InvalidInput, UnknownNameError
from refntk.studies.conduct import conduct, revisit

room = sys.modules[conduct.__module__]  # `refntk.studies.conduct` is the function
CELLS = 12


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole") / "toy"
    assert conduct(TOY, folder, scale="smoke").reused == 0
    return folder


@pytest.fixture
def copy(whole, tmp_path):
    """A copy of it."""
    return shutil.copytree(whole, tmp_path / "copy")


def parts(folder):
    return [path.name for path in folder.rglob("*") if files.is_part(path)]


def cell_files(folder):
    return sorted((folder / "cells").glob("*.npz"))


def test_a_run(whole):
    found = revisit(TOY, whole)
    assert found.outcome.arrays["row"].shape == (CELLS, 4)
    assert [claim.holds for claim in found.claims] == [True]
    assert json.loads((whole / "claims.json").read_text())["claims"] == json.loads(json.dumps([asdict(c) for c in found.claims]))
    assert len(cell_files(whole)) == CELLS
    assert not parts(whole)


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_same_bytes_from_any_number_of_processes(whole, tmp_path, workers):
    found = conduct(TOY, tmp_path / "toy", scale="smoke", workers=workers)
    assert (found.reused, found.damaged, found.failures) == (0, 0, [])
    assert results(tmp_path / "toy") == results(whole)


def test_another_seed_gives_other_bytes(whole, tmp_path):
    """What the comparisons of bytes must be able to see."""
    conduct(TOY, tmp_path / "toy", scale="smoke", seed=18)
    assert results(tmp_path / "toy")["result.npz"] != results(whole)["result.npz"]


def test_again_is_nothing(copy, whole):
    found = conduct(TOY, copy, scale="smoke")
    assert (found.reused, found.damaged, found.seconds) == (CELLS, 0, {})
    assert results(copy) == results(whole)


def test_what_a_cell_costs_is_told_and_no_result(tmp_path, whole):
    found = conduct(TOY, tmp_path / "toy", scale="smoke")
    assert sorted(found.seconds) == list(range(CELLS))
    assert min(found.seconds.values()) >= 0
    assert results(tmp_path / "toy") == results(whole)


def test_a_result_from_before_a_field_was_added_is_shown_with_its_default(copy):
    about = json.loads((copy / "study.json").read_text())
    meta, arrays = files.read(copy / "result.npz", about["schema"])
    del meta["about"]["config"]["repeats"]
    files.write(copy / "result.npz", about["schema"], meta, arrays)
    assert revisit(TOY, copy).about["config"] == about["config"]


def test_anew_is_everything(copy, whole):
    found = conduct(TOY, copy, scale="smoke", fresh=True)
    assert (found.reused, found.damaged) == (0, 0)
    assert results(copy) == results(whole)


DAMAGES = {
    "emptied": lambda path, others: path.write_bytes(b""),
    "cut in half": lambda path, others: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "cut by a byte": lambda path, others: path.write_bytes(path.read_bytes()[:-1]),
    "longer": lambda path, others: path.write_bytes(path.read_bytes() + bytes(2**20)),
    "a bit flipped": lambda path, others: path.write_bytes(path.read_bytes().replace(b"toy", b"toz", 1)),
    "zeros in the middle": lambda path, others: path.write_bytes(path.read_bytes()[:500] + bytes(100) + path.read_bytes()[600:]),
    "of another cell": lambda path, others: shutil.copy(others[0], path),
    "of another program": lambda path, others: np.savez(path, mean=np.array(0.5), row=np.zeros(4)),
    "text": lambda path, others: path.write_text("no result\n"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cell_is_counted_and_computed_again(copy, whole, damage):
    path, *others = cell_files(copy)
    DAMAGES[damage](path, others)
    found = conduct(TOY, copy, scale="smoke")
    assert (found.reused, found.damaged) == (CELLS - 1, 1)
    assert results(copy) == results(whole)
    assert conduct(TOY, copy, scale="smoke").damaged == 0


def test_a_missing_cell_is_no_damage(copy, whole):
    cell_files(copy)[3].unlink()
    found = conduct(TOY, copy, scale="smoke")
    assert (found.reused, found.damaged) == (CELLS - 1, 0)
    assert results(copy) == results(whole)


def test_other_code_computes_all_again(copy, monkeypatch):
    monkeypatch.setattr(room, "code_version", lambda: "other code")
    found = conduct(TOY, copy, scale="smoke")
    assert (found.reused, found.damaged, found.about["code"]) == (0, 0, "other code")


def test_a_worker_with_other_code_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "code_version", lambda: "other code")  # here, not in the worker
    found = conduct(TOY, tmp_path / "toy", scale="smoke", workers=2)
    assert len(found.failures) == CELLS
    assert all("make them the same" in told for _, told in found.failures)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cell_that_raises(whole, tmp_path, monkeypatch, workers):
    monkeypatch.setenv("TOY_RAISES", "2,7")
    found = conduct(TOY, tmp_path / "toy", scale="smoke", workers=workers)
    assert sorted((cell["size"], cell["i"]) for cell, _ in found.failures) == [(8, 2), (150, 1)]
    assert all("Traceback" in told and "ZeroDivisionError: planted in cell" in told for _, told in found.failures)
    assert found.outcome is None
    assert not (tmp_path / "toy" / "result.npz").exists()
    monkeypatch.delenv("TOY_RAISES")
    assert conduct(TOY, tmp_path / "toy", scale="smoke").reused == CELLS - 2
    assert results(tmp_path / "toy") == results(whole)


def test_a_cell_that_kills_its_worker(tmp_path, monkeypatch):
    monkeypatch.setenv("TOY_KILLS", "5")
    found = conduct(TOY, tmp_path / "toy", scale="smoke", workers=2)
    ((cell, told),) = found.failures
    assert cell == {"size": 8, "i": 5}
    assert "died while it ran, alone" in told
    assert len(cell_files(tmp_path / "toy")) == CELLS - 1


def test_a_cell_whose_arrays_cannot_be_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(toy_study.Toy, "measure", lambda *arguments, key: {"mean": np.array(True)})
    found = conduct(TOY, tmp_path / "toy", scale="smoke")
    assert len(found.failures) == CELLS
    assert all("plain numbers" in told for _, told in found.failures)


FOREIGN = {
    "another study": {"study": "tony"},
    "another version": {"version": 2},
    "another seed": {"seed": 18},
    "another scale": {"scale": "paper"},
    "another configuration": {"config": {"sizes": [8], "repeats": 6}},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_the_folder_of_something_else_is_left_alone(copy, kind):
    files.write_json(copy / "study.json", files.read_json(copy / "study.json", room.SCHEMA) | FOREIGN[kind])
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(InvalidInput, match=f"holds a study with {next(iter(FOREIGN[kind]))}.*fresh"):
        conduct(TOY, copy, scale="smoke")
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_that_is_no_study_is_left_alone(tmp_path, fresh):
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "biology").touch()
    with pytest.raises(InvalidInput, match="holds something else"):
        conduct(TOY, tmp_path, scale="smoke", fresh=fresh)
    assert (tmp_path / "cells" / "biology").exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_damaged_description(copy, fresh):
    (copy / "study.json").write_text('{"schema": "refntk study 1"')
    with pytest.raises(DamagedFile, match="cannot be trusted"):
        conduct(TOY, copy, scale="smoke", fresh=fresh)


def test_what_a_killed_writer_left_does_no_harm(whole, tmp_path):
    """Also where it was killed at its very first file."""
    (tmp_path / "toy" / "cells").mkdir(parents=True)
    old, young = tmp_path / "toy" / "cells" / ".old.npz.0000000a.part", tmp_path / "toy" / ".study.json.0000000b.part"
    for path in (old, young):
        path.write_bytes(b"half a file")
    (tmp_path / "toy" / "cells").rename(tmp_path / "cells")
    conduct(TOY, tmp_path / "toy", scale="smoke")
    shutil.copy(tmp_path / "cells" / old.name, old)
    os.utime(old, (0, 0))
    conduct(TOY, tmp_path / "toy", scale="smoke")
    assert parts(tmp_path / "toy") == [young.name]
    assert results(tmp_path / "toy") == results(whole)


@pytest.mark.parametrize("place", ["file", "file/below", "\0"])
def test_a_folder_that_cannot_be_written(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises((OSError, ValueError), match=r"file|null"):
        conduct(TOY, tmp_path / place, scale="smoke")


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk(whole, tmp_path, monkeypatch, workers):
    real, calls = os.fsync, []

    def fsync(handle):
        calls.append(handle)
        if len(calls) > 12:  # a file and its folder: one description and five cells
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(OSError, match=r"could not write .*cells.*No space left on device") as caught:
            conduct(TOY, tmp_path / "toy", scale="smoke", workers=workers)
    assert caught.value.errno == errno.ENOSPC
    assert len(cell_files(tmp_path / "toy")) == 5
    assert not parts(tmp_path / "toy")
    for child in multiprocessing.active_children():
        child.join(5)
    assert not multiprocessing.active_children()
    assert conduct(TOY, tmp_path / "toy", scale="smoke").reused == 5
    assert results(tmp_path / "toy") == results(whole)


def test_a_name_that_is_none(tmp_path):
    with pytest.raises(UnknownNameError, match="smoke, desk"):
        conduct(TOY, tmp_path / "toy", scale="smok")
    with pytest.raises(UnknownNameError, match="repeats"):
        conduct(TOY, tmp_path / "toy", scale="smoke", changes={"repeat": 3})
    assert not (tmp_path / "toy").exists()


def test_revisiting_what_is_not_there(tmp_path, copy):
    with pytest.raises(InvalidInput, match="no result stands there"):
        revisit(TOY, tmp_path)
    (copy / "result.npz").write_bytes((copy / "result.npz").read_bytes()[:-7])
    with pytest.raises(DamagedFile):
        revisit(TOY, copy)


def test_a_line_of_progress(tmp_path, capsys):
    conduct(TOY, tmp_path / "toy", scale="smoke", progress=True)
    assert "12/12" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_configuration_holds_finite_numbers(value):
    with pytest.raises(InvalidInput, match="alpha"):
        studies.get("quadratic").configure("smoke", {"alpha": value})
