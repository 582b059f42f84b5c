"""Probes are functions of key and stream: the same bytes for ever, independent, with the moments the estimators stand on."""

import hashlib
import subprocess
import sys

import mpmath
import numpy as np
import pytest

from refntk.errors import InvalidInput, UnknownNameError
from refntk.estimation import probes

KINDS = list(probes.KINDS)
SIGMAS = 5.5  # two-sided false-alarm rate 4e-8 for each of the fewer than 25 comparisons below


def philox(counter: int, key: int) -> list[int]:
    """Philox4x64-10 (Salmon et al. 2011) in plain integers: the slow oracle."""
    mask = 2**64 - 1
    c = [(counter >> 64 * i) & mask for i in range(4)]
    k = [key & mask, key >> 64]
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(b >> 64) ^ c[1] ^ k[0], b & mask, (a >> 64) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
    return c


def integers(count: int, kind: int, key: int, stream: int) -> list[int]:
    """The integers of a stream, four to a block; NumPy counts before it enciphers."""
    found = []
    for block in range(1, -(-count // 4) + 1):
        found += philox(block + (stream << 128) + (kind << 192), key)
    return found[:count]


def test_oracle_knows_the_published_answer():
    """Random123's known-answer test for a counter and a key of zeros."""
    assert philox(0, 0) == [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]


@pytest.mark.parametrize(("key", "stream"), [(0, 0), (17, 3), (2**128 - 1, 2**64 - 1)])
def test_signs_are_the_bits_of_the_integers(key, stream):
    n, count = 70, 3
    words = integers(2 * count, 1, key, stream)
    want = [[1.0 - 2.0 * ((words[2 * j + i // 64] >> i % 64) & 1) for j in range(count)] for i in range(n)]
    assert probes.rademacher(n, count, key=key, stream=stream).tolist() == want


@pytest.mark.parametrize(("key", "stream"), [(0, 0), (17, 3), (2**128 - 1, 2**64 - 1)])
def test_normals_are_quantiles_of_the_integers(key, stream):
    """|g - Φ⁻¹(u)| ≤ 8 units in the last place of max(1, |g|), Φ⁻¹(u) by a Newton step in 50 digits."""
    n, count = 7, 5
    words, got = integers(n * count, 0, key, stream), probes.normal(n, count, key=key, stream=stream)
    with mpmath.workdps(50):
        u = [(mpmath.mpf(w >> 12) + mpmath.mpf(1) / 2) / 2**52 for w in words]
        g = [mpmath.mpf(float(x)) for x in got.T.ravel()]
        off = [abs((mpmath.ncdf(x) - v) / mpmath.npdf(x)) / max(1, abs(x)) for x, v in zip(g, u, strict=True)]
        assert max(off) <= 8 * 2.0**-52


def test_signs_have_these_bytes_for_ever():
    found = np.concatenate([probes.rademacher(n, 7, key=17, stream=n).astype(np.int8).ravel() for n in (1, 63, 64, 65, 900)])
    assert hashlib.sha256(found.tobytes()).hexdigest() == "521696b623e9ab4f25c2598707781230bb507afedeb21ddfcf38de93c36d77a0"


def test_a_changed_bit_changes_the_hash():
    found = probes.rademacher(900, 7, key=17).astype(np.int8)
    other = found.copy()
    other[450, 3] *= -1
    assert hashlib.sha256(found.tobytes()).digest() != hashlib.sha256(other.tobytes()).digest()


@pytest.mark.parametrize("raw", [0, 2**64 - 1])
def test_extreme_integers_give_finite_normals(monkeypatch, raw):
    monkeypatch.setattr(probes, "_integers", lambda count, **_: np.full(count, raw, dtype=np.uint64))
    g = probes.normal(1, 1, key=0)
    assert abs(abs(g[0, 0]) - 8.2095) < 1e-4
    assert np.sign(g[0, 0]) == (1 if raw else -1)


def test_the_53_bit_map_would_have_given_infinity():
    """Why 52 bits: k + 1/2 is no float64 for the upper half of 53-bit k, and the largest rounds to a uniform of 1."""
    assert (float(2**53 - 1) + 0.5) * 2.0**-53 == 1.0
    assert (float(2**52 - 1) + 0.5) * 2.0**-52 < 1.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 63, 64, 65])
def test_a_column_does_not_depend_on_how_many_are_drawn(kind, n):
    few, many = (probes.draw(kind, n, count, key=5, stream=2) for count in (3, 10))
    np.testing.assert_array_equal(few, many[:, :3])


@pytest.mark.parametrize("kind", KINDS)
def test_shape_type_and_layout(kind):
    g = probes.draw(kind, 5, 3, key=1)
    assert (g.shape, g.dtype, g.flags.c_contiguous) == ((5, 3), np.float64, True)


def comparisons(g, other):
    """Sample means that should vanish, each with its standard deviation: odd and even moments, neighbours, another draw."""
    n = g.size
    rows, columns = g[1:] * g[:-1], g[:, 1:] * g[:, :-1]
    fourth, sixth = (1.0, 1.0) if np.all(np.abs(g) == 1) else (3.0, 15.0)
    yield "mean", g.mean(), n**-0.5
    yield "variance", (g**2).mean() - 1, (max(fourth - 1, 1e-30) / n) ** 0.5
    yield "skewness", (g**3).mean(), (sixth / n) ** 0.5
    yield "rows", rows.mean(), rows.size**-0.5
    yield "columns", columns.mean(), columns.size**-0.5
    yield "other draw", (g * other).mean(), n**-0.5


def check_independence(g, other):
    for name, value, deviation in comparisons(g, other):
        assert abs(value) <= SIGMAS * deviation, f"{name}: {value / deviation:.1f} standard deviations"


@pytest.mark.parametrize("kind", KINDS)
def test_moments_and_independence(kind):
    check_independence(probes.draw(kind, 100, 5000, key=2026), probes.draw(kind, 100, 5000, key=2026, stream=1))


def test_kinds_and_keys_are_independent():
    signs, normals = probes.rademacher(100, 5000, key=2026), probes.normal(100, 5000, key=2026)
    check_independence(signs, np.sign(normals))
    check_independence(signs, probes.rademacher(100, 5000, key=2027))


FAULTS = {
    "variance 1.02": lambda g: (1.01 * g, np.roll(g, 17, axis=1)),
    "mean 0.02": lambda g: (g + 0.02, np.roll(g, 17, axis=1)),
    "every row twice": lambda g: (np.repeat(g[:50], 2, axis=0), g),
    "every column twice": lambda g: (np.repeat(g[:, :2500], 2, axis=1), g),
    "streams alike": lambda g: (g, g),
    "a hundredth shared": lambda g: (g, np.where(np.arange(g.shape[1]) % 100 == 0, g, np.roll(g, 17, axis=1))),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(kind, fault):
    g, other = FAULTS[fault](probes.draw(kind, 100, 5000, key=2026))
    with pytest.raises(AssertionError, match="standard deviations"):
        check_independence(g, other)


@pytest.mark.parametrize("argument", ["n", "count", "key", "stream"])
@pytest.mark.parametrize("value", [-1, 1.5, "3", None, True, 2**128])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_whole_number_in_range(kind, argument, value):
    with pytest.raises(InvalidInput, match=f"^{argument}: "):
        probes.draw(kind, **({"n": 3, "count": 2, "key": 1, "stream": 0} | {argument: value}))


@pytest.mark.parametrize("argument", ["n", "count"])
def test_there_is_at_least_one(argument):
    with pytest.raises(InvalidInput, match=f"^{argument}: "):
        probes.rademacher(**({"n": 3, "count": 2, "key": 1} | {argument: 0}))


def test_numpy_integers_are_whole_numbers():
    np.testing.assert_array_equal(probes.rademacher(np.int64(3), 2, key=np.uint8(7)), probes.rademacher(3, 2, key=7))


@pytest.mark.parametrize("kind", ["gauss", "", None, ["normal"]])
def test_unknown_kind(kind):
    with pytest.raises(UnknownNameError, match=r"^kind: "):
        probes.draw(kind, 3, 2, key=1)


def test_scipy_waits_until_normals_are_drawn():
    program = "import sys, refntk; refntk.probes.rademacher(3, 1, key=1); assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
