"""Files of draws, one for each sampled point: kept as soon as it is done, and found again by a job that resumes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proplim.cube import DamagedFile, read_netcdf, whole_file, write_netcdf
from proplim.schema import Point
from proplim.seeds import canonical_json
from proplim.study._identity import point_hash

if TYPE_CHECKING:
    import xarray as xr

    from proplim.sampling import PosteriorSample
    from proplim.study.stages import Stage


DRAWS = "draws"
"""Folder of the study that they are in."""


def draws_file(root: Path, point: Point, identity: str, stage: Stage, settings: Mapping[str, Any]) -> Path:
    """File that keeps the draws of one sampled point.

    Parameters
    ----------
    root : Path
        Folder of the study's results.
    point : Point
    identity : str
        Of its data set.
    stage : Stage
    settings : mapping
        Of the stage.
    """
    digest = point_hash(stage, point, identity, settings)
    return root / DRAWS / point.dataset / f"{point.label()}-{digest}.nc"


def checkpoint_file(draws: Path) -> Path:
    """File that keeps where the sampling of a point is, until its draws are there."""
    return draws.with_suffix(".checkpoint")


def read_checkpoint(draws: Path) -> bytes | None:
    """Checkpoint of a point that an interrupted job left behind, if there is one."""
    try:
        return checkpoint_file(draws).read_bytes()
    except FileNotFoundError:
        return None


def write_checkpoint(draws: Path, data: bytes) -> None:
    """Keep a checkpoint in place of the one before, whole or not at all."""
    with whole_file(checkpoint_file(draws)) as temporary:
        Path(temporary).write_bytes(data)


def finished_summary(path: Path) -> xr.Dataset | None:
    """Summary of a point that an interrupted job already finished, or None if there is none to trust."""
    import xarray as xr

    try:
        attributes = read_netcdf(path).attrs
        text = str(attributes["summary"])
        if attributes["summary_sha256"] != hashlib.sha256(text.encode()).hexdigest():
            return None
        return xr.Dataset.from_dict(json.loads(text))
    except (FileNotFoundError, DamagedFile, KeyError, ValueError):
        return None


def keep_draws(
    path: Path,
    point: Point,
    sample: PosteriorSample,
    settings: Mapping[str, Any],
    about: Mapping[str, str | float],
) -> None:
    """Write the draws of a point with its summary, whole or not at all."""
    text = json.dumps(sample.summary.to_dict())
    import xarray as xr

    kept = xr.Dataset(
        attrs={
            **sample.draws.attrs,
            "title": "posterior draws of the observables of one grid point",
            "point": canonical_json(point.coordinates()),
            "settings": canonical_json(dict(settings)),
            "summary": text,
            "summary_sha256": hashlib.sha256(text.encode()).hexdigest(),
            **about,
        }
    )
    write_netcdf(kept, path, groups=sample.groups())
    checkpoint_file(path).unlink(missing_ok=True)
