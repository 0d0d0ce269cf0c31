"""Data sets: class-balanced draws of inputs and labels, from collections, generators or a user's file.

A source is a file of ``sources/``; :func:`register_source` adds one from outside (docs/adding_dataset.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proplim._lazy import lazy_names

if TYPE_CHECKING:
    from proplim.datasets._base import Dataset
    from proplim.datasets._classes import class_coords, class_coords_of, n_classes_of, outputs_of, targets_of
    from proplim.datasets._files import resolve_path
    from proplim.datasets._load import load_dataset
    from proplim.datasets._prepare import prepare_dataset
    from proplim.datasets._settings import ClassSettings, SafeName, SourceSettings, TaskSettings
    from proplim.datasets._source import (
        DISCRIMINATOR,
        SOURCES,
        Capacity,
        Generator,
        Pool,
        Source,
        features_of,
        register_source,
    )

_HOME = {
    "Dataset": "_base",
    "resolve_path": "_files",
    "load_dataset": "_load",
    "prepare_dataset": "_prepare",
    **dict.fromkeys(
        ("class_coords", "class_coords_of", "n_classes_of", "outputs_of", "targets_of"), "_classes"
    ),
    **dict.fromkeys(("ClassSettings", "SafeName", "SourceSettings", "TaskSettings"), "_settings"),
    **dict.fromkeys(
        (
            "DISCRIMINATOR",
            "SOURCES",
            "Capacity",
            "Generator",
            "Pool",
            "Source",
            "features_of",
            "register_source",
        ),
        "_source",
    ),
}

__all__ = [
    "DISCRIMINATOR",
    "SOURCES",
    "Capacity",
    "ClassSettings",
    "Dataset",
    "Generator",
    "Pool",
    "SafeName",
    "Source",
    "SourceSettings",
    "TaskSettings",
    "class_coords",
    "class_coords_of",
    "features_of",
    "load_dataset",
    "n_classes_of",
    "outputs_of",
    "prepare_dataset",
    "register_source",
    "resolve_path",
    "targets_of",
]

__getattr__ = lazy_names(__name__, _HOME)
