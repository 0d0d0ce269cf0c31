"""What a study has to know of a data set without loading it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from proplim.datasets import SOURCES

_UNKNOWN_FEATURES = 1000
"""Number of features taken for costs where it is known from the data alone."""


def source_files(dataset: Any, folders: Sequence[Path]) -> list[Path]:
    """A user's files that a data set depends on: those it is read from, and the one that registered its source."""
    plugin = SOURCES.origin(dataset.source)
    return [*SOURCES.get(dataset.source).files(dataset, folders), *([plugin] if plugin else [])]


def data_settings(dataset: Any) -> dict[str, Any]:
    """Settings that the arrays of a data set depend on; what its files hold counts by their content."""
    return SOURCES.get(dataset.source).data_keys(dataset)


def features_expected(dataset: Any) -> int:
    """Number of features N0 for estimates of costs (that of a file is not looked up)."""
    return SOURCES.get(dataset.source).features(dataset) or _UNKNOWN_FEATURES
