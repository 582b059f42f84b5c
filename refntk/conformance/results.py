"""Files of results as a candidate: lines of JSON (`*.jsonl`, what a process would have answered), or `<case>.npz` of quantities.

Files are strangers': their sizes are bounded, nothing in them is run, and what cannot be read is a verdict on the cases it names.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ..errors import InvalidInput
from ..files import DISTRUST
from ..vectors.case import Case
from .exchange import MOST_BYTES, read_results, results_of
from .protocol import Answer, as_answer

MOST_LINES, MOST_FILE = 10_000, 2**30


class Results:
    """The results in a folder, or in one file of lines; whatever they do not hold is not judged. Raises `InvalidInput`.

    >>> import json, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mine.jsonl"
    >>> _ = path.write_text(json.dumps({"id": "wave-001", "results": {"traces": [1.0, 2.0, 3.0, 4.0]}}))
    >>> from refntk.vectors import read
    >>> Results(path).answers(next(read(only="wave")), ["traces", "ntk"])["traces"].value
    array([1., 2., 3., 4.])
    """

    def __init__(self, path: Path | str, /):
        path = Path(path)
        self.name = str(path)
        self.lines: dict[str, Mapping[str, object]] = {}
        self.archives: dict[str, Path] = {}
        files = sorted([*path.glob("*.jsonl"), *path.glob("*.npz")]) if path.is_dir() else [path]
        if not files or not files[0].exists():
            raise InvalidInput(
                "candidate", path, "no *.jsonl or *.npz stands there; `refntk check --questions FILE` writes what to answer"
            )
        for file in files:
            if file.suffix == ".npz":
                self.archives[file.stem] = file
            else:
                self._read_lines(file)

    def _read_lines(self, file: Path) -> None:
        try:
            with open(file, "rb") as stream:
                for number, line in enumerate(iter(lambda: stream.readline(MOST_BYTES + 1), b""), start=1):
                    if len(line) > MOST_BYTES or number > MOST_LINES or stream.tell() > MOST_FILE:
                        raise InvalidInput(f"{file}:{number}", "a file that is too large", f"at most {MOST_BYTES} bytes a line")
                    if not line.strip():
                        continue
                    name, results = results_of(line)
                    if name in self.lines:
                        raise ValueError(f"answers {name!r} a second time")
                    self.lines[name] = results
        except ValueError as error:
            if isinstance(error, InvalidInput):
                raise
            raise InvalidInput(f"{file}:{number}", "a line that is no answer", str(error)) from error
        except OSError as error:
            raise InvalidInput("candidate", file, f"it cannot be read: {error.strerror}") from error

    def answers(self, case: Case, quantities: Iterable[str], /) -> Mapping[str, Answer]:
        """What the files hold of this case."""
        found = read_results(self.lines.get(case.name, {}), case)
        if case.name in self.archives:
            found |= _from_archive(self.archives[case.name], case, list(quantities))
        return found


def _from_archive(path: Path, case: Case, quantities: list[str]) -> dict[str, Answer]:
    terms = [term.name for term in case.problem.terms]
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
                raise ValueError(f"it unpacks to more than {MOST_BYTES} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            return {quantity: as_answer(arrays[quantity], terms) for quantity in quantities if quantity in arrays}
    except (*DISTRUST, MemoryError) as error:
        return {quantity: Answer(None, f"{path.name} cannot be read: {error}"[:200]) for quantity in quantities}
