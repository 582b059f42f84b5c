"""Engines are found by name, complete, and refuse what they cannot serve."""

import dataclasses

import array_api_strict
import numpy as np
import pytest

from refntk import engine
from refntk.errors import InvalidInput, UnknownNameError

FIELDS = [field.name for field in dataclasses.fields(engine.Engine) if field.name != "name"]


def test_the_reference_comes_first():
    assert engine.names()[0] == "reference"


@pytest.mark.parametrize("name", engine.names())
def test_engine_has_every_primitive_and_no_other(name):
    assert sorted(engine.HOMES[name]) == sorted(FIELDS)
    found = engine.get(name, xp=np)
    assert found.name == name
    assert all(callable(getattr(found, primitive)) for primitive in FIELDS)


@pytest.mark.parametrize("name", engine.names())
def test_engine_is_loaded_once(name):
    assert engine.get(name, xp=np) is engine.get(name, xp=np)


@pytest.mark.parametrize("name", engine.names())
def test_only_the_reference_serves_other_libraries(name):
    if name == "reference":
        assert engine.get(name, xp=array_api_strict).name == name
    else:
        with pytest.raises(InvalidInput, match="need engine='reference'"):
            engine.get(name, xp=array_api_strict)


@pytest.mark.parametrize("name", ["nuba", "", None, 3, ["numba"]])
def test_unknown_engine(name):
    with pytest.raises(UnknownNameError, match="engine"):
        engine.get(name, xp=np)
