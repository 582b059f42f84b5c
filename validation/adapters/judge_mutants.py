"""Two right candidates pass, every mutant is rejected, and most are named: `python judge_mutants.py [mutants.json]`."""

import json
import sys
import time
from typing import ClassVar

import numpy as np
from mutants import MUTANTS, mutant
from with_torch import Torch

from refntk.conformance import Functions, diagnose, examine
from refntk.vectors import read

COMMENTS = (
    "two neurons",
    "unequal numbers of points",
    "two hidden layers",
    "two hidden layers, the second wider",
    "equal widths: a transposed W goes unnoticed",
    "rows divided by √n",
    "rows times roots of quadrature weights",
    "last layer times N^(-1/2), N = 16",
    "NTK parametrisation",
)
PAIRS = (("wave", "qtensor"), ("poisson1d", "wave"), ("qtensor", "poisson1d"))  # one alone cannot tell 2 outputs from a factor 2


class Kept(Torch):
    """What is right is computed once for all mutants: R, J and jets are kept, unless something below them is changed."""

    answers: ClassVar = {}

    def kept(self, method, key, compute):
        below = {"unflatten", "equations", "D", "normalized", "factors", "u"} & set(vars(type(self)))
        if below:
            key = (type(self), *key)
        if (method, *key) not in self.answers:
            self.answers[method, *key] = compute()
        return self.answers[method, *key]

    def raw_jacobian(self, case):
        return self.kept("J", (case.name,), lambda: super(Kept, self).raw_jacobian(case))

    def residual_at(self, case, theta):
        return self.kept("R", (case.name, theta.tobytes()), lambda: super(Kept, self).residual_at(case, theta))

    def derivatives(self, case, term):
        return self.kept("jets", (case.name, term), lambda: super(Kept, self).derivatives(case, term))


def cases(problems):
    """The small cases of some problems."""
    return [case for name in problems for case in read(only=name) if case.comment in COMMENTS]


def judge(name, found):
    """Whether a mutant is rejected on these cases and what it is called; `named` if its own mistake is said of a failing check."""
    mistake, _ = MUTANTS[name]
    examination = examine(Functions(name, mutant(name, Kept)()), found)
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


def main(path="mutants.json"):
    start, rows = time.perf_counter(), []
    for problem, found in ((" and ".join(pair), cases(pair)) for pair in PAIRS):
        right = examine(Functions("torch", Kept()), found)
        print(problem, "right" if right.passed else "FALSE ALARM", flush=True)
        for name in MUTANTS:
            row = {"problems": problem, **judge(name, found)}
            if not row["rejected"] and same(name, found):
                continue  # not a mistake here: one output has no mean over outputs
            rows.append(row)
            called = "named" if row["named"] else f"NOT NAMED: {row['said']}"
            print(problem, name, "rejected" if row["rejected"] else "MISSED", called, flush=True)
    rejected, named = sum(row["rejected"] for row in rows), sum(row["named"] for row in rows)
    summary = {"mutants": len(rows), "rejected": rejected, "named": named, "seconds": round(time.perf_counter() - start, 1)}
    print(summary)
    with open(path, "w") as file:
        json.dump({"schema": "refntk mutants 1", **summary, "rows": rows}, file, indent=1, ensure_ascii=False)


def same(name, found):
    """Whether the mutant gives what the right candidate gives, bit for bit."""
    wrong, right = mutant(name, Kept)(), Kept()
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


if __name__ == "__main__":
    main(*sys.argv[1:])
