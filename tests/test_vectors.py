"""The certified vectors: enough of them, two witnesses agree, the same bytes come out again, and their reader trusts nobody."""

import hashlib
import json
import shutil
from dataclasses import replace
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest
import safetensors.numpy as library

from refntk import problems, safetensors, weights
from refntk.calculus import activation as activations
from refntk.cli import main
from refntk.errors import DamagedFile, UnknownNameError
from refntk.vectors import encoding, plan, reader, schema, truth
from refntk.vectors.case import FLAGS, TOLERANCE, UNIT, Want
from refntk.vectors.lint import faults
from tests import rational_witness as witness
from tests.test_safetensors import HOSTILE as SAFETENSORS

NAMES = plan.names()
each_file = pytest.mark.parametrize("name", NAMES)


@cache
def cases(name):
    return list(reader.read(only=name))


def the(name, comment):
    """The case of a file with this comment."""
    return next(case for case in cases(name) if case.comment == comment)


# What there is


def test_there_are_enough_and_of_every_kind():
    found = [case for name in NAMES for case in cases(name)]
    networks = [case.network for case in found if case.network]
    assert len(found) >= 300
    assert len({case.name for case in found}) == len(found)
    assert {network.outputs for network in networks} == {1, 2, 3}
    assert {len(network.sizes) - 2 for network in networks} == {1, 2, 3, 4, 5}
    assert {1, 2, 3, 4, 8, 16, 32, 64} <= {width for network in networks for width in network.sizes[1:-1]}
    assert {network.activation.name for network in networks} == set(activations.ACTIVATIONS)
    assert {flag for case in found for flag in case.flags} == set(FLAGS)
    assert {case.scaling for case in found} == {"sum", "mean", "quadrature"}


@each_file
def test_every_quantity_is_wanted_somewhere(name):
    wanted = {quantity for case in cases(name) for quantity in case.want}
    rules = {f"weights/{rule}" for rule in weights.RULES}
    assert rules <= wanted | {refused for case in cases(name) for refused in case.refused}
    assert {"residual", "ntk", "traces", "spectrum", "jacobian", "gradient", "products", "sketched_weights"} <= wanted
    assert "direction" in wanted
    assert {"products_forward", "products_central", "trace_means", "trace_errors", "average_traces", "average_ntk"} <= wanted


@each_file
def test_files_hold_the_plan(name):
    planned = list(plan.cases(name))
    assert sorted(case.name for case in cases(name)) == [case.name for case in planned]
    known = {case.name: case for case in cases(name)}
    filled = [
        replace(case, want=known[case.name].want, refused=known[case.name].refused, flags=known[case.name].flags)
        for case in planned
    ]
    assert encoding.encode(name, filled) == {
        file: (reader.FOLDER / file).read_bytes() for file in (f"{name}.json", f"{name}.safetensors")
    }


@each_file
def test_numbers_come_out_again_byte_for_byte(name):
    """The smallest case of each file, certified anew."""
    planned = min(plan.cases(name), key=lambda case: case.theta.size * case.probes.shape[0])
    known = next(case for case in cases(name) if case.name == planned.name)
    assert encoding.encode(name, [truth.certified(planned)]) == encoding.encode(name, [known])


def test_inputs_are_exact_where_they_must_be():
    """Factors and the roots of numbers of rows are exact in float64, so that what is certified is not their rounding."""
    found = [case for name in NAMES for case in cases(name)]
    factors = [s for case in found if case.network for s in case.network.scales]
    rows = [case.points[t.name].shape[0] * t.components for case in found if case.scaling == "mean" for t in case.problem.terms]
    assert {(Fraction(1) / Fraction(s)).denominator for s in factors} == {1}
    assert all(int(np.sqrt(n)) ** 2 == n and n & (n - 1) == 0 for n in rows)
    assert rows


# Who agrees


@pytest.mark.parametrize("engine", ["reference", "numba"])
@each_file
def test_our_engines_are_within_the_tolerance(name, engine):
    if name == "quadratic" and engine == "numba":
        pytest.skip("a problem without a network has one engine")
    found, refused = {}, []
    for case in cases(name):
        got, none = truth.quantities(case, engine=engine)
        found |= {f"{case.name} {quantity}": error for quantity, error in case.errors(got).items()}
        refused += [(case.name, set(case.refused) - set(none))]
    worst = max(found, key=found.get)
    assert found[worst] < TOLERANCE, (worst, found[worst])
    assert [missing for missing in refused if missing[1]] == []


