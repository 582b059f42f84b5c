"""An adapter as a program: questions in, answers out, a line of JSON each; or what one quantity costs.

    python answer.py with_pina Weights                 what `refntk check -- python answer.py with_pina Weights` asks
    python answer.py with_pina Weights cost ntk        processor seconds and bytes of one quantity, for the last question
    python answer.py with_pina Trained train FILE      another function of the class

Whatever a library prints goes to standard error: only answers are on standard output.
"""

import importlib
import json
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from measure import Question

ROUNDS, MOST_SECONDS = 5, 4.0


def main():
    """Reads the command line."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module, name, *verb = sys.argv[1:]
    adapter = getattr(importlib.import_module(module), name)()
    if not verb:
        for line in sys.stdin:
            q = Question(json.loads(line))
            tell(out, {"id": q.name, "results": answers(adapter, q)})
    elif verb[0] == "cost":
        tell(out, cost(adapter, [json.loads(line) for line in sys.stdin], verb[1]))
    else:
        tell(out, getattr(adapter, verb[0])(*verb[1:]))


def tell(out, document):
    out.write(json.dumps(document) + "\n")
    out.flush()


def answers(adapter, q):
    """`{quantity: nested lists}`; None for what raised, which is told on standard error."""
    found = {}
    for quantity in q.quantities:
        if not hasattr(adapter, quantity.partition("/")[0]):
            continue
        try:
            found[quantity] = np.asarray(ask(adapter, q, quantity), dtype=float).tolist()
        except NotImplementedError:
            continue
        except Exception as error:
            print(f"{q.name} {quantity}: {type(error).__name__}: {error}", file=sys.stderr)
            found[quantity] = None
    return found


def ask(adapter, q, quantity):
    family, _, member = quantity.partition("/")
    function = getattr(adapter, family)
    return function(q, member) if member else function(q)


def cost(adapter, asked, quantity):
    """Of the last question, after the others as warm-up: bytes of the first call at its peak, processor seconds of others."""
    *small, large = asked
    for one in small:
        ask(adapter, Question(one), quantity)
    before = _resident(reset=True)
    ask(adapter, Question(large), quantity)
    peak = _resident(peak=True) - before
    seconds: list[float] = []
    while len(seconds) < ROUNDS and (not seconds or sum(seconds) < MOST_SECONDS):
        q, begin = Question(large), time.process_time()
        ask(adapter, q, quantity)
        seconds.append(time.process_time() - begin)
    return {
        "quantity": quantity,
        "seconds": statistics.median(seconds),
        "least": min(seconds),
        "calls": len(seconds),
        "bytes": peak,
    }


def _resident(peak=False, reset=False):
    """Bytes that this process holds, or held at its peak since `reset` (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    name = "VmHWM:" if peak else "VmRSS:"
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
