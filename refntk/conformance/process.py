"""A candidate in another process, of any language: it reads a question and writes an answer, line by line, until its input ends.

Nothing that it does is trusted: it has a time and a size for every answer, its standard error is kept for the verdict, and its
whole group of processes is ended at the end. It is started from a list of words; no shell reads them.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO

from ..errors import InvalidInput
from ..vectors.case import Case
from .exchange import MOST_BYTES, answered, question
from .protocol import Answer

CHUNK, TAIL = 2**16, 2**11
LIVES = 3  # starts: a process that ends is started anew, but not for ever


class Failed(Exception):
    """The process gave no answer, and why."""


class Process:
    """The candidate that the words `argv` start; `limit` seconds for each answer, its first included. To be used in a `with`.

    Raises `InvalidInput` if it cannot be started at all.

    >>> from refntk.vectors import read
    >>> case = next(read(only="wave"))
    >>> with Process(["cat"], limit=5.0) as candidate:  # answers with the question itself
    ...     print(candidate.answers(case, ["ntk"])["ntk"].why)
    not {"id": ..., "results": {...}}: b'{"id": "wave-001", "quantities": ["residual", "ntk", "traces'
    """

    def __init__(self, argv: Sequence[str], /, *, limit: float = 60.0, most: int = MOST_BYTES):
        self.argv, self.limit, self.most = list(argv), limit, most
        self.name, self.lives = " ".join(argv), LIVES
        self.ended = ""  # why there is nobody to ask any more
        self._start()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def _start(self) -> None:
        pipe = subprocess.PIPE
        try:
            self.child = subprocess.Popen(self.argv, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True)
        except (OSError, ValueError) as error:
            raise InvalidInput("candidate", self.name, f"it cannot be started: {error}") from error
        self.buffer, self.stderr = bytearray(), b""
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            os.set_blocking(_open(stream).fileno(), False)

    def _end(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.child.pid, signal.SIGKILL)  # the group that it leads, whether or not it still lives
        self.child.wait()
        for stream in (self.child.stdin, self.child.stdout, self.child.stderr):
            with suppress(OSError):
                _open(stream).close()

    def answers(self, case: Case, quantities: Iterable[str], /) -> Mapping[str, Answer]:
        """What the line that came says; if none came, why, for all of them."""
        if self.ended:
            return {quantity: Answer(None, self.ended) for quantity in quantities}
        try:
            line = self._ask(question(case).encode() + b"\n")
        except Failed as error:
            self._end()
            why, self.lives = str(error), self.lives - 1
            if self.lives:
                self._start()
            else:
                self.ended = f"not asked again after {LIVES} failures ({why})"
            return {quantity: Answer(None, why) for quantity in quantities}
        try:
            return answered(line, case)
        except ValueError as error:
            return {quantity: Answer(None, str(error)) for quantity in quantities}

    def _ask(self, line: bytes) -> bytes:
        """The next line of its standard output. Raises `Failed`."""
        if self.buffer:
            raise Failed(f"writes what nobody asked for: {bytes(self.buffer[:60])!r}")
        until = time.monotonic() + self.limit
        stdin, stdout, stderr = _open(self.child.stdin), _open(self.child.stdout), _open(self.child.stderr)
        with selectors.DefaultSelector() as ready:
            ready.register(stdin, selectors.EVENT_WRITE)
            ready.register(stdout, selectors.EVENT_READ)
            ready.register(stderr, selectors.EVENT_READ)
            while b"\n" not in self.buffer:
                if (left := until - time.monotonic()) <= 0:
                    raise Failed(f"no answer within {self.limit:g} s{self._said()}")
                for key, _ in ready.select(left):
                    if key.fileobj is stdin:
                        line = self._write(stdin, line)
                        if not line:
                            ready.unregister(stdin)
                    elif chunk := _read(key.fd):
                        self._take(chunk, error=key.fileobj is stderr)
                    else:
                        ready.unregister(key.fileobj)
                        if key.fileobj is stdout:
                            raise Failed(self._death())
        answer, _, rest = bytes(self.buffer).partition(b"\n")
        self.buffer = bytearray(rest)
        return answer

    def _take(self, chunk: bytes, *, error: bool) -> None:
        if error:
            self.stderr = (self.stderr + chunk)[-TAIL:]
            return
        self.buffer += chunk
        if len(self.buffer) > self.most:
            raise Failed(f"an answer of more than {self.most} bytes")

    def _write(self, stdin: IO[bytes], line: bytes) -> bytes:
        """What is left to write; nothing if it no longer reads."""
        try:
            return line[os.write(stdin.fileno(), line[:CHUNK]) :]
        except BlockingIOError:
            return line
        except OSError:
            return b""

    def _death(self) -> str:
        try:
            code = self.child.wait(1.0)
        except subprocess.TimeoutExpired:
            return f"closed its standard output{self._said()}"
        with suppress(BlockingIOError, OSError):
            self.stderr = (self.stderr + os.read(_open(self.child.stderr).fileno(), CHUNK))[-TAIL:]
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit status {code}"
        return f"the process {how} before it answered{self._said()}"

    def _said(self) -> str:
        """The last line of its standard error."""
        lines = self.stderr.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"; it said: {last[-200:]}" if last else ""


def _open(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # all three are pipes
    return stream


def _read(handle: int) -> bytes:
    """What there is; nothing at the end of the stream."""
    try:
        return os.read(handle, CHUNK)
    except OSError:
        return b""
