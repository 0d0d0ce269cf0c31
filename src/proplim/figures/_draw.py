"""Draw figures from cubes into a folder: nothing but the cubes is read, nothing is computed again."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

import xarray as xr

from proplim.errors import InvalidInput
from proplim.figures._base import FIGURES, Cubes, Figure
from proplim.figures._classes import averaged_over_classes
from proplim.figures._lay_out import lay_out
from proplim.figures._save import origin, save
from proplim.figures._slices import FILE_DIMS
from proplim.figures._style import FORMATS, Style, applied
from proplim.figures._thinning import MOST_SLICES, Slices, thinned
from proplim.query import in_order
from proplim.schema import AXES

IN_MEMORY_BYTES = 500_000_000
"""A figure reads many small slices: from memory, where a cube fits, much faster than from a compressed file."""


def draw_figures(
    cubes: Mapping[str, xr.Dataset],
    directory: str | os.PathLike[str],
    *,
    formats: Sequence[str] = ("png", "pdf"),
    names: Iterable[str] | None = None,
    style: str | None = None,
    width: float | None = None,
    height: float | None = None,
    font_size: float | None = None,
    dpi: int | None = None,
    slices: Slices = MOST_SLICES,
    draws: str | os.PathLike[str] | None = None,
    stragglers: str | os.PathLike[str] | None = None,
    limit: int = 100,
) -> list[Path]:
    """Draw every figure that the cubes hold data for.

    Parameters
    ----------
    cubes : mapping of str to xarray.Dataset
        Any of ``theory``, ``sampling`` and ``dynamics``, with the dimensions of the cube reference.
    directory : path
        Where the files go; created if missing. Names are deterministic:
        ``<figure>__<dataset>__<activation>[__<axis>-<value>...].<format>``, where axes of the prior appear
        if the study has several of their values.
    formats : sequence of str
        png, pdf, svg, eps.
    names : iterable of str, optional
        Which figures (names in :data:`FIGURES`); all by default.
    style, width, height, font_size, dpi, slices
        See :class:`proplim.figures.Style`.
    draws, stragglers : path, optional
        Folders of the study, ``results/<study>/draws`` and ``results/<study>/stragglers``: with the draws, from which
        histograms are made where the study has kept single units (``sampling: {histograms: true}``), and with the
        attributions of training to single inputs (``dynamics: {stragglers: true}``).
    limit : int
        Largest number of files per figure and format; a study with more is cut with a warning.

    Returns
    -------
    list of Path
        The files written, in order.

    Raises
    ------
    InvalidInput
        For an unknown figure, format, style or size.
    """
    formats = [str(f).lower().lstrip(".") for f in formats]
    for form in formats:
        if form not in FORMATS:
            raise InvalidInput("figures.formats", form, f"choose from {', '.join(FORMATS)}")
    chosen = FIGURES.members() if names is None else [FIGURES.get(name) for name in names]
    look = Style(style=style, width=width, height=height, font_size=font_size, dpi=dpi, slices=slices)
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    cubes = {k: in_order(c.compute() if c.nbytes < IN_MEMORY_BYTES else c) for k, c in cubes.items()}
    few = thinned(cubes, slices)
    means, few_means = averaged_over_classes(cubes), averaged_over_classes(few)
    folders = {"draws": draws, "stragglers": stragglers}
    written: list[Path] = []
    with applied(look):
        for figure in chosen:
            beside = folders[figure.reads] if figure.reads else None
            if figure.has_cubes(cubes) and not (figure.reads and beside is None):
                whole, part = (cubes, few) if figure.each_class else (means, few_means)
                written += _draw_one(
                    figure, part if figure.sliced else whole, beside, folder, formats, look, limit
                )
    return written


def _draw_one(
    figure: Figure,
    cubes: Cubes,
    beside: str | os.PathLike[str] | None,
    folder: Path,
    formats: Sequence[str],
    style: Style,
    limit: int,
) -> list[Path]:
    """Draw all files of one figure; `beside` is the folder that it reads beside the cubes."""
    from matplotlib import rc_context

    written: list[Path] = []
    about, varying = origin(cubes), _varying(cubes)
    with rc_context():  # whatever a figure sets, the next one does not see
        drawings = figure.draw(cubes, style, *([] if beside is None else [Path(beside)]))
        for parameters, page in islice(drawings, limit):
            stem = file_stem(figure.name, parameters, varying)
            lay_out(page)
            written += [save(page, folder / f"{stem}.{form}", form, about) for form in formats]
        if next(drawings, None) is not None:
            warnings.warn(
                f"{figure.name}: only the first {limit} figures are drawn; raise the limit", stacklevel=3
            )
    return written


def _varying(cubes: Cubes) -> set[str]:
    """Axes of files with more than one value: of those that are numbers, only these are part of a file name."""
    return {d for d in FILE_DIMS if any(c.sizes.get(d, 1) > 1 for c in cubes.values())}


def file_stem(name: str, parameters: Mapping[str, object], varying: Iterable[str] = ()) -> str:
    """File name without suffix, of letters that are safe on every file system."""
    parts = [name]
    for key, value in parameters.items():
        text = f"{value:g}" if isinstance(value, float) else str(value)
        axis = AXES.get(key)
        if key in ("split", "variable") or (axis is not None and axis.kind == "name"):
            parts.append(text)
        elif axis is None or key not in FILE_DIMS or key in varying:
            parts.append(f"{axis.letter.rstrip('-') if axis else key}-{text}")
    return "__".join(re.sub(r"[^A-Za-z0-9._+-]+", "-", part) for part in parts)
