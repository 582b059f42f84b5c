"""Errors say what was passed and what to do about it, survive a process boundary, and are all ValueErrors."""

import pickle

import pytest

from refntk import errors
from refntk.errors import DamagedFile, InvalidInput, MissingDependency, NotFiniteError, ShapeError, TraceError, UnknownNameError

PLAIN = (InvalidInput, ShapeError, NotFiniteError, TraceError, DamagedFile)


@pytest.mark.parametrize("kind", PLAIN)
def test_message_names_argument_value_and_remedy(kind):
    error = kind("alpha", 0.0, "choose a number in (0, 1]")
    assert str(error) == "alpha: got 0.0; choose a number in (0, 1]"
    assert (error.argument, error.value, error.remedy) == ("alpha", 0.0, "choose a number in (0, 1]")


@pytest.mark.parametrize("error", [*(kind("a", 1, "b") for kind in PLAIN), UnknownNameError("engine", "nuba", ["numba"])])
def test_errors_pickle_with_their_attributes(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.argument, again.value) == (str(error), error.argument, error.value)


def test_unknown_name_offers_the_nearest():
    assert str(UnknownNameError("engine", "nuba", ["reference", "numba"])) == (
        "engine: got 'nuba'; did you mean 'numba'? known: reference, numba"
    )


def test_unknown_name_offers_nothing_where_nothing_is_near():
    assert "did you mean" not in str(UnknownNameError("engine", "zzz", ["reference", "numba"]))


def test_unknown_name_takes_what_cannot_be_hashed():
    assert "['numba']" in str(UnknownNameError("engine", ["numba"], iter(["reference"])))


def test_every_input_error_is_a_value_error_and_the_missing_package_an_import_error():
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert {e.__name__ for e in kinds if not issubclass(e, InvalidInput)} == {"MissingDependency"}
    assert issubclass(InvalidInput, ValueError)
    assert issubclass(MissingDependency, ImportError)
