"""Files that a study leaves beside its cubes: draws of sampled points, attributions of training runs."""

from __future__ import annotations

from pathlib import Path

from proplim._layout import INDEX


def files_of_study(folder: Path) -> list[Path]:
    """netCDF files of a folder that belong to the study as it is now; all there are where no index says which."""
    index = folder / INDEX
    if index.is_file():
        names = index.read_text(encoding="utf-8").splitlines()
        return [folder / name for name in names if (folder / name).is_file()]
    return sorted(folder.glob("*/*.nc"))
