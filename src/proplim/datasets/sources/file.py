"""A user's own arrays: one file, or .npy files side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field

from proplim.datasets._classes import ClassName, check_task, labels_of, of_classes
from proplim.datasets._draw import largest_balanced, per_class
from proplim.datasets._settings import TaskSettings
from proplim.datasets._source import (
    Capacity,
    Drawn,
    Source,
    class_sizes,
    draw_from_pool,
    draw_from_pools,
    pool_capacity,
    register_source,
    root_mean_square,
)
from proplim.datasets.sources._arrays import SUFFIXES, Names, files_at, names_in, read_arrays
from proplim.errors import InvalidInput
from proplim.geometry import LABELS

KINDS = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"

_KEPT: dict[tuple, dict[str, np.ndarray]] = {}
"""Arrays of the last file read, by path, content and what was asked of it."""


def _named(path: Any) -> Any:
    if not str(path):
        raise ValueError(f"a file ending in {KINDS}")
    return path


class FileSettings(TaskSettings):
    """A user's arrays in a .npz, .nc, .npy, .mat or .csv file."""

    path: Annotated[Path, BeforeValidator(_named)] = Field(
        description=f"{KINDS} with x (M, N0) and y (M,), or x_train, y_train, x_test, y_test; "
        "beside a .npy of inputs lies that of the labels"
    )
    classes: Annotated[tuple[ClassName, ...], AfterValidator(check_task)] | None = Field(
        default=None,
        description="two of the labels: first class -> y = -1, second -> +1; or three and more, one output each; "
        "training and test sets are then drawn, class-balanced, from x, or from x_train and x_test. Left out, labels "
        "are -1 and +1",
    )
    x: Annotated[str, Field(min_length=1)] = Field(
        default="x", description="name of the array of inputs (x_train, x_test follow it)"
    )
    y: Annotated[str, Field(min_length=1)] = Field(
        default="y",
        description="name of the array of labels (y_train, y_test follow it); in a .csv the column of labels, "
        "where all other columns are inputs",
    )
    standardize: bool = Field(default=False, description="subtract one scalar mean, divide by one scalar std")

    @property
    def names(self) -> Names:
        """What the arrays are called."""
        return names_in(self.path, self.x, self.y)

    def idle_values(self) -> dict[str, Any]:
        """As :meth:`TaskSettings.idle_values`; so are the default names of the arrays."""
        return super().idle_values() | {"classes": None, "x": "x", "y": "y"}


class FileSource(Source):
    """A pool, or training and test sets; without `classes` the sets are taken exactly as they are."""

    def capacity(self, settings: Any, folders: Sequence[Path] = (Path(),)) -> Capacity:
        """As :meth:`Source.capacity`."""
        arrays, _ = load_file(self.located(settings, folders))
        if "x" in arrays:
            return pool_capacity(arrays["y"], settings)
        if settings.classes is None:
            return Capacity(len(arrays["x_train"]), exact=True)
        labels = labels_of(settings)
        there = class_sizes(arrays["y_test"], labels)
        if any(n > size for n, size in zip(per_class(settings.n_test, len(labels)), there, strict=True)):
            most = largest_balanced(there, 0)
            raise InvalidInput("n_test", settings.n_test, f"at most {most}, as {settings.x}_test has them")
        return Capacity(largest_balanced(class_sizes(arrays["y_train"], labels), 0))

    def scale(self, settings: Any, folders: Sequence[Path] = (Path(),)) -> float | None:
        """As :meth:`Source.scale`."""
        arrays, _ = load_file(self.located(settings, folders))
        return root_mean_square(arrays["x"] if "x" in arrays else arrays["x_train"])

    def draw(self, settings: Any, n_train: int, seed: int) -> Drawn:
        """As :meth:`Source.draw`."""
        arrays, content = load_file(settings)
        what = {**self.identity(settings), "content": content}
        if "x" in arrays:
            return draw_from_pool(arrays["x"], arrays["y"], what, settings, n_train, seed)
        given = arrays["x_train"], arrays["y_train"], arrays["x_test"], arrays["y_test"]
        if settings.classes is not None:
            return draw_from_pools(given[:2], given[2:], what, settings, n_train, seed)
        if len(given[0]) != n_train:
            raise InvalidInput(
                "n_train", n_train, f"{settings.x}_train of {settings.path} has exactly {len(given[0])} rows"
            )
        return Drawn(*given, what)

    def _files(self, settings: Any) -> list[Path]:
        return files_at(settings.path, settings.names)


