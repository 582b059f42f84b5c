"""Readers of files against bytes that nobody should have written: DamagedFile, InvalidInput, OSError, or the very contents.

Valid files are flipped, cut, spliced, overwritten where zip and .npy keep sizes and offsets, and altered within and signed again,
so that what stands behind the digest is reached too. `python tests/test_fuzz_files.py INPUTS [SEED]` prints a record of a long run.
"""

import copy
import io
import json
import random
import re
import sys
import tempfile
import time
import tracemalloc
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import refntk as rn
from refntk import files
from refntk.errors import DamagedFile, InvalidInput
from refntk.studies.ledger import Ledger
from refntk.training.checkpoint import Checkpoint
from refntk.training.history import History

MIB = 2**20
BOUND = 4 * MIB, 16  # bytes that a reader may hold at once: so many, and so many times those of the file
NUMBERS = [0, 1, 2, 22, 46, 0x7F, 0xFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1]
VALUES = [None, True, -1, 0, 2**70, 1e308, 0.5, "", "interior", "\x00", [], {}, [[]], [None], ["interior", "interior"], {"a": {}}]
SHAPES = [
    b"()",
    b"(5)",
    b"(-1,)",
    b"(0,)",
    b"(1, 0, 99999999)",
    b"(9223372036854775807,)",
    b"(" + b"1, " * 70 + b")",
    b"((1,),)",
    b"(1e9,)",
]
DESCRS = [b"|O", b"<U9", b">f8", b"<c16", b"|V8", b"<f2", b"|b1", b"<M8", b"\\x00", b"<f8', 'a': '"]


def examples(folder):
    """Valid files of every reader: name -> (bytes, reader of a path, what it must find)."""
    problem = rn.problems.get("poisson1d")
    run = {"counts": {"interior": 4, "boundary": 2}, "weighting": "sketched", "record": 2, "rng": 17}
    network = rn.MLP([1, 3, 1])
    history = rn.train(problem, network, network.init(rng=17), steps=4, **run)
    history.save(folder / "history")
    Checkpoint(history, {"m": np.zeros(10), "count": np.array(4)}, {"traces": np.ones(2)}).save(folder / "checkpoint")
    identity = {"study": "toy", "config": {"n": 3}, "cell": {"i": 1}, "seed": 17, "code": "c"}
    ledger = Ledger(folder / "cells")
    ledger.store(
        identity, {"mean": np.array(0.5), "row": np.arange(4.0), "empty": np.zeros((0, 2)), "bytes": np.zeros(3, np.uint8)}
    )
    files.write_json(folder / "json", {"schema": "a", "config": {"sizes": [8, 150], "x": 0.5}, "seed": 17, "names": ["é", "b"]})

    def cell(path):
        path.replace(ledger.path(identity))
        return ledger.load(identity)

    return {
        "files.read": (ledger.path(identity).read_bytes(), lambda path: files.read(path, "refntk cell 1")),
        "files.read_json": ((folder / "json").read_bytes(), lambda path: files.read_json(path, "a")),
        "History.load": ((folder / "history").read_bytes(), lambda path: History.load(path).arrays()),
        "Checkpoint.load": ((folder / "checkpoint").read_bytes(), lambda path: content_of(Checkpoint.load(path, history.config))),
        "Ledger.load": (ledger.path(identity).read_bytes(), cell),
    }


def content_of(checkpoint):
    return checkpoint.history.arrays(), checkpoint.optimizer, checkpoint.weighting


def content(found):
    """Something to compare."""
    if isinstance(found, np.ndarray):
        return found.dtype.str, found.shape, found.tobytes()
    if isinstance(found, dict):
        return {name: content(value) for name, value in found.items()}
    return [content(value) for value in found] if isinstance(found, (list, tuple)) else found


def flip(data, chance, others):
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def cut(data, chance, others):
    del data[chance.randrange(len(data)) :]


def remove(data, chance, others):
    at = chance.randrange(len(data))
    del data[at : at + chance.randrange(1, 100)]


def splice(data, chance, others):
    other, at = chance.choice(others), chance.randrange(len(data))
    low = chance.randrange(len(other))
    piece = other[low : low + chance.randrange(1, 300)]
    data[at : at + chance.choice([0, len(piece)])] = piece


def number(data, chance, others):
    overwrite(data, chance, chance.randrange(len(data)))


def overwrite(data, chance, at):
    size = chance.choice([1, 2, 4, 8])
    data[at : at + size] = (chance.choice(NUMBERS) % 256**size).to_bytes(size, "little")


def directory(data, chance, others):
    """A field of a zip record: of a member, of the directory, of its end, or of a 64-bit end that is put there."""
    places = [m.start() for m in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06)", data)]
    if chance.random() < 0.1 and places:
        data[places[-1] : places[-1]] = b"PK\x06\x06" + bytes(52) + b"PK\x06\x07" + bytes(16)
    if places:
        overwrite(data, chance, chance.choice(places) + chance.randrange(4, 46))


def header(data, chance, others):
    """The text of an .npy header."""
    found = list(re.finditer(rb"'descr': '(.*?)'|'shape': (\(.*?\))|'fortran_order': (False)", data))
    if found:
        match = chance.choice(found)
        group = match.lastindex
        data[match.start(group) : match.end(group)] = chance.choice({1: DESCRS, 2: SHAPES, 3: [b"True", b"None", b"1"]}[group])


def repeat(data, chance, others):
    at = chance.randrange(len(data))
    data[at:at] = data[at : at + chance.randrange(1, 200)] * chance.randrange(1, 30)


CRUDE = [flip, cut, remove, splice, number, directory, header, repeat]


