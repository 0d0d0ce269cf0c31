"""How many training inputs a data set can give, found without computing and without downloading."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from proplim.datasets._images import cache_folder
from proplim.datasets._prepare import _file_arrays, load_pool, resolve_path
from proplim.errors import InvalidInput

if TYPE_CHECKING:
    from proplim.config import DatasetConfig


def largest_n_train(config: DatasetConfig, folders: Sequence[Path]) -> tuple[bool, int | None]:
    """Largest training set of a data set.

    Returns
    -------
    exact : bool
        Whether no other size is possible (arrays given as x_train).
    largest : int or None
        None where there is no limit (synthetic data) or it is not known yet (a collection not downloaded).

    Raises
    ------
    InvalidInput
        If the file or folder does not hold what it should, a class is missing, or the test inputs alone are
        too many.
    """
    if config.source == "gaussian" or config.source == "teacher":
        return False, None
    if config.source == "file":
        arrays = _file_arrays(resolve_path(config.path, folders))
        if "x_train" in arrays:
            return True, len(arrays["x_train"])
    elif config.source != "digits" and config.root is None and not (cache_folder() / config.source).is_dir():
        return False, None
    _, y, _ = load_pool(config, folders)
    sizes = {label: int(np.count_nonzero(y == label)) for label in (-1, 1)}
    for label, size in sizes.items():
        if size == 0:
            which = "" if config.source == "file" else f" ({config.classes[int(label > 0)]})"
            raise InvalidInput("classes", label, f"class {label:+d}{which} has no inputs in this data set")
    test = {-1: config.n_test - config.n_test // 2, 1: config.n_test // 2}
    left = {label: sizes[label] - test[label] for label in sizes}
    if min(left.values()) < 1:
        raise InvalidInput(
            "n_test",
            config.n_test,
            f"at most {2 * (min(sizes.values()) - 1)}, so that each class can also train",
        )
    # An odd training set takes its extra input from class -1.
    return False, 2 * left[1] + 1 if left[-1] > left[1] else 2 * left[-1]
