"""Writing a figure: whole or not at all, with how its cubes were made in its metadata."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from proplim.figures._base import Cubes

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas


def origin(cubes: Cubes) -> str:
    """How the cubes of a figure were made, for its metadata, as JSON; without times, so that it is always the same."""
    names = ("study", "proplim_version", "git_revision", "package_versions", "configuration", "seeds")
    made = {k: {n: str(c.attrs[n]) for n in names if n in c.attrs} for k, c in cubes.items()}
    return json.dumps({stage: about for stage, about in made.items() if about})


def save(figure: Canvas, path: Path, form: str, about: str = "") -> Path:
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
