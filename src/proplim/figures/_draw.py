"""Draw figures from cubes into a folder: nothing but the cubes is read, nothing is computed again."""

from __future__ import annotations

import difflib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import xarray as xr

from proplim.errors import InvalidInput
from proplim.figures._dynamics import bridge, inversion_summary
from proplim.figures._heatmap import heat_map
from proplim.figures._histograms import histograms, weight_histograms
from proplim.figures._panels import lay_out
from proplim.figures._parity import parity
from proplim.figures._sizes import finite_size
from proplim.figures._slices import Cubes, values_of
from proplim.figures._style import FORMATS, Style, applied
from proplim.figures._temperature import (
    Drawings,
    class_distance,
    gyration_radii,
    signal_variance,
    test_error,
    weights,
)
from proplim.figures._training import training

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES: dict[str, Callable[[Cubes, Style], Drawings]] = {
    "class_distance": class_distance,
    "gyration_radii": gyration_radii,
    "weights": weights,
    "signal_variance": signal_variance,
    "histograms": histograms,
    "test_error": test_error,
    "heat_map": heat_map,
    "parity": parity,
    "finite_size": finite_size,
    "training": training,
    "bridge": bridge,
    "inversion": inversion_summary,
}
"""Every figure by name: a function of (cubes, style) that yields pairs (what names the file, figure)."""

IN_MEMORY_BYTES = 500_000_000

NEEDS = {
    "histograms": ("sampling", "histograms"),
    "heat_map": ("theory",),
    "parity": ("theory", "sampling"),
    "finite_size": ("theory", "sampling"),
    "training": ("dynamics",),
    "bridge": ("dynamics",),
    "inversion": ("theory", "dynamics"),
}
"""Cubes without which a figure cannot be drawn; by default theory or sampling, either will do."""
INPUTS_OF = {"test_error": "test", **dict.fromkeys(("heat_map", "training", "bridge", "inversion"), "train")}
"""Figures of one kind of inputs; a part of a study without them (``--select split=test``) has no such figure."""


def figure_names(names: Iterable[str] | None = None) -> list[str]:
    """Names of the figures to draw: all of them, or those asked for.

    Raises
    ------
    InvalidInput
        If a name is not a figure's.
    """
    chosen = list(FIGURES) if names is None else list(names)
    for name in chosen:
        if name not in FIGURES:
            near = difflib.get_close_matches(name, FIGURES, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InvalidInput("figure", name, f"{hint}choose from {', '.join(FIGURES)}")
    return chosen


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
    draws: str | os.PathLike[str] | None = None,
    limit: int = 100,
) -> list[Path]:
    """Draw every figure that the cubes hold data for.

    Parameters
    ----------
    cubes : mapping of str to xarray.Dataset
        Any of ``theory``, ``sampling`` and ``dynamics``, with the dimensions of the cube reference.
    directory : path
        Where the files go; created if missing. Names are deterministic:
        ``<figure>__<dataset>__<activation>[__<axis>-<value>...].<format>``, where lambda0 and lambda1 appear
        if the study has several.
    formats : sequence of str
        png, pdf, svg, eps.
    names : iterable of str, optional
        Which figures (keys of :data:`FIGURES`); all by default.
    style, width, height, font_size, dpi
        See :class:`proplim.figures.Style`.
    draws : path, optional
        Folder with the draws of the study, ``results/<study>/draws``, from which histograms are made where the
        study has kept single units (``sampling: {histograms: true}``).
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
    chosen = figure_names(names)
    look = Style(style=style, width=width, height=height, font_size=font_size, dpi=dpi)
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    # A figure reads many small slices: from memory, where a cube fits, much faster than from a compressed file.
    cubes = {k: c.compute() if c.nbytes < IN_MEMORY_BYTES else c for k, c in cubes.items()}
    if draws is not None and "sampling" in cubes and "histograms" in chosen:
        counted = weight_histograms(cubes["sampling"], Path(draws))
        cubes = cubes if counted is None else {**cubes, "histograms": counted}
    varying = _varying(cubes)
    written: list[Path] = []
    for name in chosen:
        written += _draw_one(name, cubes, folder, formats, look, varying, limit)
    return written


def _draw_one(
    name: str, cubes: Cubes, folder: Path, formats: Sequence[str], style: Style, varying: set[str], limit: int
) -> list[Path]:
    needed = NEEDS.get(name)
    ready = all(k in cubes for k in needed) if needed else bool({"theory", "sampling"} & set(cubes))
    splits = values_of(cubes, "split")
    if not ready or (splits and INPUTS_OF.get(name, splits[0]) not in splits):
        return []
    written: list[Path] = []
    with applied(style):
        drawings = FIGURES[name](cubes, style)
        for parameters, figure in islice(drawings, limit):
            stem = file_stem(name, parameters, varying)
            lay_out(figure)
            written += [_save(figure, folder / f"{stem}.{form}", form, origin(cubes)) for form in formats]
        if next(drawings, None) is not None:
            warnings.warn(f"{name}: only the first {limit} figures are drawn; raise the limit", stacklevel=3)
    return written


def _varying(cubes: Cubes) -> set[str]:
    """Prior axes with more than one value: only these are part of a file name."""
    return {d for d in ("lambda0", "lambda1") if any(c.sizes.get(d, 1) > 1 for c in cubes.values())}


def file_stem(name: str, parameters: Mapping[str, object], varying: Iterable[str] = ()) -> str:
    """File name without suffix, of letters that are safe on every file system."""
    parts = [name]
    short = {"width": "N", "n_train": "P", "temperature": "T"}
    for key, value in parameters.items():
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if key in ("dataset", "activation", "split"):
            parts.append(text)
        elif key not in ("lambda0", "lambda1") or key in varying:
            parts.append(f"{short.get(key, key)}-{text}")
    return "__".join(re.sub(r"[^A-Za-z0-9._+-]+", "-", part) for part in parts)


def origin(cubes: Cubes) -> str:
    """How the cubes of a figure were made, for its metadata, as JSON; without times, so that it is always the same."""
    names = ("study", "proplim_version", "git_revision", "package_versions", "configuration", "seeds")
    made = {k: {n: str(c.attrs[n]) for n in names if n in c.attrs} for k, c in cubes.items()}
    return json.dumps({stage: about for stage, about in made.items() if about})


def _save(figure: Figure, path: Path, form: str, about: str = "") -> Path:
    """Write a figure whole or not at all, without time stamps: equal cubes give equal files."""
    stamps: dict[str, dict] = {
        "pdf": {"CreationDate": None, "Creator": "proplim", "Producer": None, "Subject": about},
        "svg": {"Date": None, "Creator": "proplim", "Description": about},
        "png": {"Software": "proplim", "Description": about},
        "eps": {"Creator": "proplim"},
    }
    part = path.with_name(f".{path.name}.part")
    figure.savefig(part, format=form, metadata=stamps[form])
    os.replace(part, path)
    return path
