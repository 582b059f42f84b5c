"""`refntk problems`: the registry as a table, or one problem in detail."""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Callable

import numpy as np

from .. import problems as registry
from ..problems.base import DirectProblem, Problem, Term


def problems(parser: argparse.ArgumentParser) -> Callable[[argparse.Namespace], int]:
    """List the problems: equation, source, terms with their points, parameters.

    For example:
      refntk problems               all of them
      refntk problems wave          one in detail
      refntk train wave --set c=3   train one with another parameter
    """
    parser.add_argument("name", nargs="?", metavar="NAME", help="tell everything about this one")

    def run(options: argparse.Namespace) -> int:
        print(table() if options.name is None else detail(registry.get(options.name)))
        return 0

    return run


def table() -> str:
    """Two lines for each problem: name, equation, source; terms with points, parameters.

    >>> print(table().splitlines()[0])
    NAME         EQUATION and TERMS (points)                             SOURCE and PARAMETERS
    """
    rows = [("NAME", "EQUATION and TERMS (points)", "SOURCE and PARAMETERS")]
    for name in registry.names():
        problem = registry.get(name)
        terms = ", ".join(f"{term.name} {_count(term)}" for term in problem.terms)
        rows += [(name, problem.title, ", ".join(problem.source)), ("", terms, parameters(problem))]
    first, second = (max(len(row[i]) for row in rows) + 2 for i in (0, 1))
    return "\n".join(f"{a:<{first}}{b:<{second}}{c}".rstrip() for a, b, c in rows)


def parameters(problem: Problem) -> str:
    """`c = 2.0, ...`, or a dash.

    >>> parameters(registry.get("wave", c=3.0))
    'c = 3.0'
    """
    return ", ".join(f"{name} = {value}" for name, value in problem.parameters().items()) or "-"


def detail(problem: Problem) -> str:
    """What the source says about the problem, and where its terms hold."""
    x, box = problem.coordinates, problem.domain
    sides = [f"{name} in [{low:g}, {high:g}]" for name, low, high in zip(x, box.lower, box.upper, strict=True)]
    direct = isinstance(problem, DirectProblem)
    known = "none" if direct else problem.solution(box.sample(1, rng=np.random.default_rng(0))) is not None
    about = {
        "equation": problem.title,
        "source": ", ".join(problem.source),
        "domain": ", ".join(sides),
        "outputs": "no network: the residual is a function of θ" if direct else str(problem.outputs),
        "solution": "known, so that errors are measured" if known is True else "not known, so that no error is measured",
        "parameters": parameters(problem),
    }
    lines = [
        problem.name,
        "",
        inspect.getdoc(type(problem)) or "",
        "",
        (sys.modules[type(problem).__module__].__doc__ or "").strip(),
        "",
    ]
    lines += [f"{key:<12}{value}" for key, value in about.items()]
    lines += ["terms", *(f"  {term.name:<12}{_count(term)} points, {term.components} each" for term in problem.terms)]
    return "\n".join(lines)


def _count(term: Term) -> str:
    """A number of points, or of cells along each coordinate of a grid."""
    return str(term.count) if isinstance(term.count, int) else "x".join(str(cells) for cells in term.count)
