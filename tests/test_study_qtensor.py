"""The study of the Q-tensor: faults planted in its outcome are seen, and the light is that of Q's own eigenvectors."""

import numpy as np
import pytest
from conducted import failed, outcome
from matplotlib.quiver import Quiver

from refntk import plots
from refntk.errors import ShapeError
from refntk.studies.figure import Figure, Image
from refntk.studies.qtensor import QTensor, _light


def only(weighting, change):
    """The fields with those of one weighting changed."""

    def changed(found):
        q = found.arrays["q"].copy()
        i = found.where(weighting=weighting)
        q[i] = change(q[i])
        return q

    return changed


def exact(found):
    return np.broadcast_to(found.arrays["reference.q"].astype(np.float32), found.arrays["q"].shape)


FAULTS = {
    "another time": ({"q": lambda found: found.arrays["q"][:, ::-1]}, "finite elements at t = 2"),
    "components exchanged": ({"q": only("fixed", lambda q: q[:, :, ::-1])}, "horizontal"),
    "twice as large": ({"q": only("sketched", lambda q: 2 * q)}, "Algorithm 3: relative L2"),
    "one far better than the other": (
        {"q": lambda found: np.where(np.arange(2)[:, None, None, None, None], found.arrays["q"], exact(found) * 1.01)},
        "little difference",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_seen(fault):
    changed, statement = FAULTS[fault]
    found = outcome("qtensor")
    told = [str(claim) for claim in QTensor().claims(_altered(found, changed)) if not claim.holds]
    assert any(statement in claim for claim in told)
    assert failed("qtensor") == []


def _altered(found, changed):
    return type(found)(found.config, found.cells, {**found.arrays, **{name: change(found) for name, change in changed.items()}})


def test_the_reference_itself_has_no_error():
    found = outcome("qtensor")
    claims = QTensor().claims(_altered(found, {"q": exact}))
    assert max(claim.measured for claim in claims if "relative L2" in claim.statement) < 1e-6


def test_light_is_that_of_the_matrix():
    q = np.random.default_rng(17).standard_normal((2, 40))
    Q = np.array([[q[0], q[1]], [q[1], -q[0]]]).transpose(2, 0, 1)
    values, vectors = np.linalg.eigh(Q)
    np.testing.assert_allclose(_light(q), np.abs(values[:, 1] * vectors[:, 0, 1]), rtol=0, atol=1e-14 * np.abs(values).max())
    assert np.abs(_light(q) - np.abs(values[:, 0] * vectors[:, 0, 0])).max() > 0.1  # the other eigenvector would not do


def test_directors_are_drawn_and_checked():
    figure, *_ = QTensor().figures(outcome("qtensor"))
    drawn = plots.study(Figure("one", "One.", figure.panels[:1]))
    (strokes,) = [artist for artist in drawn.axes[0].collections if isinstance(artist, Quiver)]
    assert strokes.N == 13**2
    with pytest.raises(ShapeError):
        Image("three columns", np.zeros((2, 2)), directors=np.zeros((4, 3)))


def test_directors_are_eigenvectors():
    figure, *_ = QTensor().figures(outcome("qtensor"))
    assert len(figure.panels) == 15
    assert all(isinstance(panel, Image) and panel.directors.shape == (13**2, 4) for panel in figure.panels)
    x, y, u, v = figure.panels[3].directors.T  # finite elements at t = 0.5
    there = outcome("qtensor").arrays
    i, j = (np.searchsorted(there["reference.side"], z - 1e-9) for z in (x, y))
    q1, q2 = there["reference.q"][1][:, i, j]
    size = np.hypot(q1, q2)
    assert np.abs(np.stack([q1 * u + q2 * v - size * u, q2 * u - q1 * v - size * v])).max() < 1e-12
