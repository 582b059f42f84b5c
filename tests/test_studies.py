"""Every study of the registry at its smallest scale: its claims hold, its cells repeat to the byte, its figures can be drawn.

Seed and sizes are fixed, so that what holds once holds always; what chance had to say, each claim tells.
"""

import json

import numpy as np
import pytest
from conducted import measure, measured, outcome

from refntk import studies
from refntk.files import check_arrays
from refntk.studies.figure import Curves
from refntk.studies.study import plain

AGAIN = 6  # cells of each study that are measured once more


@pytest.mark.parametrize("name", studies.names())
def test_claims_hold(name):
    claims = studies.get(name).claims(outcome(name))
    assert claims
    assert [str(claim) for claim in claims if not claim.holds] == []
    assert len({claim.statement for claim in claims}) == len(claims)


@pytest.mark.parametrize("name", studies.names())
def test_cells_repeat_to_the_byte(name):
    """Some of them, alone and in another order than before."""
    study, first = studies.get(name), measured(name)
    cells = study.cells(study.configure("smoke"))
    picked = range(0, len(cells), max(1, len(cells) // AGAIN))
    again = {i: measure(study, cells[i]) for i in reversed(picked)}
    assert [cells[i] for i in picked if told(again[i]) != told(first[i])] == []


def told(arrays):
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}


@pytest.mark.parametrize("name", [name for name in studies.names() if "combine" not in vars(type(studies.get(name)))])
def test_cells_are_alike(name):
    """Where nothing else is said, the cells' arrays are put one upon the other."""
    kinds = {tuple((key, array.dtype.str, array.shape) for key, array in arrays.items()) for arrays in measured(name)}
    assert len(kinds) == 1


@pytest.mark.parametrize("name", studies.names())
def test_cells_can_be_stored(name):
    for arrays in measured(name):
        check_arrays(arrays)


@pytest.mark.parametrize("scale", studies.SCALES)
@pytest.mark.parametrize("name", studies.names())
def test_every_scale_has_cells_that_json_can_tell(name, scale):
    study = studies.get(name)
    config = study.configure(scale)
    told = [json.dumps(cell, sort_keys=True, allow_nan=False) for cell in study.cells(config)]
    assert told
    assert len(set(told)) == len(told)
    assert type(config)(**{k: tuple(v) if isinstance(v, list) else v for k, v in plain(config).items()}) == config


@pytest.mark.parametrize("name", studies.names())
def test_figures_can_be_drawn(name):
    figures = studies.get(name).figures(outcome(name))
    assert len({figure.name for figure in figures}) == len(figures) > 0
    panels = [panel for figure in figures for panel in figure.panels]
    series = [(panel, line) for panel in panels if isinstance(panel, Curves) for line in panel.series]
    assert [line.label for _, line in series if not len(line.x) == len(line.y) > 0] == []
    assert [line.label for _, line in series if not (line.label and np.isfinite(line.x).all() and np.isfinite(line.y).all())] == []
    assert [line.label for panel, line in series if "y" in panel.log and not (line.y > 0).any()] == []
    assert [panel.title for panel in panels if not panel.title] == []