MISTAKES = {
    "single precision": ("two hidden layers", "ntk", lambda got: got.astype(np.float32).astype(float)),
    "a transposed block": ("two hidden layers", "products", lambda got: got[::-1]),
    "a sum for a mean": ("unequal numbers of points", "weights/wang_2023", lambda got: got * 4),
    "clipped at 0": ("two hidden layers", "ntk", lambda got: np.maximum(got, 0)),
    "smallest eigenvalue first": ("one hidden layer", "spectrum", lambda got: got[::-1]),
    "a column for a vector": ("one point a term", "residual", lambda got: got[:, None]),
    "NaN": ("one hidden layer", "residual", lambda got: got * np.nan),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_seen(mistake):
    comment, quantity, change = MISTAKES[mistake]
    case = the("wave", comment)
    got, _ = truth.quantities(case)
    assert case.want[quantity].error(got[quantity]) < TOLERANCE
    assert case.want[quantity].error(change(np.asarray(got[quantity]))) > 1e3


def test_a_derivative_that_loses_its_digits_is_seen(monkeypatch):
    """Planted fault: tanh' as 1 - tanh²."""
    case = the("wave", "all neurons saturated")
    tanh = activations.ACTIVATIONS["tanh"]

    def careless(x, *, xp):
        return xp.tanh(x), 1 - xp.tanh(x) ** 2

    network = replace_activation(case.network, replace(tanh, generators=careless))
    errors = case.errors(truth.quantities(replace(case, network=network))[0])
    assert max(case.errors(truth.quantities(case)[0]).values()) < TOLERANCE
    assert errors["jets/interior"] > 1e3


def replace_activation(network, activation):
    from refntk import MLP

    return MLP(network.sizes, activation=activation, shift=network.shift, scale=network.scale)


# The second witness


def rational(want, index):
    return tuple(Fraction(float(side[index])) for side in (want.lower, want.upper))


POLYNOMIALS = [case.name for case in plan.cases("operators") if case.network.activation.name == "polynomial"]
COEFFICIENTS = [Fraction(c) for c in (0, 1, "1/2", "-1/4", "1/8", "1/16")]


def rational_kernel(case, coefficients=COEFFICIENTS):
    J = witness.polynomial_jacobian(case, coefficients)
    return {(i, j): sum(a * b for a, b in zip(J[i], J[j], strict=True)) for i in range(len(J)) for j in range(len(J))}


def outside(case, K):
    return [index for index in K for lower, upper in [rational(case.want["ntk"], index)] if not lower <= K[index] <= upper]


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_rational_arithmetic_lies_inside_the_bounds(name):
    """K = J Jᵀ in rational numbers, from polynomials in x and θ."""
    case = next(case for case in cases("operators") if case.name == name)
    K = rational_kernel(case)
    assert outside(case, K) == []
    assert len(K) == case.want["ntk"].mid.size


def test_a_wrong_coefficient_lies_outside():
    """Planted fault: the witness's cubic term off by 1e-13."""
    case = next(case for case in cases("operators") if case.name == POLYNOMIALS[0])
    wrong = [c * (1 + Fraction(1, 10**13)) if i == 3 else c for i, c in enumerate(COEFFICIENTS)]
    assert len(outside(case, rational_kernel(case, wrong))) > case.want["ntk"].mid.size // 2


@pytest.mark.parametrize("name", sorted(witness.EQUATIONS))
def test_two_hundred_digits_lie_inside_the_bounds(name):
    """R and K of "two neurons", every derivative a finite difference; half a unit of the bounds is the slack of the differences."""
    case = the(name, "two neurons")
    with mpmath.workdps(witness.DIGITS):
        R, _, K = witness.kernel(case)
        outside = [("residual", i) for i, r in enumerate(R) if not between(case.want["residual"], i, r)]
        outside += [
            ("ntk", (i, j)) for i, row in enumerate(K) for j, k in enumerate(row) if not between(case.want["ntk"], (i, j), k)
        ]
    assert outside == []
    assert len(R) == case.want["residual"].mid.size


@pytest.mark.parametrize("name", sorted(witness.EQUATIONS))
def test_directions_in_two_hundred_digits_lie_inside_the_bounds(name):
    """The smallest case of each problem that wants a direction; it hangs on J, known to 1e-40, by its condition."""
    case = min((c for c in cases(name) if "direction" in c.want), key=lambda c: c.theta.size * c.probes.shape[0])
    with mpmath.workdps(witness.DIGITS):
        R, J, _ = witness.kernel(case)
        d = witness.direction(R, J)
        assert [i for i, number in enumerate(d) if not between(case.want["direction"], (i,), number)] == []


@pytest.mark.parametrize(
    "comment", ["sine", "swish", "softplus", "half saturated", "a polynomial: rational arithmetic can check it"]
)
def test_residuals_in_two_hundred_digits(comment):
    case = the("wave", comment)
    with mpmath.workdps(witness.DIGITS):
        R = witness.residual(case, [mpmath.mpf(value) for value in case.theta.tolist()])
        assert [i for i, r in enumerate(R) if not between(case.want["residual"], i, r)] == []


def between(want, index, number):
    slack = mpmath.mpf(float(want.scale[index])) * mpmath.mpf(10) ** -35
    return mpmath.mpf(float(want.lower[index])) - slack <= number <= mpmath.mpf(float(want.upper[index])) + slack


# Relations between the numbers


@each_file
def test_cases_agree_with_themselves(name):
    assert [fault for case in cases(name) for fault in faults(case)] == []


@pytest.mark.parametrize(
    "quantity", ["ntk", "traces", "spectrum", "products", "jacobian", "gradient", "weights/wang_2022", "weights/paddlescience_2025"]
)
def test_a_changed_number_is_seen(quantity):
    case = the("wave", "two neurons")
    want = case.want[quantity]
    changed = replace(want, mid=want.mid + 2e-10 * want.scale * (np.arange(want.mid.size) == 1).reshape(want.mid.shape))
    assert list(faults(replace(case, want={**case.want, quantity: changed}))) != []


def test_a_changed_direction_is_seen():
    case = the("wave", "one point a term")
    want = case.want["direction"]
    changed = replace(want, mid=want.mid * (1 + 1e-9))
    assert list(faults(replace(case, want={**case.want, "direction": changed}))) != []


def test_directions_are_wanted_where_the_kernel_is_regular_and_weigh_their_condition():
    found = [case for case in cases("wave") if "direction" in case.want]
    assert {case.name for case in found} >= {"wave-001", "wave-005"}
    for case in found:
        eigenvalues = case.want["spectrum"].mid[: min(case.probes.shape[0], case.theta.size)]
        condition = eigenvalues[0] / eigenvalues[-1]
        assert condition < truth.CONDITION_MOST
        assert np.all(case.want["direction"].scale >= condition * np.linalg.norm(case.want["direction"].mid))


def test_an_error_is_measured_by_its_scale():
    want = Want(*(np.array(x) for x in ([1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [2.0, 0.0])))
    assert want.error([1.0, 0.0]) == 0
    assert want.error([1 + 64 * UNIT, 0.0]) == 32
    assert [want.error(wrong) for wrong in ([1.0], [1.0, 1e-300], [np.nan, 0.0], ["1", "0"])] == [np.inf] * 4


# Files that are not ours


@pytest.fixture
def folder(tmp_path):
    for name in ("quadratic.json", "quadratic.safetensors", "manifest.json", "schema.json"):
        shutil.copy(reader.FOLDER / name, tmp_path)
    return tmp_path


def signed(folder, text, tensors=None):
    """The files with new contents and a manifest that vouches for them."""
    made = {"quadratic.json": text.encode()}
    made["quadratic.safetensors"] = (folder / "quadratic.safetensors").read_bytes() if tensors is None else tensors
    made["manifest.json"] = encoding.manifest(made)
    for name, data in made.items():
        (folder / name).write_bytes(data)


def changed(old, new, count=1):
    def change(text):
        assert old in text
        return text.replace(old, new, count)

    return change


def edited(path, value):
    """The document with `value` at a path of names and positions."""

    def change(text):
        document = json.loads(text)
        at = document
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        return json.dumps(document)

    return change


TEST = ("groups", 0, "tests", 0)
HOSTILE = {
    "NaN": changed('"numberOfTests": 9', '"numberOfTests": NaN'),
    "a fraction": changed('"numberOfTests": 9', '"numberOfTests": 9.0'),
    "another number of tests": changed('"numberOfTests": 9', '"numberOfTests": 8'),
    "a long number": changed('"numberOfTests": 9', '"numberOfTests": ' + "9" * 5000),
    "a name twice": changed('"version": "2"', '"version": "2", "version": "2"'),
    "another version": changed('"version": "2"', '"version": "1"'),
    "another problem": changed('"problem": "quadratic"', '"problem": "wave"'),
    "an unknown name": edited((*TEST, "extra"), 1),
    "an unknown quantity": changed('"residual"', '"residuals"'),
    "no quantity": edited((*TEST, "want"), {}),
    "a note that is missing": edited(("notes",), {}),
    "a path for an id": edited((*TEST, "id"), "../x"),
    "another term": edited(("groups", 0, "terms", 0, "name"), "interior"),
    "another parameter": edited(("groups", 0, "parameters", "noise"), "-0x1p+0"),
    "a strange parameter": edited(("groups", 0, "parameters", "volume"), "0x1p+0"),
    "points of another dimension": edited((*TEST, "given", "points", "data"), {"shape": [2, 1], "value": ["0x1p+0"] * 2}),
    "another number of probes": edited((*TEST, "given", "probes"), {"shape": [3, 1], "value": ["0x1p+0"] * 3}),
    "a shape that does not fit": edited((*TEST, "want", "ntk", "shape"), [1, 2]),
    "a negative shape": edited((*TEST, "want", "ntk", "shape"), [-1, -1]),
    "a huge shape": edited((*TEST, "want", "ntk", "shape"), [999999999999, 999999999999]),
    "a kernel of another size": edited(
        (*TEST, "want", "ntk"), {"shape": [2, 2]} | {part: ["0x1p+0"] * 4 for part in ("mid", "lower", "upper", "scale")}
    ),
    "a decimal": edited((*TEST, "given", "dt"), "0.001"),
    "an infinity": edited((*TEST, "given", "dt"), "inf"),
    "an overflow": edited((*TEST, "given", "dt"), "0x1p+9999"),
    "bounds out of order": edited((*TEST, "want", "ntk", "upper"), ["-0x1p+900"]),
    "a negative scale": edited((*TEST, "want", "ntk", "scale"), ["-0x1p+0"]),
    "an activation from nowhere": edited((*TEST, "given", "network"), {"activation": "os.system"}),
    "a network where there is none": edited(
        (*TEST, "given", "network"),
        {"sizes": [2, 10**9, 1], "activation": "tanh", "parametrization": "standard", "output_scale": "0x1p+0"}
        | {"factors": ["0x1p+0"] * 2, "shift": ["0x0p+0"] * 2, "scale": ["0x1p+0"] * 2},
    ),
    "deep": lambda text: "[" * 100_000,
    "a list": lambda text: "[]",
    "cut off": lambda text: text[:-100],
    "empty": lambda text: "",
    "bytes": lambda text: "\x00" * 100,
}


@pytest.mark.parametrize("damage", HOSTILE)
def test_hostile_files_are_refused(folder, damage):
    text = (folder / "quadratic.json").read_text()
    signed(folder, text)
    assert len(list(reader.read(folder))) == 9
    signed(folder, HOSTILE[damage](text))
    with pytest.raises(DamagedFile):
        list(reader.read(folder))


@pytest.mark.parametrize("file", ["quadratic.json", "quadratic.safetensors"])
def test_a_flipped_bit_is_seen(folder, file):
    path = folder / file
    signed(folder, (folder / "quadratic.json").read_text())
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFile, match="digest"):
        list(reader.read(folder))


LARGE = "quadratic-004/want/ntk"  # 9 × 9
AT = ("groups", 0, "tests", 3, "want", "ntk")
BESIDE = {  # what becomes of the tensors, and what is said
    "a tensor that nobody names": (lambda t: t | {"quadratic-004/want/ntk/median": t[f"{LARGE}/mid"]}, "named nowhere"),
    "a tensor that is missing": (lambda t: {k: v for k, v in t.items() if k != f"{LARGE}/scale"}, "ntk/scale is not in the file"),
    "no tensors": (lambda t: {}, "is not in the file"),
    "another shape": (lambda t: t | {f"{LARGE}/mid": t[f"{LARGE}/mid"].reshape(-1)}, r"expected float64 \(9, 9\)"),
    "another size": (lambda t: t | {f"{LARGE}/mid": t[f"{LARGE}/mid"][:8]}, r"expected float64 \(9, 9\)"),
    "NaN": (lambda t: t | {f"{LARGE}/mid": t[f"{LARGE}/mid"] * np.nan}, "not finite"),
    "an infinity": (lambda t: t | {f"{LARGE}/upper": t[f"{LARGE}/upper"] + np.inf}, "not finite"),
    "bounds out of order": (lambda t: t | {f"{LARGE}/upper": t[f"{LARGE}/lower"] - 1}, "not in order"),
    "a negative scale": (lambda t: t | {f"{LARGE}/scale": -t[f"{LARGE}/scale"]}, "not in order"),
}


@pytest.mark.parametrize("damage", BESIDE)
def test_hostile_tensors_are_refused(folder, damage):
    change, said = BESIDE[damage]
    tensors = safetensors.decode((folder / "quadratic.safetensors").read_bytes())
    text = (folder / "quadratic.json").read_text()
    signed(folder, text, safetensors.encode(tensors))
    assert len(list(reader.read(folder))) == 9
    signed(folder, text, safetensors.encode(change(tensors)))
    with pytest.raises(DamagedFile, match=said):
        list(reader.read(folder))


def test_tensors_in_single_precision_are_refused(folder):
    tensors = safetensors.decode((folder / "quadratic.safetensors").read_bytes())
    single = tensors | {f"{LARGE}/mid": np.ones((9, 9), np.float32)}
    signed(folder, (folder / "quadratic.json").read_text(), library.save(single))
    with pytest.raises(DamagedFile, match="float32"):
        list(reader.read(folder))


@pytest.mark.parametrize("damage", SAFETENSORS)
def test_what_is_no_file_of_tensors_is_refused(folder, damage):
    signed(folder, (folder / "quadratic.json").read_text(), SAFETENSORS[damage])
    with pytest.raises(DamagedFile, match="is no file of tensors"):
        list(reader.read(folder))


REFERENCES = {
    "another shape": (edited((*AT, "shape"), [81]), "expected float64"),
    "a huge shape": (edited((*AT, "shape"), [999999999999, 999999999999]), "expected float64"),
    "a name that is not there": (edited((*AT, "safetensors"), "quadratic-004/want/kernel"), "is not in the file"),
    "a name twice": (edited((*AT[:-1], "average_ntk"), {"shape": [9, 9], "safetensors": LARGE}), "named twice"),
    "a name that is no place": (edited((*AT, "safetensors"), "../x"), "does not fit"),
    "a number for a name": (edited((*AT, "safetensors"), 3), "no file"),
    "a name and numbers": (edited((*AT, "mid"), ["0x1p+0"]), "unknown name 'mid'"),
    "numbers that should lie beside": (
        edited(AT, {"shape": [9, 9]} | {part: ["0x1p+0"] * 81 for part in encoding.PARTS}),
        "81 items",
    ),
}


@pytest.mark.parametrize("damage", REFERENCES)
def test_hostile_references_are_refused(folder, damage):
    change, said = REFERENCES[damage]
    signed(folder, change((folder / "quadratic.json").read_text()))
    with pytest.raises(DamagedFile, match=said):
        list(reader.read(folder))


def test_no_tensor_is_on_the_wrong_side():
    """What has more than 64 entries lies beside, what has fewer in JSON, where the schema allows no more."""
    shapes = {name: array.shape for file in NAMES for name, array in safetensors.decode(beside(file)).items() if array.size <= 64}
    assert shapes == {}
    definitions = json.loads((reader.FOLDER / "schema.json").read_text())["$defs"]
    assert definitions["numbers"]["maxItems"] == encoding.MOST_IN_JSON
    large = [case.name for name in NAMES for case in cases(name) if max_size(case) > encoding.MOST_IN_JSON]
    named = {name.partition("/")[0] for file in NAMES for name in safetensors.decode(beside(file))}
    assert set(large) == named


def beside(name):
    return (reader.FOLDER / f"{name}.safetensors").read_bytes()


def max_size(case):
    arrays = [case.theta, case.probes, *case.points.values(), *(want.mid for want in case.want.values())]
    return max(array.size for array in arrays)


MANIFESTS = {
    "longer": lambda text, size: text.replace(f'"bytes": {size}', f'"bytes": {size + 1}'),
    "shorter": lambda text, size: text.replace(f'"bytes": {size}', f'"bytes": {size - 1}'),
    "no tensors": lambda text, size: text.replace("quadratic.safetensors", "other.safetensors"),
    "another place": lambda text, size: text.replace("quadratic.json", "../x/quadratic.json"),
    "too large": lambda text, size: text + " " * 2**21,
    "not JSON": lambda text, size: "{",
}


@pytest.mark.parametrize("damage", MANIFESTS)
def test_hostile_manifests_are_refused(folder, damage):
    text = (folder / "quadratic.json").read_text()
    signed(folder, text)
    assert len(list(reader.read(folder))) == 9
    path = folder / "manifest.json"
    path.write_text(MANIFESTS[damage](path.read_text(), len(text.encode())))
    with pytest.raises(DamagedFile):
        list(reader.read(folder))


def test_what_is_not_there_is_said(folder, tmp_path):
    with pytest.raises(DamagedFile, match="cannot be read"):
        list(reader.read(tmp_path / "nowhere"))
    with pytest.raises(UnknownNameError, match="did you mean 'wave'"):
        list(reader.read(only="waves"))
    for file in ("quadratic.safetensors", "quadratic.json"):
        (folder / file).unlink()
        with pytest.raises(DamagedFile, match=f"{file}; it cannot be read"):
            list(reader.read(folder, only="quadratic"))


def test_the_manifest_names_every_file():
    listed = json.loads((reader.FOLDER / "manifest.json").read_text())["files"]
    assert {*listed, "manifest.json", "schema.json"} == {path.name for path in reader.FOLDER.glob("*")}
    digests = {name: hashlib.sha256((reader.FOLDER / name).read_bytes()).hexdigest() for name in listed}
    assert digests == {name: entry["sha256"] for name, entry in listed.items()}
    kinds = ("json", "safetensors")
    assert set(listed) == {f"{name}.{kind}" for name in [*problems.names(), "operators"] for kind in kinds}


# The schema


def objects(part):
    """Every schema of an object inside a schema."""
    if isinstance(part, dict):
        yield from ([part] if part.get("type") == "object" else [])
        for item in part.values():
            yield from objects(item)
    elif isinstance(part, list):
        for item in part:
            yield from objects(item)


def test_every_object_lists_its_names():
    document = json.loads((reader.FOLDER / "schema.json").read_text())
    found = list(objects(document))
    assert len(found) > 10
    assert [part for part in found if part["additionalProperties"] is not False] == []


NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"n": 1, "m": 2}, NUMBER),
        ({}, NUMBER),
        ({"n": True}, NUMBER),
        ({"n": "1"}, NUMBER),
        (["a"], {"items": {"pattern": "^b$"}}),
        ([1, 2], {"maxItems": 1}),
        ([], {"minItems": 1}),
        ("abc", {"maxLength": 2}),
        ("c", {"enum": ["a", "b"]}),
        (2, {"const": 1}),
        (2, {"anyOf": [{"type": "null"}, {"type": "string"}]}),
        ({"a": 1, "b": 2}, {"maxProperties": 1}),
        ({"x1": "a"}, {"patternProperties": {"^x": {"type": "integer"}}}),
        (1, {"minimum": 0}),  # a word that is not understood
    ],
)
def test_a_value_that_does_not_fit_is_refused(value, rule):
    with pytest.raises(ValueError):
        schema.validate(value, rule)


