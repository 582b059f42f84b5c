import copy
import errno
import io
import json
import os
import tracemalloc
import zipfile

import numpy as np
import pytest

from refntk import files
from refntk.errors import DamagedFile, InvalidInput

SCHEMA = "test 1"
ARRAYS = {
    "theta": np.arange(5.0),
    "steps": np.array([0, 3], dtype=np.int64),
    "empty": np.zeros((0, 2)),
    "zero": np.array(-0.0),
    "nan": np.array([np.nan, np.inf]),
}


@pytest.fixture
def path(tmp_path):
    files.write(tmp_path / "run.npz", SCHEMA, {"lr": 0.5, "names": ["a"]}, ARRAYS)
    return tmp_path / "run.npz"


def content(arrays):
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in arrays.items()}


def same(left, right):
    return content(left) == content(right)


def test_what_is_written_is_read(path):
    meta, arrays = files.read(path, SCHEMA)
    assert meta == {"lr": 0.5, "names": ["a"]}
    assert same(arrays, ARRAYS)


def test_numpy_reads_it_too(path):
    with np.load(path, allow_pickle=False) as found:
        np.testing.assert_array_equal(found["theta"], ARRAYS["theta"])


def test_equal_contents_give_equal_bytes(path, tmp_path):
    files.write(tmp_path / "again.npz", SCHEMA, {"names": ["a"], "lr": 0.5}, ARRAYS)
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes()


@pytest.fixture
def small(tmp_path):
    files.write(tmp_path / "small.npz", SCHEMA, {}, {"theta": np.arange(2.0)})
    return tmp_path / "small.npz"


def outcome(path, data):
    """What reading `data` comes to: "damaged", "same", "other"; any other exception is passed on."""
    path.write_bytes(data)
    try:
        meta, arrays = files.read(path, SCHEMA)
    except DamagedFile:
        return "damaged"
    return "same" if meta == {} and same(arrays, {"theta": np.arange(2.0)}) else "other"


def test_no_flipped_bit_passes_as_another_content(small):
    data = small.read_bytes()
    outcomes = []
    for i in range(len(data)):
        changed = bytearray(data)
        changed[i] ^= 1 << (i * 5 % 8)
        outcomes.append(outcome(small, bytes(changed)))
    assert set(outcomes) == {"damaged", "same"}  # same: dates and attributes of the zip format
    assert outcomes.count("damaged") > len(data) / 2


def test_no_shortened_file_is_read(small):
    data = small.read_bytes()
    assert {outcome(small, data[:length]) for length in range(len(data))} == {"damaged"}


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def pack(path, contents, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents:
            archive.writestr(name, data)


def npy(array, **options):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **options)
    return stream.getvalue()


def signed(contents):
    """Members with the digest that they would have if they were ours."""
    arrays = {name[:-4]: np.load(io.BytesIO(data)) for name, data in contents.items() if name != "sha256.npy"}
    return contents | {"sha256.npy": npy(files._digest(arrays), version=(1, 0))}


def header(shape, descr="<f8"):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def meta(text):
    return {"meta.npy": npy(np.frombuffer(text.encode(), dtype=np.uint8), version=(1, 0))}


