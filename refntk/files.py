"""Arrays on disk that survive a crash while they are written and are not trusted while they are read.

A file is an uncompressed .npz: one member `name.npy` for every array, and two of our own, `meta` (JSON) and `sha256` (over
everything else). Uncompressed, it cannot expand; without objects, it cannot run anything; with the digest, it cannot have changed.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import struct
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np

from .errors import DamagedFile, InvalidInput

DTYPES = ("<f8", "<f4", "<i8", "|u1")  # plain numbers, as .npy headers name them
HEADER = re.compile(  # as NumPy writes it; nothing is evaluated to read it
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([<|]..)', 'fortran_order': False, 'shape': \(((?:\d{1,19}(?:, |,?(?=\))))*)\), \} *\n",
    re.DOTALL,
)
MEMBERS = 1000  # more than this many arrays no file of ours holds
DIRECTORY_BYTES = META_BYTES = 2**20
DISTRUST = (  # what zipfile, NumPy and json raise on bytes that are not theirs
    *(zipfile.BadZipFile, struct.error, OSError, EOFError, RuntimeError),
    *(ValueError, TypeError, LookupError, ArithmeticError),
)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file to write; only when the block ends without an error does it stand at `path`, whole and on the disk.

    Until then, and after any error or crash, what stood there before stands there still. Raises `OSError` (disk full, folder not
    writable), with the path named.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers"
    >>> with replacing(path) as file:
    ...     _ = file.write(b"42")
    >>> path.read_bytes()
    b'42'
    """
    path = Path(os.path.realpath(path))  # through a link, not over it
    part = path.with_name(f".{path.name}.{os.urandom(4).hex()}.part")
    try:
        try:
            with open(part, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
            _sync_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        why = error.strerror or error
        raise type(error)(error.errno, f"could not write {path}, what stood there is untouched: {why}") from error


def is_part(path: Path) -> bool:
    """Whether this is a file that `replacing` was writing."""
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.part", path.name) is not None


def sweep(folder: Path) -> None:
    """Removes what writers that were killed left unfinished; what is younger than an hour may still be being written."""
    for path in filter(is_part, folder.glob(".*.part")):
        with suppress(OSError):
            if path.stat().st_mtime < time.time() - 3600:
                path.unlink()


def _sync_folder(folder: Path) -> None:
    """The new name itself on the disk, where folders can be opened (not on Windows)."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write(path: str | os.PathLike[str], schema: str, meta: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes `arrays` and the JSON object `meta` to `path`, crash-safely. Equal contents give equal bytes.

    Raises `InvalidInput` for arrays that are none of plain numbers, `OSError`.
    """
    check_arrays(arrays)
    text = json.dumps({"schema": schema, **meta}, sort_keys=True, allow_nan=False).encode()
    members = {"meta": np.frombuffer(text, dtype=np.uint8)}
    members |= {name: np.asarray(array, order="C") for name, array in arrays.items()}
    members["sha256"] = _digest(members)
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)


def check_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    """Raises `InvalidInput` for what `write` could not write so that `read` would read it."""
    if len(arrays) > MEMBERS - 2 or {"meta", "sha256"} & set(arrays):
        raise InvalidInput(
            "arrays", f"{len(arrays)} named {', '.join(arrays)[:80]}", f"pass at most {MEMBERS - 2}, none meta, sha256"
        )
    for name, array in arrays.items():
        if np.asarray(array).dtype.str not in DTYPES:
            raise InvalidInput(name, f"an array of {np.asarray(array).dtype}", f"pass plain numbers: {', '.join(DTYPES)}")


def _digest(members: Mapping[str, np.ndarray]) -> np.ndarray:
    """SHA-256 (32,) over names, types, shapes and bytes."""
    sha = hashlib.sha256()
    for name in sorted(members):
        array = members[name]
        sha.update(f"{name}:{array.dtype.str}:{array.shape}:".encode())
        sha.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return np.frombuffer(sha.digest(), dtype=np.uint8)


