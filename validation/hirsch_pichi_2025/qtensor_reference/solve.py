"""Writes data/qtensor/reference.npz and convergence.json beside this file: `python solve.py`, some minutes, needs scikit-fem."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from flow import Elements, sines

from refntk import files
from refntk.problems.qtensor import QTensor
from refntk.studies.qtensor import REFERENCE

HERE = Path(__file__).parent
END, TIMES = 2.0, (0.0, 0.5, 1.0, 1.5, 2.0)
SIDE = np.linspace(-2.0, 2.0, 81)
CELLS, STEPS = 64, 640  # of what is stored
PROBLEM = QTensor()


def elements(cells: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Both components on the grid, (times, 2, 81, 81), and the energies. Raises if the energy ever rises."""
    space = Elements(PROBLEM, cells)
    kept, energies = space.evolve(steps, END, TIMES)
    if not np.all(np.diff(energies) < 0):
        raise ArithmeticError(f"the energy rises with {cells}² cells and {steps} steps")
    at = space.at(*np.meshgrid(SIDE, SIDE, indexing="ij"))
    return np.stack([[(at @ part).reshape(len(SIDE), -1) for part in q] for q in kept]), energies


def by_sines(squares: int, steps: int) -> np.ndarray:
    """The same by sines, for a multiple of 80 squares along a side, so that every node of the grid is one of theirs."""
    inner = slice(squares // 80 - 1, None, squares // 80)
    found = sines(PROBLEM, squares - 1, steps, END, TIMES)
    return np.stack([np.pad(q[:, inner, inner], ((0, 0), (1, 1), (1, 1))) for q in found])


def relative(found: np.ndarray, wanted: np.ndarray) -> list[float]:
    """Relative L2 distance over both components at each time."""
    return [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(found, wanted, strict=True)]


def table(solve: Callable[[int], np.ndarray], numbers: Iterable[int]) -> list[dict]:
    """The distance of each refinement from the next, twice as fine, and from the second pair on the order (0: none)."""
    rows: list[dict] = []
    solutions = {number: solve(number) for number in numbers}
    for (coarse, a), (fine, b) in zip(list(solutions.items())[:-1], list(solutions.items())[1:], strict=True):
        distance = relative(a, b)
        before = rows[-1]["distance"] if rows else distance
        orders = [float(np.log2(x / y)) if x > y > 0 else 0.0 for x, y in zip(before, distance, strict=True)]
        rows.append({"coarse": coarse, "fine": fine, "distance": distance, "order": orders})
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Convergence in h, in Δt, against sines; then what is stored."""
    found: dict = {
        "times": TIMES,
        "h": table(lambda cells: elements(cells, 320)[0], (8, 16, 32, 64)),
        "dt": table(lambda steps: elements(32, steps)[0], (80, 160, 320, 640)),
        "sines": table(lambda squares: by_sines(squares, 320), (80, 160, 320)),
    }
    q, energies = elements(CELLS, STEPS)
    found["stored"] = {
        "cells": CELLS,
        "steps": STEPS,
        "from sines": relative(q, by_sines(320, 640)),
        "least fall of the energy in a step, of all": float(np.min(-np.diff(energies)) / (energies[0] - energies[-1])),
    }
    print(found["stored"])
    files.write_json(HERE / "convergence.json", found)
    meta = {"parameters": PROBLEM.parameters(), "cells": CELLS, "steps": STEPS, "error": max(found["stored"]["from sines"][1:])}
    REFERENCE.parent.mkdir(parents=True, exist_ok=True)
    files.write(
        REFERENCE, "refntk qtensor reference 1", meta, {"times": np.array(TIMES), "side": SIDE, "q": q, "energies": energies}
    )


if __name__ == "__main__":
    main()
