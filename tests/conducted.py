"""What the studies' smallest scale gives, measured once for all tests of a process, and outcomes with faults planted in them."""

from dataclasses import replace
from functools import cache

from threadpoolctl import threadpool_limits

from refntk import studies
from refntk.studies.study import key_of

SEED = 17  # fixed beforehand, like the studies' own default; no other was tried


def measure(study, cell, scale="smoke"):
    """One cell's arrays, with one BLAS thread as in every executor."""
    with threadpool_limits(1, user_api="blas"):
        return study.measure(study.configure(scale), cell, key=key_of(study, cell, seed=SEED))


@cache
def measured(name):
    """Every cell's arrays at the smoke scale, in the order of the grid."""
    study = studies.get(name)
    return [measure(study, cell) for cell in study.cells(study.configure("smoke"))]


@cache
def outcome(name):
    """The outcome of a study at the smoke scale."""
    study = studies.get(name)
    config = study.configure("smoke")
    return study.combine(config, study.cells(config), measured(name))


def failed(name, **changed):
    """The statements that do not hold when these arrays of the outcome are changed, `name=function of the outcome`."""
    found = outcome(name)
    altered = replace(found, arrays={**found.arrays, **{key: change(found) for key, change in changed.items()}})
    return [claim.statement for claim in studies.get(name).claims(altered) if not claim.holds]
