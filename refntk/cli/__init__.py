"""The command line: `refntk problems | train | weights | study | bench | vectors | check`.

A subcommand is a function listed in `COMMANDS`. It takes its parser, declares its arguments there, and returns what runs on them;
its docstring is its help.
"""

from __future__ import annotations

import argparse
import inspect
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

from ..errors import InvalidInput, MissingDependency
from .bench import bench
from .check import check
from .problems import problems
from .study import study
from .train import train
from .vectors import vectors
from .weights import weights

Run = Callable[[argparse.Namespace], int]  # returns the exit code
COMMANDS: tuple[Callable[[argparse.ArgumentParser], Run], ...] = (problems, train, weights, study, bench, vectors, check)

OK, OTHER, USAGE, REFUTED, INTERRUPTED = 0, 1, 2, 3, 130
EPILOG = """\
examples:
  refntk problems                       what can be trained
  refntk train wave                     a network for the wave equation, weighted by the neural tangent kernel
  refntk train wave --help              every option, and what each weighting means
  refntk weights wave                   every published rule for such weights, side by side
  refntk study montecarlo               a convergence study with its claims, figures and report
  refntk check mypackage.module:Mine    whether an implementation is right, and what is wrong with it

exit codes: 0 done; 2 an option cannot be used; 130 stopped by Ctrl-C, with what was done kept; 3 a claim of a study fails,
or a check; 1 anything else"""


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = _parser(argparse.ArgumentParser, prog="refntk", description=sys.modules["refntk"].__doc__, epilog=EPILOG)
    top.add_argument("--version", action="version", version=f"refntk {version('refntk')}")
    below = top.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        told = inspect.getdoc(command) or ""
        first, _, rest = told.partition("\n\n")
        own = _parser(below.add_parser, command.__name__, help=first.rstrip("."), description=first, epilog=rest)
        own.set_defaults(run=command(own))
    return top


def _parser(make: Callable[..., argparse.ArgumentParser], *name: str, **told: str | None) -> argparse.ArgumentParser:
    return make(*name, **told, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of the command line `arguments` (`sys.argv` without its first if left out)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without π is no reason to fail
    try:
        options = parser().parse_args(arguments)
        options.arguments = list(sys.argv[1:] if arguments is None else arguments)
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # --help, --version, usage
        return int(stop.code or OK)
    except InvalidInput as error:
        return _say(error, USAGE)
    except KeyboardInterrupt:
        return _say("stopped", INTERRUPTED)
    except BrokenPipeError:  # the reader has gone; what Python flushes at exit goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OTHER
    except (OSError, MissingDependency) as error:
        return _say(error, OTHER)


def _say(message: object, code: int) -> int:
    print(f"refntk: {message}", file=sys.stderr)
    return code
