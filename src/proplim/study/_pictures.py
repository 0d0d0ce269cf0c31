"""Figures of a study, drawn from its cubes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proplim.cube import read_netcdf

if TYPE_CHECKING:
    import xarray as xr

BESIDE = ("draws", "stragglers")
"""Folders of the study that figures read beside the cubes."""

FEW_SETS = 2
"""Sets of figures, each a page of every kind, that one process draws: a second one costs as much as some pages."""
MOST_CORES = 2

_SHARED: dict[str, xr.Dataset] = {}
"""The cubes, in all processes that draw some of the figures."""


def drawing_cores(axes: Mapping[str, Sequence]) -> int:
    """Cores for the figures of a study.

    Parameters
    ----------
    axes : mapping
        Axis of the grid -> its values.
    """
    from proplim.figures import FILE_DIMS

    sets = math.prod(len(axes[name]) for name in FILE_DIMS)
    return MOST_CORES if sets > FEW_SETS else 1


def draw_study(
    cubes: Mapping[str, str | Path],
    folder: str | Path,
    *,
    formats: Sequence[str] = ("png",),
    dpi: int | None = None,
    slices: int | Mapping[str, Sequence] = 6,
    processes: int = 1,
) -> None:
    """Draw every figure of a study; beside the inversion figure stands its table, inversion.csv.

    Parameters
    ----------
    cubes : mapping
        Stage -> path of its cube.
    folder : path
        ``results/<study>/figures``.
    formats, dpi, slices
        As for :func:`proplim.figures.draw_figures`.
    processes : int
        Kinds of figures drawn side by side.
    """
    from proplim.figures import FIGURES, draw_figures, inversion_table

    loaded, target = {stage: read_netcdf(path) for stage, path in cubes.items()}, Path(folder)
    options: dict[str, Any] = {
        "formats": list(formats),
        "dpi": dpi,
        "slices": slices,
        **{name: target.with_name(name) for name in BESIDE},
    }
    target.mkdir(parents=True, exist_ok=True)
    # The table and the first figure come before the fork: what they import and read, fonts and mathematics too, the
    # others find there. Cubes are not copied either.
    if {"theory", "dynamics"} <= set(loaded) and "proportional" in loaded["theory"].approximation:
        inversion_table(loaded).to_csv(target / "inversion.csv", index=False)
    if processes == 1:
        draw_figures(loaded, target, **options)
        return
    _share(loaded)
    first, *others = FIGURES.names()
    _draw(first, target, **options)
    # An executor ends when a process of it is killed, where a Pool would wait for ever.
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        list(pool.map(partial(_draw, folder=target, **options), others))


def _share(cubes: Mapping[str, xr.Dataset]) -> None:
    _SHARED.clear()
    _SHARED.update(cubes)


def _draw(name: str, folder: Path, **options: Any) -> None:
    """Draw one kind of figure."""
    from proplim.figures import draw_figures

    draw_figures(_SHARED, folder, names=[name], **options)
