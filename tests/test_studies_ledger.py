import json

import numpy as np
import pytest

from refntk.errors import DamagedFile, InvalidInput
from refntk.studies import ledger
from refntk.studies.ledger import Ledger, code_version

IDENTITY = {"study": "toy", "config": {"n": 3}, "cell": {"i": 1}, "seed": 17, "code": "c"}
ARRAYS = {"mean": np.array(0.5), "row": np.arange(4.0)}
OTHER = {
    name: IDENTITY | {name: value} for name, value in [("study", "b"), ("config", {}), ("cell", {}), ("seed", 1), ("code", "")]
}


@pytest.fixture
def kept(tmp_path):
    found = Ledger(tmp_path / "cells")
    found.store(IDENTITY, ARRAYS)
    return found


def test_what_is_stored_is_loaded(kept):
    loaded = kept.load(IDENTITY)
    assert {name: (a.dtype, a.shape, a.tobytes()) for name, a in loaded.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in ARRAYS.items()
    }


def test_nothing_stands_where_nothing_was_stored(tmp_path):
    assert Ledger(tmp_path / "none").load(IDENTITY) is None


@pytest.mark.parametrize("what", OTHER)
def test_another_identity_is_another_file(kept, what):
    assert kept.load(OTHER[what]) is None


@pytest.mark.parametrize("what", OTHER)
def test_a_file_of_another_identity_is_not_trusted(kept, what):
    kept.path(IDENTITY).rename(kept.path(OTHER[what]))
    with pytest.raises(DamagedFile, match="of another cell"):
        kept.load(OTHER[what])


def test_no_bit_may_change(kept):
    path, told = kept.path(IDENTITY), []
    whole, expected = path.read_bytes(), kept.load(IDENTITY)
    for i in np.random.default_rng(17).integers(0, 8 * len(whole), 300):
        changed = bytearray(whole)
        changed[i // 8] ^= 1 << i % 8
        path.write_bytes(bytes(changed))
        try:
            told.append(all(np.array_equal(kept.load(IDENTITY)[name], expected[name]) for name in ARRAYS))
        except DamagedFile:
            told.append(None)
    assert set(told) == {True, None}  # True: what says nothing, as dates do
    assert told.count(None) > 150


UNFIT = {"bool": np.array([True]), "int32": np.zeros(2, np.int32), "complex": np.zeros(2, complex), "object": np.array([{}])}


@pytest.mark.parametrize("kind", UNFIT)
def test_what_could_not_be_read_is_not_written(kept, kind):
    with pytest.raises(InvalidInput, match="plain numbers"):
        kept.store(OTHER["seed"], {"x": UNFIT[kind]})
    assert [path.name for path in kept.folder.iterdir()] == [kept.path(IDENTITY).name]


def test_a_reserved_name_is_not_written(kept):
    with pytest.raises(InvalidInput, match="none meta, sha256"):
        kept.store(OTHER["seed"], {"meta": np.zeros(2)})


def test_the_order_of_an_identity_does_not_matter(kept):
    assert kept.path(dict(reversed(IDENTITY.items()))) == kept.path(IDENTITY)


def test_an_identity_without_a_number_is_refused(kept):
    with pytest.raises(ValueError, match="JSON"):
        kept.path(IDENTITY | {"seed": float("nan")})


def test_the_code_version_follows_the_source(tmp_path, monkeypatch):
    """A copy of the package with one more blank is other code; the same copy is the same."""
    root = tmp_path / "refntk"
    (root / "studies").mkdir(parents=True)
    (root / "arrays.py").write_text("a = 1\n")
    monkeypatch.setattr(ledger, "__file__", str(root / "studies" / "ledger.py"))
    versions = []
    for text in ("a = 1\n", "a = 1\n", "a =  1\n"):
        (root / "arrays.py").write_text(text)
        versions.append(code_version.__wrapped__())
    assert versions[0] == versions[1] != versions[2]
    monkeypatch.setattr(ledger, "version", lambda name: "0")
    assert code_version.__wrapped__() != versions[2]


def test_the_identity_in_a_file_is_readable(kept):
    assert json.dumps(IDENTITY, sort_keys=True).encode() in kept.path(IDENTITY).read_bytes()
