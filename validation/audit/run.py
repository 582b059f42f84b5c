"""Public implementations under the ruler: every library in an environment of its own, asked what its users ask it.

For each library of `libraries.py`: a virtual environment with the pinned versions; the certified vectors, and what refntk says of
the answers, unaided; its weights for the wave equation and for a case small enough to check by hand; what one quantity costs.
Results are JSON in `results/`, one file a library, from which `figures.py` makes table and figures.

    python validation/audit/run.py                          all of them; what is measured already is left as it is
    python validation/audit/run.py --only pina deepxde      some of them
    python validation/audit/run.py --only pina --fresh      measured again
    python validation/audit/run.py --envs ~/envs            where environments are made and kept (default: the user's cache)
    python validation/audit/run.py --remove                 each environment is removed once its library is measured

A library that cannot be installed is recorded with the reason, and the others go on. pip finds what it finds: set PIP_INDEX_URL and
the like as always. Environments take 1 to 3 GB each, the whole some 20 minutes.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from environment import environment
from libraries import LIBRARIES
from tqdm import tqdm

import refntk as rn
from refntk.conformance import Process, diagnose, examine, selection, told
from refntk.conformance.checks import FAIL, PASS, WARN
from refntk.conformance.exchange import question
from refntk.files import replacing
from refntk.vectors import read
from refntk.vectors.case import Case
from refntk.weights import RULES

HERE = Path(__file__).parent
LIMIT = 300.0  # seconds for one answer, the first with the import of the library
SEED = 17
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "DDE_BACKEND": "pytorch", "HYDRA_FULL_ERROR": "1", "MPLBACKEND": "Agg"}


class Unavailable(Exception):
    """Why a library was not run."""


def main(arguments=None):
    """Measures what the command line asks for, one file a library."""
    options = parser().parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ.update(QUIET)
    with tqdm(options.only, unit="library") as progress:
        for name in progress:
            path = options.out / f"{name}.json"
            if path.exists() and not options.fresh:
                continue
            progress.set_description(name)
            result = measured(name, options, lambda stage, name=name: progress.set_description(f"{name}: {stage}"))
            with replacing(path) as file:
                file.write((json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())
            progress.write(f"{name}: {summary(result)}")
            if options.remove:
                shutil.rmtree(options.envs / name, ignore_errors=True)


def parser():
    """The command line."""
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "refntk-audit"
    known = ", ".join(LIBRARIES)
    found.add_argument("--only", nargs="+", choices=LIBRARIES, default=list(LIBRARIES), metavar="NAME", help=f"some of {known}")
    found.add_argument("--envs", type=Path, default=cache, metavar="FOLDER", help=f"(default: {cache})")
    found.add_argument("--out", type=Path, default=HERE / "results", metavar="FOLDER", help="(default: results)")
    found.add_argument("--fresh", action="store_true", help="measure again what is measured already")
    found.add_argument("--remove", action="store_true", help="remove environments when they are no longer needed")
    return found


def measured(name, options, tell):
    """The document of one library."""
    library = LIBRARIES[name]
    found = {"schema": "refntk audit 1", "library": library.title, "requirements": list(library.requirements), **environment()}
    found["command"] = f"python validation/audit/run.py --only {name}"
    try:
        tell("install")
        python = installed(library, options.envs / name)
        found["versions"] = versions(library, python)
        argv = {c.name: [str(python), str(HERE / "answer.py"), library.module, c.name] for c in library.candidates}
        found["candidates"] = {c.name: candidate(c, argv[c.name], tell) for c in library.candidates}
    except Unavailable as error:
        found["unavailable"] = str(error)
    return found


# Environments


def installed(library, folder):
    """The interpreter of the library's environment, which is made if it is not there or not whole. Raises `Unavailable`."""
    if not library.requirements:
        return Path(sys.executable)
    python, done = folder / "bin" / "python", folder / "installed.json"
    wanted = json.dumps([library.requirements, library.also])
    if done.exists() and done.read_text() == wanted and versions(library, python):
        return python
    shutil.rmtree(folder, ignore_errors=True)
    base = interpreter(library.python)
    run([base, "-m", "venv", str(folder)] if base else None, folder, f"no Python {library.python} on this machine")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--prefer-binary"]
    run([*pip, *library.requirements], folder, "")
    if library.also:
        run([*pip, "--no-deps", *library.also], folder, "")
    done.write_text(wanted)
    return python


