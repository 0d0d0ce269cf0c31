"""Writing a figure: whole or not at all, with how its cubes were made in its metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from proplim.figures._base import Cubes
from proplim.figures._png import encoded

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


_OF_WRITING = ("GDEF", "GPOS", "GSUB")
"""Tables of a font for ligatures, kerning and the like: reading them takes half of the time of cutting a font."""


def origin(cubes: Cubes) -> str:
    """How the cubes of a figure were made, for its metadata, as JSON; without times, so that it is always the same."""
    names = ("study", "proplim_version", "git_revision", "package_versions", "configuration", "seeds")
    made = {k: {n: str(c.attrs[n]) for n in names if n in c.attrs} for k, c in cubes.items()}
    return json.dumps({stage: about for stage, about in made.items() if about})


def save(figure: Canvas, path: Path, form: str, about: str = "") -> Path:
    """Write a figure whole or not at all, without time stamps: equal cubes give equal files."""
    part = path.with_name(f".{path.name}.part")
    if form == "png":
        part.write_bytes(_png(figure, about))
    elif form == "pdf":
        with _glyphs_alone():
            figure.savefig(part, format=form, metadata=_stamps(form, about))
    else:
        figure.savefig(part, format=form, metadata=_stamps(form, about))
    os.replace(part, path)
    return path


@contextmanager
def _glyphs_alone() -> Iterator[None]:
    """Leave out of the fonts in a file how letters are put together: a pdf has a place for each of them already."""
    from fontTools.subset import Options

    usual = Options._drop_tables_default
    Options._drop_tables_default = [*usual, *_OF_WRITING]
    try:
        yield
    finally:
        Options._drop_tables_default = usual


def _stamps(form: str, about: str) -> dict[str, str | None]:
    stamps: dict[str, dict[str, str | None]] = {
        "pdf": {"CreationDate": None, "Creator": "proplim", "Producer": None, "Subject": about},
        "svg": {"Date": None, "Creator": "proplim", "Description": about},
        "eps": {"Creator": "proplim"},
    }
    return stamps[form]


def _png(figure: Canvas, about: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    figure.savefig(os.devnull, format="rgba")
    drawn = canvas.renderer
    return encoded(np.asarray(drawn.buffer_rgba()), drawn.dpi, {"Software": "proplim", "Description": about})