# The command


def test_list_shows_every_case_or_those_with_a_flag(capsys):
    assert main(["vectors", "list", "--problem", "wave", "--flag", "Saturation"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == [case.name for case in cases("wave") if "Saturation" in case.flags]
    assert (
        f"2-2-1               n = 8   all neurons saturated: {', '.join(the('wave', 'all neurons saturated').flags)}"
        in "\n".join(shown)
    )


def test_show_tells_a_case(capsys):
    assert main(["vectors", "show", "quadratic-001"]) == 0
    out = capsys.readouterr().out
    assert "one point" in out
    assert "ntk (1, 1), scale up to" in out
    assert main(["vectors", "show", "quadratic-999"]) == 2
    assert main(["vectors", "show", "nothing-001"]) == 2


def test_lint_judges_a_folder(folder, capsys):
    text = (folder / "quadratic.json").read_text()
    signed(folder, text)
    assert main(["vectors", "lint", "--folder", str(folder)]) == 0
    assert capsys.readouterr().out == "9 cases, 0 faults\n"
    document = json.loads(text)
    want = document["groups"][0]["tests"][3]["want"]["traces"]
    want["mid"] = want["lower"] = want["upper"] = ["0x1p+0"]
    signed(folder, json.dumps(document))
    assert main(["vectors", "lint", "--folder", str(folder)]) == 1
    assert "traces is off by" in capsys.readouterr().out


def test_make_writes_the_same_bytes(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plan, "names", lambda: ["quadratic"])
    assert main(["vectors", "make", "--out", str(tmp_path / "new"), "--jobs", "1"]) == 0
    assert "9 cases, 2 files, 0.1 MB" in capsys.readouterr().out
    for file in ("quadratic.json", "quadratic.safetensors", "schema.json"):
        assert (tmp_path / "new" / file).read_bytes() == (reader.FOLDER / file).read_bytes()
    assert len(list(reader.read(tmp_path / "new"))) == 9