def load_file(settings: Any) -> tuple[dict[str, np.ndarray], str]:
    """Read and validate the arrays that a data set names; its path is absolute.

    Parameters
    ----------
    settings : FileSettings

    Returns
    -------
    arrays : dict
        x (M, N0) and y (M,), or x_train, y_train, x_test, y_test: inputs as rows, of the chosen classes alone,
        and labels -1 and +1, or numbers of three and more classes.
    content : str
        Hash of the very bytes that they were read from.

    Raises
    ------
    InvalidInput
        If the file cannot be read, arrays are missing, shapes disagree, values are not finite, or labels are
        neither -1 and +1 nor chosen by `classes`.
    """
    path = settings.path
    if path.suffix not in SUFFIXES:
        raise InvalidInput("path", str(path), f"a file ending in {KINDS}")
    if path.suffix == ".csv" and settings.x != "x":
        raise InvalidInput(
            "x", settings.x, "no name: in a .csv all columns but that of the labels are inputs"
        )
    if not path.is_file():
        raise InvalidInput("path", str(path), "an existing file")
    found, content = read_arrays(path, settings.names)
    key = path, content, settings.classes, settings.names
    if key not in _KEPT:
        arrays = _validated(settings, found)
        _KEPT.clear()
        _KEPT[key] = arrays
    return _KEPT[key], content


def _validated(settings: FileSettings, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names, path = settings.names, str(settings.path)
    given = names.splits[0] in found
    wanted = names.splits if given else names.pool
    missing = [name for name in wanted if name not in found]
    if missing:
        known = f"the file holds {', '.join(names.pool)} or {', '.join(names.splits)}"
        raise InvalidInput("path", path, f"array {missing[0]} is missing; {known}")
    arrays: dict[str, np.ndarray] = {}
    exact = given and settings.classes is None
    for x_name, y_name, split in zip(
        wanted[0::2], wanted[1::2], ("_train", "_test") if given else ("",), strict=True
    ):
        x, y = _numbers(path, x_name, found[x_name]), _column(found[y_name])
        # Inputs of a pool may have more axes, which are flattened; given splits are taken as they are.
        shaped = x.ndim == 2 if exact else x.ndim >= 2
        if not shaped or y.ndim != 1 or len(x) != len(y) or x[:1].size == 0:
            raise InvalidInput(
                "path",
                path,
                f"{x_name} (M, N0) and {y_name} (M,); found shapes {x.shape} and {found[y_name].shape}",
            )
        _check_finite(path, x_name, x)
        if settings.classes is None:
            y = _given_labels(path, y_name, y, every=split != "_test")
        else:
            chosen, y = of_classes(y, settings.classes)
            x = x[chosen]
        arrays |= {f"x{split}": x.reshape(len(x), -1), f"y{split}": y}
    if given and arrays["x_train"].shape[1] != arrays["x_test"].shape[1]:
        raise InvalidInput(
            "path", path, f"{names.splits[0]} and {names.splits[2]} must have the same number of features"
        )
    return arrays


def _column(y: np.ndarray) -> np.ndarray:
    """Labels as one axis, where they come as a column or a row."""
    return y.reshape(-1) if y.ndim > 1 and y.size == max(y.shape) else y


def _numbers(path: str, name: str, array: np.ndarray) -> np.ndarray:
    """Inputs as numbers; whole ones, as images have, stay as small as they are."""
    if array.dtype.kind in "biu":
        return array
    try:
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise InvalidInput("path", path, f"array {name} must hold numbers") from None


def _given_labels(path: str, name: str, y: np.ndarray, every: bool) -> np.ndarray:
    """Labels that are -1 and +1 as they stand; `every` of them has to occur."""
    numeric = y.dtype.kind in "biuf"
    if numeric:
        _check_finite(path, name, y)
    if not numeric or not np.isin(y, LABELS).all():
        some = ", ".join(map(repr, np.unique(y).tolist()[:3]))
        raise InvalidInput(
            "path",
            path,
            f"labels {name} must be -1 or +1, or some of them chosen by `classes`; found {some}, ...",
        )
    if every and len(np.unique(y)) < len(LABELS):
        raise InvalidInput("path", path, f"labels {name} must hold both classes, -1 and +1")
    return y.astype(np.float64)


def _check_finite(path: str, name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise InvalidInput("path", path, f"array {name} holds NaN or infinite values; all must be finite")


register_source(FileSource(name="file", settings=FileSettings))
