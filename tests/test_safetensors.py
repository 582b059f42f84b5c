"""safetensors: the bytes of the library of that name, read back by NumPy alone, and files that promise what they do not hold."""

import json
import random
import tracemalloc

import numpy as np
import pytest
import safetensors.numpy as library

from refntk import safetensors
from refntk.files import DISTRUST

TENSORS = {"b/ntk": np.arange(6.0).reshape(2, 3), "a": np.array([-0.0, 5e-324]), "c-é": np.ones((1, 1, 2))}


def same(got, want):
    return set(got) == set(want) and all(
        got[name].shape == want[name].shape and got[name].dtype == want[name].dtype and got[name].tobytes() == want[name].tobytes()
        for name in want
    )


def test_what_is_written_is_read_bit_for_bit():
    assert same(safetensors.decode(safetensors.encode(TENSORS)), TENSORS)
    assert list(safetensors.decode(safetensors.encode(TENSORS))) == sorted(TENSORS)
    assert safetensors.decode(safetensors.encode({})) == {}
    found = safetensors.decode(safetensors.encode(TENSORS))["a"]
    found += 1  # an array of its own


def test_equal_arrays_give_equal_bytes_in_any_order():
    assert safetensors.encode(TENSORS) == safetensors.encode(dict(reversed(TENSORS.items())))
    assert int.from_bytes(safetensors.encode(TENSORS)[:8], "little") % 8 == 0


def test_the_library_writes_the_same_bytes_and_is_read():
    assert safetensors.encode(TENSORS) == library.save(TENSORS)
    assert same(library.load(safetensors.encode(TENSORS)), TENSORS)
    kinds = {name: np.arange(5).astype(dtype) for name, dtype in safetensors.DTYPES.items()}
    assert same(safetensors.decode(library.save(kinds, metadata={"format": "np"})), kinds)


def test_arrays_without_entries_are_read():
    empty = {"a": np.zeros((0, 3)), "b": np.ones(1), "c": np.zeros(0)}
    assert same(safetensors.decode(safetensors.encode(empty)), empty)


def file(header, data=bytes(64)):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(low=0, high=64, shape=(8,), dtype="F64", **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [low, high], **more}


RIGHT = file({"a": entry()})
HOSTILE = {
    "empty": b"",
    "seven bytes": RIGHT[:7],
    "a header cut off": RIGHT[:20],
    "numbers cut off": RIGHT[:-1],
    "one byte more": RIGHT + b"\x00",
    "a header of 2⁶⁴ bytes": b"\xff" * 8 + RIGHT[8:],
    "a header of 2 MiB": file(b"{}" + b" " * 2**21, b""),
    "no JSON": file(b"\xff\xfe"),
    "a list": file([]),
    "deep": file(b"[" * 100_000),
    "a name twice": file(b'{"a": 1, "a": 1}'),
    "NaN": file(b'{"a": {"dtype": "F64", "shape": [NaN], "data_offsets": [0, 64]}}'),
    "no entry": file({"a": 3}),
    "an unknown word": file({"a": entry(strides=[8])}),
    "no offsets": file({"a": {"dtype": "F64", "shape": [8]}}),
    "three offsets": file({"a": entry() | {"data_offsets": [0, 64, 64]}}),
    "objects": file({"a": entry(dtype="O")}),
    "a list for a type": file({"a": entry(dtype=["F64"])}),
    "a number for a shape": file({"a": entry() | {"shape": 8}}),
    "a fraction": file({"a": entry(shape=[8.0])}),
    "a truth for a length": file({"a": entry(shape=[True, 8])}),
    "two negative lengths": file({"a": entry(shape=[-2, -4])}),
    "a shape that is too small": file({"a": entry(shape=[7])}),
    "a shape that is too large": file({"a": entry(shape=[2**60])}),
    "a hundred axes": file({"a": entry(shape=[1] * 99 + [8])}),
    "beyond the end": file({"a": entry(high=128, shape=[16])}),
    "before the start": file({"a": entry(-8, 56, [8])}),
    "backwards": file({"a": entry(64, 0)}),
    "a gap": file({"a": entry(8, 64, [7])}),
    "an overlap": file({"a": entry(0, 40, [5]), "b": entry(32, 64, [4])}),
    "the same bytes twice": file({"a": entry(), "b": entry()}),
    "bytes of no array": file({}),
}


@pytest.mark.parametrize("damage", HOSTILE)
def test_hostile_bytes_are_refused_before_they_cost_memory(damage):
    assert same(safetensors.decode(RIGHT), {"a": np.zeros(8)})
    tracemalloc.start()
    with pytest.raises(DISTRUST):
        safetensors.decode(HOSTILE[damage])
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert held < 2**23


def fuzzed(read, inputs=400, seed=17):
    """What comes of valid bytes, a few of them overwritten: they are refused, or give arrays that fill the file, or do not."""
    chance, valid, outcomes = random.Random(seed), safetensors.encode(TENSORS), set()
    for _ in range(inputs):
        data = bytearray(valid)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data) - 80)] = chance.choice(b'0123456789[]{}",:F-\x00\xff')
        try:
            found = read(bytes(data))
        except DISTRUST:
            outcomes.add("refused")
        else:
            start = 8 + int.from_bytes(data[:8], "little")
            outcomes.add("filled" if sum(array.nbytes for array in found.values()) == len(data) - start else "not filled")
    return outcomes


def believing(data):
    """Planted fault: a reader that takes every entry at its word."""
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    return {name: np.frombuffer(data[start:], "<f8", int(np.prod(e["shape"]))).reshape(e["shape"]) for name, e in header.items()}


def test_no_altered_header_is_believed():
    assert fuzzed(safetensors.decode) == {"refused", "filled"}
    assert "not filled" in fuzzed(believing)
