"""What a file says about how it was made: configuration, versions, revision, seeds, time; never the machine's name."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

import proplim

_PACKAGES = (
    "numpy",
    "scipy",
    "xarray",
    "netCDF4",
    "jax",
    "jaxlib",
    "arviz-stats",
    "scikit-learn",
    "snakemake",
)


@cache
def git_revision() -> str:
    """Revision of the checkout that proplim runs from, with ``+changes`` if it differs; "unknown" elsewhere."""
    folder = Path(proplim.__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return "unknown"
    try:
        revision = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return revision + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    ).stdout.strip()


def package_versions() -> str:
    """``name version`` of the packages that numbers pass through, comma separated."""
    versions = []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(versions)


def provenance(configuration: str, seeds: str, seconds: float) -> dict[str, str | float]:
    """Global attributes common to all files.

    Parameters
    ----------
    configuration : str
        The study's, or that part of it which the file depends on.
    seeds : str
        Where the random numbers come from, as JSON.
    seconds : float
        Wall time that the content took.
    """
    return {
        "configuration": configuration,
        "seeds": seeds,
        "wall_time_seconds": round(seconds, 3),
        "proplim_version": proplim.__version__,
        "git_revision": git_revision(),
        "package_versions": package_versions(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
