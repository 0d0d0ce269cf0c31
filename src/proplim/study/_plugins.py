"""Python files that a study was computed with, found again from its results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import yaml

from proplim.study._ledger import read_ledger

if TYPE_CHECKING:
    import xarray as xr


def plugins_of_results(study: Path, cubes: Mapping[str, xr.Dataset]) -> tuple[list[Path], list[str]]:
    """Files that `plugins` of the configuration in the cubes names.

    Parameters
    ----------
    study : Path
        ``results/<study>``. A name is looked up in the working directory of the caller, in that of the study
        (two folders up), and among the files that the study's ledger knows.
    cubes : mapping
        Stage -> cube.

    Returns
    -------
    found : list of Path
        Each once, in the order of the configuration.
    lost : list of str
        Names of which no file is there.
    """
    names = dict.fromkeys(name for cube in cubes.values() for name in _named(cube))
    found: list[Path] = []
    lost: list[str] = []
    if not names:
        return found, lost
    known = [Path(file) for file in read_ledger(study / "jobs.json").files]
    for name in names:
        places = [Path(name).expanduser(), study.resolve().parents[1] / name]
        places += [file for file in known if _ends_with(file, name)]
        there = [place.resolve() for place in places if place.is_file()]
        if there:
            found.append(there[0])
        else:
            lost.append(name)
    return found, lost


def _named(cube: xr.Dataset) -> list[str]:
    content = yaml.safe_load(str(cube.attrs.get("configuration", "")))
    plugins = content.get("plugins") if isinstance(content, dict) else None
    return [str(name) for name in plugins] if isinstance(plugins, list) else []


def _ends_with(file: Path, name: str) -> bool:
    parts = PurePath(name).parts
    return file.parts[-len(parts) :] == parts
