"""Image collections: from a user's folder first, otherwise downloaded once.

Files are recognised by their published names, plain or compressed, in the folder itself or anywhere
below it (as other libraries lay them out).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import Field

from proplim.datasets._files import file_hash, md5
from proplim.datasets._settings import ClassSettings
from proplim.datasets._source import Pool, register_source
from proplim.errors import InvalidInput, ProplimError

KEPT_PARTS = 6
"""Parts kept in memory: those of any one collection."""


class CollectionSettings(ClassSettings):
    """Keys of an image collection."""

    root: Path | None = Field(
        default=None, description="folder of already downloaded files, used before any download"
    )


class Part(NamedTuple):
    """Files of a part of a collection; ``read(*files)`` returns its images (M, N0) and classes (M,)."""

    files: tuple[Path, ...]
    read: Callable[..., tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class Collection:
    """A published collection of labelled images.

    Parameters
    ----------
    name, title : str
    base_url : str
    files : dict
        Published name -> MD5 checksum.
    parts : callable
        ``parts(folder)``: what of the collection a folder holds.
    """

    name: str
    title: str
    base_url: str
    files: dict[str, str]
    parts: Callable[[Path], list[Part]]


def register_collection(collection: Collection, settings: type[CollectionSettings], n_features: int) -> None:
    """Make a collection a source of the name it has."""
    register_source(
        Pool(
            name=collection.name,
            settings=settings,
            n_features=n_features,
            load=lambda chosen: _load(collection, chosen.root),
            files_of=lambda chosen: _files_under(collection, chosen.root),
            is_here=lambda chosen: chosen.root is not None or is_cached(collection),
        )
    )


def first_file(folder: Path, *stems: str) -> Path | None:
    """The file of one of these names, plain or compressed, in a folder or anywhere below it."""
    for stem in stems:
        for name in (stem, f"{stem}.gz"):
            if (folder / name).is_file():
                return folder / name
            below = sorted(p for p in folder.rglob(name) if p.is_file())
            if below:
                return below[0]
    return None


def cache_folder() -> Path:
    """Folder for downloads: PROPLIM_DATA if set, else the user's cache directory."""
    import pooch

    return Path(os.environ.get("PROPLIM_DATA") or pooch.os_cache("proplim"))


def is_cached(collection: Collection) -> bool:
    """Whether all files of a collection have been downloaded, whole."""
    folder = cache_folder() / collection.name
    files = collection.files.items()
    return all((folder / name).is_file() and md5(folder / name) == checksum for name, checksum in files)


def _load(collection: Collection, root: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """All images, raw pixel values, and their classes; a folder's parts are pooled, any one of them will do."""
    parts = _parts(collection, root) if root is not None else collection.parts(_download(collection))
    read = [_read_part(part.read, part.files, tuple(map(file_hash, part.files))) for part in parts]
    images, classes = zip(*read, strict=True)
    return np.concatenate(images), np.concatenate(classes)


@lru_cache(maxsize=KEPT_PARTS)
def _read_part(
    read: Callable[..., tuple[np.ndarray, np.ndarray]], files: tuple[Path, ...], contents: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """A part read from its files, once for every content that they had."""
    return read(*files)


def _parts(collection: Collection, root: Path) -> list[Part]:
    if not root.is_dir():
        raise InvalidInput("root", str(root), f"a folder with the files of {collection.title}")
    parts = collection.parts(root)
    if not parts:
        names = ", ".join(collection.files)
        raise InvalidInput("root", str(root), f"a folder holding files of {collection.title}: {names}")
    return parts


def _files_under(collection: Collection, root: Path | None) -> list[Path]:
    """Files that are read from a user's folder; downloads are known by their checksums."""
    parts = collection.parts(root) if root is not None and root.is_dir() else []
    return [file for part in parts for file in part.files]


def _download(collection: Collection) -> Path:
    """Fetch what is missing, checksums verified; returns the folder."""
    import pooch

    folder = cache_folder() / collection.name
    try:
        for name, checksum in collection.files.items():
            url = collection.base_url + name
            pooch.retrieve(url, f"md5:{checksum}", fname=name, path=folder, progressbar=False)
    except Exception as error:  # requests, urllib3 and pooch each raise their own kinds
        raise ProplimError(
            f"{collection.title} could not be downloaded ({type(error).__name__}). Without a network, put its files "
            f"({', '.join(collection.files)}) into a folder and name it in the data set: `root: FOLDER`"
        ) from None
    return folder
