"""From a data set's settings to the arrays every later stage uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from proplim.datasets._base import Dataset
from proplim.datasets._classes import CENTRED, n_classes_of, names_of, targets_of
from proplim.datasets._settings import SourceSettings
from proplim.datasets._source import SOURCES, Drawn
from proplim.errors import InvalidInput
from proplim.geometry import LABELS
from proplim.seeds import canonical_json


def prepare_dataset(
    config: SourceSettings, n_train: int, seed: int = 0, *, folders: Sequence[Path] = (Path(),)
) -> Dataset:
    """Draw and standardise one training and one test set.

    Parameters
    ----------
    config : SourceSettings
        One entry of `datasets` of a configuration.
    n_train : int
        Training-set size P.
    seed : int
        Draw of the training and test set.
    folders : sequence of Path
        Where relative paths of the configuration start, first match wins.

    Returns
    -------
    Dataset
        Standardised (if the configuration says so) with one scalar mean and standard deviation, both of
        the training inputs. Three and more classes have targets of one output each.

    Raises
    ------
    InvalidInput
        If a class has too few inputs, or the file or folder does not hold what it should.
    ProplimError
        If a download is needed and fails.
    """
    source = SOURCES.get(config.source)  # type: ignore[attr-defined]
    drawn = source.draw(source.located(config, folders), n_train, seed)
    x_train, x_test = (
        _standardized(config.name, drawn) if config.standardize else (drawn.x_train, drawn.x_test)
    )
    identity = {
        **drawn.identity,
        "n_train": n_train,
        "n_test": len(drawn.y_test),
        "seed": seed,
        "standardize": config.standardize,
    }
    n_classes = n_classes_of(config)
    if n_classes == len(LABELS):
        return Dataset(x_train, drawn.y_train, x_test, drawn.y_test, canonical_json(identity))
    # Not a part of the draw: the same inputs whatever their targets are.
    targets = getattr(config, "targets", CENTRED)
    return Dataset(
        x_train,
        targets_of(drawn.y_train, n_classes, targets),
        x_test,
        targets_of(drawn.y_test, n_classes, targets),
        canonical_json({**identity, "targets": targets}),
        names_of(config),
        drawn.y_train,
        drawn.y_test,
    )


def _standardized(name: str, drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
    mean, std = drawn.x_train.mean(), drawn.x_train.std()
    if not std > 0:
        raise InvalidInput(
            "standardize", True, f"the training inputs of {name} are all equal; use standardize: false"
        )
    return (drawn.x_train - mean) / std, (drawn.x_test - mean) / std