FOREIGN = {
    "not a zip": lambda own: b"PK but no more",
    "nothing": lambda own: b"",
    "compressed": lambda own: (own.items(), zipfile.ZIP_DEFLATED),
    "no digest": lambda own: {k: v for k, v in own.items() if k != "sha256.npy"},
    "no meta": lambda own: signed({k: v for k, v in own.items() if k != "meta.npy"}),
    "changed value": lambda own: own | {"theta.npy": npy(np.arange(5.0) + 1, version=(1, 0))},
    "renamed": lambda own: {k.replace("theta", "gamma"): v for k, v in own.items()},
    "a member that is no array": lambda own: own | {"readme.txt": b"hello"},
    "twice": lambda own: [*own.items(), ("theta.npy", npy(np.zeros(5), version=(1, 0)))],
    "an object": lambda own: own | {"theta.npy": npy(np.array([{}], dtype=object), version=(1, 0))},
    "text": lambda own: own | {"theta.npy": npy(np.array(["abc"]), version=(1, 0))},
    "big-endian": lambda own: signed(own | {"theta.npy": npy(np.arange(5.0).astype(">f8"), version=(1, 0))}),
    "column-major": lambda own: signed(own | {"theta.npy": npy(np.asfortranarray(np.ones((2, 3))), version=(1, 0))}),
    "another npy version": lambda own: signed(own | {"theta.npy": npy(np.arange(5.0), version=(2, 0))}),
    "a shape beyond the bytes": lambda own: own | {"theta.npy": header("(1000000000000,)") + bytes(40)},
    "a shape that overflows": lambda own: own | {"theta.npy": header(f"({2**62}, 4)")},
    "a negative shape": lambda own: own | {"theta.npy": header("(-1, -5)") + bytes(40)},
    "a header that is code": lambda own: own | {"theta.npy": header("__import__('os').getcwd()")},
    "a header that does not close": lambda own: own | {"theta.npy": header("((5,)") + bytes(40)},
    "a header with more in it": lambda own: own | {"theta.npy": header("(5,), 'more': 1") + bytes(40)},
    "another schema": lambda own: signed(own | meta('{"schema": "test 2"}')),
    "no schema": lambda own: signed(own | meta("{}")),
    "NaN in the JSON": lambda own: signed(own | meta('{"schema": "test 1", "lr": NaN}')),
    "infinity in the JSON": lambda own: signed(own | meta('{"schema": "test 1", "lr": 1e999}')),
    "a name twice in the JSON": lambda own: signed(own | meta('{"schema": "test 1", "lr": 1, "lr": 2}')),
    "a list for the JSON": lambda own: signed(own | meta("[]")),
    "deep JSON": lambda own: signed(own | meta("[" * 100_000)),
    "long JSON": lambda own: signed(own | meta(json.dumps({"schema": SCHEMA, "long": "x" * 2**20}))),
    "too many members": lambda own: own | {f"a{i}.npy": npy(np.zeros(1), version=(1, 0)) for i in range(files.MEMBERS + 1)},
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_files_are_refused(path, kind):
    made = FOREIGN[kind](members(path))
    if isinstance(made, bytes):
        path.write_bytes(made)
    elif isinstance(made, tuple):
        pack(path, *made)
    else:
        pack(path, made.items() if isinstance(made, dict) else made)
    with pytest.raises(DamagedFile, match="cannot be trusted"):
        files.read(path, SCHEMA)


test_foreign_files_are_refused = pytest.mark.filterwarnings("ignore:Duplicate name")(test_foreign_files_are_refused)


def test_an_honest_copy_is_not_refused(path):
    """The tools of the test above, with nothing wrong."""
    pack(path, signed(members(path)).items())
    assert same(files.read(path, SCHEMA)[1], ARRAYS)


def test_a_file_that_would_expand_is_refused_before_it_does(tmp_path):
    np.savez_compressed(tmp_path / "bomb.npz", theta=np.zeros(10_000_000))  # 80 MB in 80 kB
    tracemalloc.start()
    with pytest.raises(DamagedFile, match="compressed"):
        files.read(tmp_path / "bomb.npz", SCHEMA)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_a_long_directory_is_refused_before_it_is_read(path):
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    start = int.from_bytes(data[end + 16 : end + 20], "little")
    long = data[start:end] * (2**23 // (end - start))
    path.write_bytes(data[:start] + long + data[end : end + 12] + len(long).to_bytes(4, "little") + data[end + 16 :])
    tracemalloc.start()
    with pytest.raises(DamagedFile, match="directory is too long"):
        files.read(path, SCHEMA)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


def test_members_that_claim_more_than_the_file_holds_are_refused(path):
    """Entries of a zip's directory may all point at the same bytes."""
    with zipfile.ZipFile(path) as archive:
        doubled = [copy.copy(info) for info in archive.infolist() * 2]
    for i, info in enumerate(doubled):
        info.filename = f"a{i}.npy"

    class Archive:
        def infolist(self):
            return doubled

    with pytest.raises(ValueError, match="claim more"):
        files._directory(Archive(), path.stat().st_size)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "none.npz", SCHEMA)


FAILURES = {
    "disk full while writing": ("fsync", OSError(errno.ENOSPC, "No space left on device")),
    "no right to replace": ("replace", PermissionError(errno.EACCES, "Permission denied")),
    "killed before the end": ("replace", KeyboardInterrupt()),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_what_stood_there_survives(path, monkeypatch, failure):
    before, (function, error) = path.read_bytes(), FAILURES[failure]

    def fail(*args):
        raise error

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(type(error)) as caught:
        files.write(path, SCHEMA, {}, {"theta": np.zeros(2)})
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    if isinstance(error, OSError):
        assert caught.value.errno == error.errno
        assert str(path) in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"could not write .*nowhere"):
        files.write(tmp_path / "nowhere" / "run.npz", SCHEMA, {}, {})


UNFIT = {"bool": np.array([True]), "int32": np.zeros(2, np.int32), "big-endian": np.zeros(2, ">f8"), "text": np.array(["a"])}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_could_not_be_read_is_not_written(path, kind):
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match="plain numbers"):
        files.write(path, SCHEMA, {}, {"x": UNFIT[kind]})
    assert path.read_bytes() == before


def test_unfinished_files_are_swept_when_they_are_old(path):
    old, young = path.with_name(".run.npz.0123abcd.part"), path.with_name(".run.npz.0123abce.part")
    for part in (old, young):
        part.touch()
    os.utime(old, (0, 0))
    files.sweep(path.parent)
    assert sorted(p.name for p in path.parent.iterdir()) == [young.name, path.name]
    foreign = path.with_name(".video.part")
    foreign.touch()
    os.utime(foreign, (0, 0))
    files.sweep(path.parent)
    assert foreign.exists()
    files.sweep(path.parent / "nowhere")


def test_through_a_link_not_over_it(path):
    link = path.with_name("link.npz")
    link.symlink_to(path)
    files.write(link, SCHEMA, {}, {"theta": np.zeros(2)})
    assert link.is_symlink()
    assert files.read(path, SCHEMA)[1]["theta"].shape == (2,)


def test_the_file_obeys_the_umask(tmp_path):
    old = os.umask(0o022)
    try:
        files.write(tmp_path / "run.npz", SCHEMA, {}, {})
    finally:
        os.umask(old)
    assert (tmp_path / "run.npz").stat().st_mode & 0o777 == 0o644
