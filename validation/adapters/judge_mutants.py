"""Two right candidates pass, all their mutants are rejected, and most are named: `python judge_mutants.py torch [mutants.json]`.

With numbers of mistakes behind it only the mutants that make them are judged, and what was known of the others stays.
"""

import json
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
from mutants import MUTANTS, mutant

from refntk.conformance import Functions, diagnose, examine
from refntk.vectors import read

COMMENTS = (
    "two neurons",
    "one point a term",
    "unequal numbers of points",
    "equal widths: a transposed W goes unnoticed",
    "rows divided by √n",
    "rows times roots of quadrature weights",
    "last layer times N^(-1/2), N = 16",
    "NTK parametrisation",
)
PAIRS = {  # of problems: one alone cannot tell 2 outputs from a factor 2
    "torch": (("wave", "qtensor"), ("poisson1d", "wave")),
    "jax": (("wave", "qtensor"),),  # compiling takes its time
}
JOINED, JOINING = 27, ("transport", "wave")  # a mistake that shows only where rows join two points, and problems where some do


@cache
def kept(library):
    """The right candidate of a library, which remembers: R, J, jets are computed anew only if something below them is changed."""
    if library == "torch":
        from with_torch import Torch as Right
    else:
        from with_jax import Jax as Right

    class Kept(Right):
        answers = {}  # noqa: RUF012 - for all mutants

        def kept(self, method, key, compute):
            below = {"unflatten", "equations", "D", "normalized", "factors", "u"} & set(vars(type(self)))
            key = (type(self) if below else Right, method, *key)
            if key not in self.answers:
                self.answers[key] = compute()
            return self.answers[key]

        def raw_jacobian(self, case):
            return self.kept("J", (case.name,), lambda: super(Kept, self).raw_jacobian(case))

        def residual_at(self, case, theta):
            return self.kept("R", (case.name, theta.tobytes()), lambda: super(Kept, self).residual_at(case, theta))

        def derivatives(self, case, term):
            if library == "jax":
                raise NotImplementedError  # compiling them takes longer than all the rest
            return self.kept("jets", (case.name, term), lambda: super(Kept, self).derivatives(case, term))

    return Kept


@cache
def cases(problems):
    """The small cases of some problems."""
    return [case for name in problems for case in read(only=name) if case.comment in COMMENTS]


def judge(name, found, library="torch"):
    """Whether a mutant is rejected on these cases and what it is called; `named` if its own mistake is said of a failing check."""
    mistake, _ = MUTANTS[name]
    examination = examine(Functions(name, mutant(name, kept(library))()), found)
    said = diagnose(examination)
    names = [d for d in said if mistake in d.mistakes]
    best = names[0] if names else next((d for d in said if d.words), said[0] if said else None)
    return {
        "mutant": name,
        "mistake": mistake,
        "rejected": bool(examination.failed),
        "named": bool(names),
        "first named": bool(said) and mistake in said[0].mistakes,
        "failed": [result.check.name for result in examination.failed],
        "said": str(best) if best else "",
    }


def same(name, found, library):
    """Whether the mutant gives what the right candidate gives, bit for bit: no mistake on these cases."""
    wrong, right = mutant(name, kept(library))(), kept(library)()
    for case in found:
        for quantity in case.want:
            family, _, member = quantity.partition("/")
            a = (case, member) if member else (case,)
            try:
                if not np.array_equal(getattr(wrong, family)(*a), getattr(right, family)(*a), equal_nan=True):
                    return False
            except NotImplementedError:
                pass
    return True


def asked(library, mistakes):
    """`(problems, names of mutants)`, all or those of some mistakes."""
    wanted = [name for name, (mistake, _) in MUTANTS.items() if not mistakes or mistake in mistakes]
    for pair in (*PAIRS[library], JOINING):
        if names := [name for name in wanted if (MUTANTS[name][0] == JOINED) == (pair == JOINING)]:
            yield pair, names


def main(library, path="mutants.json", *mistakes):
    start, rows, mistakes = time.perf_counter(), [], {int(mistake) for mistake in mistakes}
    for pair, names in asked(library, mistakes):
        problems, found = " and ".join(pair), cases(pair)
        right = examine(Functions(library, kept(library)()), found)
        print(library, problems, "right" if right.passed else "FALSE ALARM", flush=True)
        for name in names:
            row = {"problems": problems, **judge(name, found, library)}
            if not row["rejected"] and same(name, found, library):
                continue  # one output has no mean over outputs
            rows.append(row)
            called = "named" if row["named"] else f"NOT NAMED: {row['said']}"
            print(library, problems, name, "rejected" if row["rejected"] else "MISSED", called, flush=True)
    seconds = time.perf_counter() - start
    written = json.loads(Path(path).read_text())["candidates"] if Path(path).exists() else {}
    if mistakes and library in written:
        rows = [row for row in written[library]["rows"] if row["mistake"] not in mistakes] + rows
        seconds += written[library]["seconds"]
    rejected, named = sum(row["rejected"] for row in rows), sum(row["named"] for row in rows)
    summary = {"mutants": len(rows), "rejected": rejected, "named": named, "seconds": round(seconds, 1)}
    print(summary)
    document = {"schema": "refntk mutants 2", "candidates": written | {library: {**summary, "rows": rows}}}
    Path(path).write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