def alter(values, chance):
    """One node of a JSON value, or one entry, made another."""
    node = values
    while isinstance(node, (dict, list)) and node:
        key = chance.choice(list(node)) if isinstance(node, dict) else chance.randrange(len(node))
        if chance.random() < 0.4 or not isinstance(node[key], (dict, list)):
            if chance.random() < 0.25:
                del node[key]
            else:
                node[key] = copy.deepcopy(chance.choice(VALUES))
            return
        node = node[key]


def reshape(arrays, chance):
    """One array made another, or gone, or one more."""
    name = chance.choice(list(arrays))
    array = arrays[name]
    made = [
        lambda: array.astype(chance.choice(files.DTYPES)),
        lambda: array.reshape(chance.choice([(-1,), (1, -1), (-1, 1)])),
        lambda: array.reshape(-1)[: chance.randrange(array.size + 1)],
        lambda: array.reshape(-1)[:1].sum(),
        lambda: np.full(array.shape, chance.choice([0.0, 1.0, np.nan, np.inf])),
        lambda: np.zeros((0, 3)),
        lambda: np.resize(array, (2, 3, 4)) if array.size else array,
    ]
    action = chance.randrange(len(made) + 2)
    if action == len(made):
        del arrays[name]
    elif action == len(made) + 1:
        arrays[chance.choice(["", "optimizer.", ".x", "weighting.x", "other.x", "losses", "é"])] = array
    else:
        arrays[name] = np.asarray(made[action]())


def forge(data, chance):
    """A file altered within and signed again."""
    if data[:1] == b"{":
        values = json.loads(data)
        for _ in range(chance.randrange(1, 4)):
            alter(values, chance)
        return json.dumps(values, indent=1, ensure_ascii=chance.random() < 0.5).encode()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        arrays = {info.filename[:-4]: np.load(io.BytesIO(archive.read(info))) for info in archive.infolist()}
    values = json.loads(arrays.pop("meta").tobytes())
    del arrays["sha256"]
    for _ in range(chance.randrange(1, 4)):
        if chance.random() < 0.5:
            alter(values, chance)
        elif arrays:
            with np.errstate(all="ignore"):
                reshape(arrays, chance)
    members = {"meta": np.frombuffer(json.dumps(values).encode(), np.uint8)} | arrays
    members["sha256"] = files._digest(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in members.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.asarray(array, order="C"), version=(1, 0))
            archive.writestr(name + ".npy", stream.getvalue())
    return out.getvalue()


def fuzz(inputs, seed, folder, readers=None):
    """A record of so many inputs: outcomes by reader, what escaped, and the most memory held, in bytes and as a part of BOUND."""
    chance = random.Random(seed)
    valid = examples(folder)
    if readers is not None:
        valid = {name: (data, readers(read)) for name, (data, read) in valid.items()}
    path, seeds, truth = folder / "input", [data for data, _ in valid.values()], {}
    for name, (data, read) in valid.items():
        path.write_bytes(data)
        truth[name] = content(read(path))
    outcomes, escaped, most, part = Counter(), [], 0, 0.0
    tracemalloc.start()
    for i in range(inputs):
        name = chance.choice(list(valid))
        data, read = valid[name]
        signed = chance.random() < 0.3
        mutant = bytearray(forge(data, chance) if signed else data)
        for _ in range(0 if signed else chance.randrange(1, 4)):
            if mutant:
                chance.choice(CRUDE)(mutant, chance, seeds)
        path.write_bytes(mutant)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        try:
            found = content(read(path))
            outcome = "the contents" if found == truth[name] else "forged contents" if signed else "OTHER CONTENTS"
            if name == "files.read_json" and outcome == "OTHER CONTENTS":
                outcome = "other contents"  # it has no digest
        except (DamagedFile, InvalidInput, OSError) as error:
            outcome = type(error).__name__
        except Exception as error:
            outcome = f"ESCAPED {type(error).__name__}: {error}"
        held = tracemalloc.get_traced_memory()[1] - before
        most, part = max(most, held), max(part, held / (BOUND[0] + BOUND[1] * len(mutant)))
        outcomes[f"{name}: {outcome}"] += 1
        if "OTHER" in outcome or "ESCAPED" in outcome:
            escaped.append(f"input {i} of seed {seed}, {name}: {outcome}")
    tracemalloc.stop()
    return {
        "inputs": inputs,
        "seed": seed,
        "outcomes": dict(sorted(outcomes.items())),
        "escaped": escaped,
        "held": most,
        "part": part,
    }


@pytest.mark.parametrize("seed", [17, 18])
def test_nothing_escapes(tmp_path, seed):
    record = fuzz(400, seed, tmp_path)
    assert record["escaped"] == []
    assert record["part"] < 1
    assert record["outcomes"]["files.read: DamagedFile"] > 30


CARELESS = {
    "believes what it reads": lambda read: lambda path: believed(path) if zipfile.is_zipfile(path) else read(path),
    "allocates first": lambda read: lambda path: (bytes(64 * MIB), read(path))[1],
}


def believed(path):
    with zipfile.ZipFile(path) as archive:
        return [np.load(io.BytesIO(archive.read(name))) for name in archive.namelist()]


@pytest.mark.parametrize("fault", CARELESS)
def test_a_careless_reader_is_caught(tmp_path, fault):
    record = fuzz(120, 17, tmp_path, CARELESS[fault])
    assert record["escaped"] or record["part"] > 1


def main(inputs, seed=17):
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        started = time.monotonic()
        record = fuzz(int(inputs), int(seed), Path(folder))
    record |= {
        "seconds": round(time.monotonic() - started),
        "versions": {"numpy": np.__version__, "python": sys.version.split()[0]},
    }
    print(json.dumps(record | {"command": f"python tests/test_fuzz_files.py {inputs} {seed}"}, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
