"""A study's outcome for other tools: a data set of xarray, a NetCDF file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidInput, MissingDependency
from ..files import replacing

if TYPE_CHECKING:
    import xarray

    from .conduct import Conclusion


def dataset(conclusion: Conclusion, /) -> xarray.Dataset:
    """The outcome as an `xarray.Dataset`: arrays along "cell" and axes of their own, the cells' parameters as coordinates.

    Attributes tell what was asked and how: study, source, scale, seed, code, the configuration as JSON, one claim a line. Where the
    cells are a full grid, `dataset.set_index(cell=[...]).unstack()` makes an axis of each parameter.

    Raises `InvalidInput` for a conclusion without an outcome, `MissingDependency`.
    """
    if conclusion.outcome is None:
        raise InvalidInput("conclusion", "one with failed cells", "mend them first")
    try:
        import xarray
    except ImportError as error:
        raise MissingDependency("xarray is not installed: pip install 'refntk[netcdf]'") from error
    cells, arrays = conclusion.outcome.cells, conclusion.outcome.arrays
    variables = {}
    for name, array in arrays.items():
        along = array.ndim > 0 and len(array) == len(cells)
        axes = [f"{name}_axis{k}" for k in range(array.ndim)]
        variables[name] = (["cell", *axes[1:]] if along else axes, array)
    parameters = dict.fromkeys(name for cell in cells for name in cell)
    coordinates = {name if name not in arrays else f"{name} of cell": ("cell", _column(cells, name)) for name in parameters}
    about = {name: value if isinstance(value, str | int) else json.dumps(value) for name, value in conclusion.about.items()}
    about |= {"source": conclusion.study.source, "claims": "\n".join(map(str, conclusion.claims))}
    return xarray.Dataset(variables, coordinates, about)


def _column(cells: Any, name: str) -> np.ndarray:
    """A parameter over all cells: numbers where all are, else texts, empty where a cell lacks it."""
    values = [cell.get(name, "") for cell in cells]
    if all(isinstance(value, int | float) for value in values):
        return np.array(values)
    return np.array([value if isinstance(value, str) else json.dumps(value) for value in values], dtype=object)


def export(conclusion: Conclusion, path: str | os.PathLike[str], /) -> Path:
    """The path of the NetCDF 4 file written, whole or not at all. Raises `InvalidInput`, `MissingDependency`, `OSError`."""
    found = dataset(conclusion)
    try:
        import netCDF4  # noqa: F401
    except ImportError as error:
        raise MissingDependency("netCDF4 is not installed: pip install 'refntk[netcdf]'") from error
    path = Path(path)
    with TemporaryDirectory() as folder, replacing(path) as file:
        found.to_netcdf(Path(folder) / "result.nc", engine="netcdf4")
        file.write((Path(folder) / "result.nc").read_bytes())
    return path