def interpreter(version):
    """A Python of this version that runs, the one that runs now if it is one; None if there is none."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    found = shutil.which(f"python{version}")
    return found if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0 else None


def run(argv, folder, missing):
    """Runs a command; the last lines of what it said are the reason if it fails."""
    if argv is None:
        raise Unavailable(missing)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"(\w*Error|ERROR): ", line)] or lines[-1:]
        shutil.rmtree(folder, ignore_errors=True)
        raise Unavailable("; ".join(dict.fromkeys(errors))[:400].replace(str(folder), folder.name))


def versions(library, python):
    """What was installed, of that which was asked for; nothing where some of it is missing."""
    names = [re.split(r"[=\[<>]", line)[0] for line in (*library.requirements, *library.also, "numpy")]
    code = "import sys, json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
    done = subprocess.run([str(python), "-c", code, *names], capture_output=True, text=True, check=False)
    return {} if done.returncode else json.loads(done.stdout) | {"python": library.python}


# Measurements


def candidate(about, argv, tell):
    """Everything about one candidate."""
    tell(f"{about.name}, vectors")
    found = {"offers": about.offers} | judged(about.name, argv)
    for name, case in (("wave", wave()), ("hand", hand())):
        tell(f"{about.name}, {name}")
        found[name] = asked(case, argv, ["traces", "weights/wang_2022"])
    tell(f"{about.name}, cost")
    try:
        return found | {"cost": cost(about.costs, argv)}
    except Unavailable as error:
        return found | {"cost": {"quantity": about.costs, "unavailable": str(error)}}


def judged(name, argv):
    """The verdict on the certified vectors and the diagnosis, as `refntk check -- …` gives them."""
    with Process(argv, limit=LIMIT) as process:
        examination = examine(process, selection(read()))
    diagnoses = diagnose(examination)
    document = told.document(examination, diagnoses)
    counts = {result.check.name: counted(result.findings) for result in examination.results}
    checks = [{k: v for k, v in c.items() if k != "about"} | counts[c["check"]] for c in document["checks"] if c["judged"]]
    said = told.told(examination, diagnoses).replace(" ".join(argv), name).splitlines()
    return {"passed": document["passed"], "checks": checks, "said": said}


def counted(findings):
    """How many findings there are of each verdict, and the largest error of those that pass, in units of rounding of the scale."""
    found = {verdict: [f.error for f in findings if f.verdict == verdict] for verdict in (PASS, WARN, FAIL)}
    return {
        "passes": len(found[PASS]),
        "warnings": len(found[WARN]),
        "failures": len(found[FAIL]),
        "largest": max(found[PASS], default=None),
    }


def wave():
    """The wave problem at 300 rows, with a network of three layers of 50 at its first parameters."""
    problem, counts = rn.problems.get("wave"), {"interior": 100, "initial": 50, "velocity": 100, "boundary": 50}
    network = rn.MLP([2, 50, 50, 50, 1], **problem.normalization)
    return _case("wave", problem, network, network.init(rng=SEED), problem.sample(rng=SEED, counts=counts))


def hand():
    """The heat equation with `u = 2 tanh(3 t) + 2` at t = 0, where tanh = tanh'' = 0 and tanh' = 1.

    By (w_x, w_t, b, v, c) of `v tanh(w_x x + w_t t + b) + c`, rows of J are (0, v, 0, w_t, 0) on the equation, twice, and
    (v x, 0, v, 0, 1) on the conditions; residuals are 6 and 6, 1, 2; traces 13 + 13, 6, 5.
    """
    points = {"interior": [[0.25, 0.0], [0.5, 0.0]], "initial": [[0.5, 0.0]], "boundary": [[0.0, 0.0]]}
    theta = np.array([0.0, 3.0, 0.0, 2.0, 2.0])
    return _case("hand", rn.problems.get("heat"), rn.MLP([2, 1, 1]), theta, {name: np.array(x) for name, x in points.items()})


def _case(name, problem, network, theta, points):
    n = sum(len(points[term.name]) * term.components for term in problem.terms)
    return Case(
        name=name, comment="", flags=(), problem=problem, network=network, theta=theta, points=points, scaling="sum",
        quadrature=None, loss_weights=np.ones(len(problem.terms)), probes=np.zeros((n, 1)), dt=1e-4, alpha=0.25,
    )  # fmt: skip


def asked(case, argv, quantities):
    """`{quantity: numbers or None}` of a case that wants nothing, beside refntk's own."""
    line = json.loads(question(case)) | {"quantities": quantities}
    found = answer(argv, line)["results"]
    lin = rn.linearize(case.problem, case.network, case.theta, case.points)
    K, R = rn.ntk(lin), lin.residual
    rules = {name: list(rule(K, R, lin.blocks).values()) for name, rule in RULES.items()}
    return {"terms": list(lin.blocks), "answers": found, "rules": rules}


def answer(argv, *lines):
    """What the program writes when it is given these lines."""
    text = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode or not done.stdout.strip():
        raise Unavailable((done.stderr.strip().splitlines() or ["no answer"])[-1][:300])
    return json.loads(done.stdout.splitlines()[-1], parse_constant=lambda _: None)


def cost(quantity, argv):
    """Seconds and bytes for the wave case, after a small one as warm-up."""
    problem = rn.problems.get("wave")
    network, points = (
        rn.MLP([2, 4, 1], **problem.normalization),
        problem.sample(rng=SEED, counts={t.name: 3 for t in problem.terms}),
    )
    small = _case("small", problem, network, network.init(rng=SEED), points)
    return answer([*argv, "cost", quantity], json.loads(question(small)), json.loads(question(wave())))


def summary(result):
    """One line for the terminal."""
    if "unavailable" in result:
        return f"not run: {result['unavailable']}"
    return "; ".join(f"{name}: {found['said'][-1].partition(': ')[2]}" for name, found in result["candidates"].items())


if __name__ == "__main__":
    main()
