"""Which training inputs drive the fall of D: drive against margin, and the largest of them as images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from proplim.figures._base import Cubes, Drawings, Figure, add
from proplim.figures._files import files_of_study
from proplim.figures._slices import at
from proplim.figures._straggler_page import SHOWN, straggler_page
from proplim.figures._style import Style
from proplim.query import plain_values
from proplim.schema import Point


def _draw(cubes: Cubes, style: Style, folder: Path) -> Drawings:
    """A file for every run whose attribution is in the folder, and every optimizer of it."""
    for point, table, inputs in _tables(cubes["dynamics"], folder):
        optimizers = plain_values(table["optimizer"])
        for optimizer in optimizers:
            key = {**point, "optimizer": optimizer} if len(optimizers) > 1 else point
            yield key, straggler_page(table, inputs, optimizer, SHOWN, None, style)


def _tables(
    dynamics: xr.Dataset, folder: Path
) -> Iterator[tuple[dict[str, Any], xr.Dataset, np.ndarray | None]]:
    """Grid point, attribution and training inputs of every run in the folder that belongs to the cube."""
    prepared = {path: _identity(path) for path in sorted((folder.parent / "datasets").glob("*/*.nc"))}
    for path in files_of_study(folder):
        with xr.open_dataset(path) as opened:
            point = Point.of(json.loads(opened.attrs["point"])).coordinates()
            identity = opened.attrs.get("identity")
            if at(dynamics, point) is not None:
                inputs = next((_inputs(file) for file, known in prepared.items() if known == identity), None)
                yield point, opened.load(), inputs


def _identity(path: Path) -> str:
    with xr.open_dataset(path) as prepared:
        return str(prepared.attrs.get("identity", ""))


def _inputs(path: Path) -> np.ndarray:
    with xr.open_dataset(path) as prepared:
        return np.asarray(prepared["x_train"].values)


add(
    Figure(
        "stragglers",
        "most influential inputs",
        "The training inputs that drive the fall of D: those learned last, with their margin and their contribution.",
        """\
A few ambiguous inputs near the boundary usually make up most of the fall.""",
        _draw,
        section="6 Training",
        needs=("dynamics",),
        split="train",
        reads="stragglers",
        sliced=True,
        order=130,
    )
)