def read(path: str | os.PathLike[str], schema: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """`(meta, arrays)` as `write` wrote them to `path`. Nothing is allocated before the sizes are known to fit the file.

    Raises `DamagedFile` for what is cut off, altered, of another schema, compressed, or holds anything but plain numbers;
    `OSError` for what cannot be opened.
    """
    path = Path(path)
    with _Sparing(io.FileIO(path)) as file:
        return _trusted(path, file, schema)


class _Sparing(io.BufferedReader):
    """A file of which not more than `most` bytes are read at once: at first, while `zipfile` looks for it, a directory's."""

    most = DIRECTORY_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = max(0, os.fstat(self.fileno()).st_size - self.tell())
        if size > self.most:
            raise ValueError("its directory is too long")
        return super().read(size)


def _trusted(path: Path, file: _Sparing, schema: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with zipfile.ZipFile(file) as archive:
            file.most = sys.maxsize
            members = {info.filename[:-4]: _member(archive, info) for info in _directory(archive, path.stat().st_size)}
        digest = members.pop("sha256")
        if _digest(members).tobytes() != digest.tobytes():
            raise ValueError("its digest does not fit its contents")
        meta = parse_json(members.pop("meta").tobytes())
        if meta.pop("schema") != schema:
            raise ValueError(f"it is no {schema}")
    except DISTRUST as error:
        raise DamagedFile("path", path, f"the file cannot be trusted ({error}); restore it from a copy") from error
    return meta, members


def _directory(archive: zipfile.ZipFile, size: int) -> list[zipfile.ZipInfo]:
    """The archive's members, if there is nothing wrong with any of them."""
    found = archive.infolist()
    names = [info.filename for info in found]
    if len(found) > MEMBERS or len(set(names)) < len(names) or not all(name.endswith(".npy") for name in names):
        raise ValueError("its members are not ours")
    if any(info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size for info in found):
        raise ValueError("its members are compressed")
    if sum(info.file_size for info in found) > size:
        raise ValueError("its members claim more bytes than it has")
    return found


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One array; the header must promise exactly the bytes that are there. Reading to the end checks the CRC."""
    data = archive.read(info)
    header = HEADER.match(data)
    if header is None or header.end() != 10 + int.from_bytes(header[1], "little"):
        raise ValueError(f"{info.filename} is no array as we write it")
    descr, shape = header[2].decode(), tuple(int(length) for length in header[3].replace(b",", b" ").split())
    if descr not in DTYPES:
        raise ValueError(f"{info.filename} holds {descr!r} instead of plain numbers")
    if math.prod(shape) * np.dtype(descr).itemsize != len(data) - header.end():
        raise ValueError(f"{info.filename} promises {shape} and holds {len(data) - header.end()} bytes")
    return np.frombuffer(data, dtype=descr, offset=header.end()).reshape(shape).copy()


def write_json(path: str | os.PathLike[str], values: Mapping[str, Any]) -> None:
    """Writes a JSON object to `path`, crash-safely. Equal contents give equal bytes. Raises `OSError`."""
    with replacing(path) as file:
        file.write(json.dumps(values, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")


def read_json(path: str | os.PathLike[str], schema: str) -> dict[str, Any]:
    """The JSON object at `path`, whose "schema" must be this. Raises `DamagedFile`, `OSError`."""
    path = Path(path)
    with open(path, "rb") as file:
        text = file.read(META_BYTES + 1)
    try:
        found = parse_json(text)
        if found.get("schema") != schema:
            raise ValueError(f"it is no {schema}")
    except DISTRUST as error:
        raise DamagedFile("path", path, f"the file cannot be trusted ({error}); restore it from a copy") from error
    return found


def parse_json(text: bytes) -> dict[str, Any]:
    """A JSON object of at most a mebibyte, without NaN and without a name twice. Raises what is in `DISTRUST`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name stands twice in its JSON")
        return dict(pairs)

    def never(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no JSON")

    def finite(text: str) -> float:
        return float(text) if math.isfinite(float(text)) else never(text)

    if len(text) > META_BYTES:
        raise ValueError("its JSON is too long")
    found = json.loads(text.decode(), object_pairs_hook=once, parse_constant=never, parse_float=finite)
    if not isinstance(found, dict):
        raise ValueError("its JSON is no object")
    return found
