"""What a candidate may offer: the quantities, one function for each; and how an object of Python is asked for them.

A candidate is any object with some of these functions, each of a `Case` (its inputs; what it wants is taken out before):

    residual(case) (n,)            jacobian(case) (n, p)       ntk(case) (n, n)              spectrum(case) (n,), largest first
    traces(case) (M,)              gradient(case) (p,)         jets(case, term)              weights(case, rule) (M,)
    products(case) (n, N)          products_forward(case)      products_central(case)        sketched_weights(case) (M,)
    trace_means(case) (M,)         trace_errors(case) (M,)     average_traces(case) (M,)     average_ntk(case) (n, n)
    direction(case) (p,)

and of the estimators that draw probes of their own, all samples at once, each the mean over so many probes:

    sampled_traces(case, law, *, samples, probes, seed) (samples, M)     law: "normal", "rademacher" (Algorithm 2), "theorem_5"
    sampled_ntk(case, law, *, samples, probes, seed) (samples, n, n)     law: "normal", "rademacher"

What is not there is not judged. A function that raises `NotImplementedError` does not do this case, or this rule, and says so.
Numbers for each of the M terms may come as `{term: number}`. What the quantities are stands in `data/vectors/schema.json`.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ..errors import InvalidInput, UnknownNameError
from ..vectors.case import Case
from .estimators import SAMPLED, asked, sampled

QUANTITIES = {  # in the order of a derivation: a mistake in one is inherited by those below
    "jets": "the derivatives of u that the operators of a term hold",
    "residual": "R, the rows of all terms",
    "jacobian": "J = ∂R/∂θ",
    "gradient": "Jᵀ Λ R",
    "ntk": "K = J Jᵀ",
    "traces": "Tr K_kk of every term",
    "spectrum": "the eigenvalues of K, largest first",
    "direction": "J⁺R = (JᵀJ)⁺JᵀR, the natural gradient",
    "weights": "λ_k by a published rule",
    "products": "K G for given probes G",
    "products_forward": "K G by forward differences with the step dt",
    "products_central": "K G by central differences with the step dt",
    "trace_means": "the mean over probes of g_kᵀ z_k",
    "trace_errors": "its standard error",
    "sketched_weights": "Σ T̂ / T̂_k of these means",
    "average_traces": "Algorithm 3's moving average of traces",
    "average_ntk": "Algorithm 3's moving average of K̂",
}
FUNCTIONS = (*QUANTITIES, *dict.fromkeys(name.partition("/")[0] for name in SAMPLED))


@dataclass(frozen=True, eq=False)
class Answer:
    """What came for one quantity of one case: `value`; or None and why, `offered=False` if nothing was claimed either."""

    value: np.ndarray | None = None
    why: str = ""
    offered: bool = True


NOTHING = Answer(offered=False)


class Candidate(Protocol):
    """Whoever answers: by a name, for one case after the other."""

    @property
    def name(self) -> str:
        """Who answers."""

    def answers(self, case: Case, quantities: Iterable[str], /) -> Mapping[str, Answer]:
        """What it says of these quantities; those that are missing are not offered."""


def questions(case: Case, /) -> list[str]:
    """The quantities that a case can judge: those it wants, weights that must be refused, and estimators."""
    return [*case.want, *case.refused, *sampled(case)]


def blank(case: Case, /) -> Case:
    """The case without what it wants."""
    return replace(case, want={}, refused=())


@dataclass(frozen=True, eq=False)
class Functions:
    """An object of Python with some of the functions above; it runs here, without limits of time or memory.

    >>> from refntk.vectors import read
    >>> class Mine:
    ...     def traces(self, case): return {"data": 1.0}
    >>> case = next(read(only="quadratic"))
    >>> Functions("mine", Mine()).answers(case, ["traces", "ntk"])["traces"].value
    array([1.])
    """

    name: str
    found: Any

    def answers(self, case: Case, quantities: Iterable[str], /) -> Mapping[str, Answer]:
        """What the functions return, or that they raised."""
        given = blank(case)
        return {quantity: answer for quantity in quantities if (answer := self._answer(given, quantity)).offered}

    def _answer(self, case: Case, quantity: str) -> Answer:
        family, _, member = quantity.partition("/")
        function = getattr(self.found, family, None)
        if not callable(function):
            return NOTHING
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = function(case, *([member] if member else []), **(asked(case) if quantity in SAMPLED else {}))
                return as_answer(value, [term.name for term in case.problem.terms])
        except NotImplementedError as error:
            return Answer(None, str(error), offered=False)
        except (Exception, SystemExit) as error:
            return Answer(None, f"raised {type(error).__name__}: {error}"[:300])


def as_answer(value: object, terms: list[str], /) -> Answer:
    """An answer from what a function returned: an array, nested lists, or `{term: number}`."""
    if value is None:
        return Answer(None, "returned None")
    if isinstance(value, Mapping):
        if set(value) != set(terms):
            return Answer(None, f"names {sorted(map(str, value))[:8]} where the terms are {terms}")
        value = [value[term] for term in terms]
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            raise TypeError(f"an array of {array.dtype}")
    except Exception as error:  # whatever a foreign array does when it is converted
        return Answer(None, f"is no array of real numbers: {error}"[:300])
    return Answer(array)


def load(name: str, /) -> Functions:
    """The candidate `package.module:object` (a class is called without arguments), or the module itself.

    Raises `InvalidInput`, naming what is not there.

    >>> load("refntk.conformance.protocol").name
    'refntk.conformance.protocol'
    """
    module_name, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")  # the folder in which the command was given
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise InvalidInput("candidate", name, f"importing it raised {type(error).__name__}: {error}") from error
    for part in attribute.split(".") if attribute else ():
        if not hasattr(found, part):
            raise UnknownNameError("candidate", part, [n for n in dir(found) if not n.startswith("_")])
        found = getattr(found, part)
    if isinstance(found, type):
        try:
            found = found()
        except Exception as error:
            raise InvalidInput("candidate", name, f"calling it without arguments raised {type(error).__name__}: {error}") from error
    if not any(callable(getattr(found, family, None)) for family in FUNCTIONS) and attribute:
        raise InvalidInput("candidate", name, f"give it one of the functions {', '.join(FUNCTIONS)}")
    return Functions(name, found)
