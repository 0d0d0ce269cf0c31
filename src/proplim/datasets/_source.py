"""What a source of data is: one object that says what a user may set, what the data are and how they are drawn.

:class:`Pool` draws from a fixed number of inputs, :class:`Generator` makes as many as are asked for.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import create_model

from proplim._registry import Registry
from proplim.datasets._classes import labels_of, names_of, of_classes
from proplim.datasets._draw import class_text, draw_balanced, flipped_labels, largest_balanced
from proplim.datasets._files import HASH_LENGTH, resolve_path
from proplim.datasets._settings import SourceSettings
from proplim.errors import InvalidInput
from proplim.geometry import LABELS
from proplim.seeds import canonical_json

DISCRIMINATOR = "source"
"""Key of a data set that says which other keys it has."""

_COMMON = ("name", "source", "n_test", "standardize", "flip_fraction", "targets")
"""Keys that do not decide what the inputs of a source are."""


class Capacity(NamedTuple):
    """How many training inputs a data set can have.

    Parameters
    ----------
    largest : int or None
        None where there is no limit, or it is not known without a download.
    exact : bool
        Whether no other number is possible.
    """

    largest: int | None
    exact: bool = False


class Drawn(NamedTuple):
    """Arrays of one draw, and what they are: equal data have equal `identity` on every machine.

    Labels are -1 and +1 of two classes, and the numbers 0 to C - 1 of three and more.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    identity: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Source(ABC):
    """Where data come from.

    Parameters
    ----------
    name : str
        Value of the key `source` of a data set.
    settings : type
        Subclass of :class:`SourceSettings`: the keys of a data set of this source. Schema, reference, messages and
        the options of ``proplim theory`` are made from it; its docstring says in a line what the data are.
    n_features : int or callable or None
        N0, or a function of the settings; None where it is known from the data alone. Only costs need it.
    idle_keys : tuple of str
        Keys that change nothing of the data.
    """

    name: str
    settings: type[SourceSettings] = SourceSettings
    n_features: int | Callable[[Any], int] | None = None
    idle_keys: tuple[str, ...] = ()

    @cached_property
    def model(self) -> type[SourceSettings]:
        """The settings with the key `source`, as an entry of `datasets:` has them."""
        title = "".join(part.capitalize() for part in self.name.split("_"))
        tag: dict[str, Any] = {DISCRIMINATOR: (Literal.__getitem__(self.name), ...)}
        return create_model(f"{title}Config", __base__=self.settings, __doc__=self.settings.__doc__, **tag)

    def configure(self, **keys: Any) -> SourceSettings:
        """Settings of a data set of this source.

        Raises
        ------
        InvalidInput
            If a key is missing, unknown or outside its range.
        """
        return self.model(**{"name": self.name, **keys, DISCRIMINATOR: self.name})

    def features(self, settings: SourceSettings) -> int | None:
        """N0 as far as it is known without looking at the data."""
        return self.n_features(settings) if callable(self.n_features) else self.n_features

    def located(self, settings: SourceSettings, folders: Sequence[Path]) -> SourceSettings:
        """The same settings with absolute paths; of `folders`, the first that has a relative path wins."""
        given = {key: getattr(settings, key) for key in self.settings.path_keys()}
        found = {key: resolve_path(path, folders) for key, path in given.items() if path is not None}
        return settings.model_copy(update=found)

    def files(self, settings: SourceSettings, folders: Sequence[Path] = (Path(),)) -> list[Path]:
        """Absolute paths of the user's files that the data are read from; whether they are there is not judged."""
        return self._files(self.located(settings, folders))

    def data_keys(self, settings: SourceSettings) -> dict[str, Any]:
        """The keys on which the data depend, beside what files hold: all but the name and where files lie."""
        return settings.model_dump(mode="json", exclude={"name", *self.settings.path_keys()})

    def identity(self, settings: SourceSettings) -> dict[str, Any]:
        """What the data are as far as the keys say so."""
        left_out = {*_COMMON, *self.idle_keys, *self.settings.path_keys()}
        return {"source": self.name, **settings.model_dump(mode="json", exclude=left_out)}

    @abstractmethod
    def capacity(self, settings: SourceSettings, folders: Sequence[Path] = (Path(),)) -> Capacity:
        """How many training inputs there can be beside the test inputs, found without a download.

        Raises
        ------
        InvalidInput
            If a file or folder does not hold what it should, a class is missing, or the test inputs alone are too
            many.
        """

    def scale(self, settings: SourceSettings, folders: Sequence[Path] = (Path(),)) -> float | None:
        """Root mean square of the inputs as they are, before they are standardised; None where it is not known."""
        return None

    @abstractmethod
    def draw(self, settings: SourceSettings, n_train: int, seed: int) -> Drawn:
        """One training and one test set; paths in `settings` are absolute.

        Raises
        ------
        InvalidInput
            If there are too few inputs, or a file or folder does not hold what it should.
        """

    def _files(self, settings: SourceSettings) -> list[Path]:
        paths = [getattr(settings, key) for key in self.settings.path_keys()]
        return [path for path in paths if path is not None]


@dataclass(frozen=True, kw_only=True)
class Pool(Source):
    """A source with a fixed number of inputs, from which training and test sets are drawn class-balanced, by seed.

    Parameters
    ----------
    load : callable
        ``load(settings)`` returns all inputs, (M, N0) or with more axes that are flattened, and what each is, (M,): its
        label -1 or +1, or, where the settings have `classes`, its class. Paths in `settings` are absolute.
    files_of : callable, optional
        ``files_of(settings)``: files that `load` reads; by default those that the settings name.
    is_here : callable, optional
        ``is_here(settings)``: whether `load` can do without a download.
    """

    load: Callable[[Any], tuple[np.ndarray, np.ndarray]]
    files_of: Callable[[Any], list[Path]] | None = None
    is_here: Callable[[Any], bool] | None = None

    def capacity(self, settings: SourceSettings, folders: Sequence[Path] = (Path(),)) -> Capacity:
        """As :meth:`Source.capacity`."""
        located = self.located(settings, folders)
        if self.is_here is not None and not self.is_here(located):
            return Capacity(None)
        return pool_capacity(self._labelled(located)[1], settings)

    def scale(self, settings: SourceSettings, folders: Sequence[Path] = (Path(),)) -> float | None:
        """As :meth:`Source.scale`; nothing is downloaded for it."""
        located = self.located(settings, folders)
        if self.is_here is not None and not self.is_here(located):
            return None
        return root_mean_square(self._labelled(located)[0])

    def draw(self, settings: SourceSettings, n_train: int, seed: int) -> Drawn:
        """As :meth:`Source.draw`."""
        x, y = self._labelled(settings)
        content = hashlib.sha256(x.tobytes() + y.tobytes()).hexdigest()[:HASH_LENGTH]
        what = {**self.identity(settings), "content": content}
        return draw_from_pool(x, y, what, settings, n_train, seed)

    def _labelled(self, settings: SourceSettings) -> tuple[np.ndarray, np.ndarray]:
        """Inputs as rows and their labels, of the chosen classes where the settings choose some."""
        x, y = map(np.asarray, self.load(settings))
        if x.ndim < 2 or y.ndim != 1 or len(x) != len(y):
            found = f"{x.shape} and {y.shape}"
            raise InvalidInput("source", self.name, f"inputs (M, N0) and labels (M,); found shapes {found}")
        if hasattr(settings, "classes"):
            chosen, y = of_classes(y, settings.classes)
            x = x[chosen]
        elif not np.isin(y, LABELS).all():
            raise InvalidInput("source", self.name, "labels -1 and +1")
        return x.reshape(len(x), -1).astype(np.float64), y.astype(np.float64)

    def _files(self, settings: SourceSettings) -> list[Path]:
        return super()._files(settings) if self.files_of is None else self.files_of(settings)


def pool_capacity(y: np.ndarray, settings: SourceSettings) -> Capacity:
    """How many training inputs a pool with these labels gives beside the test inputs."""
    labels = labels_of(settings)
    sizes = class_sizes(y, labels)
    largest = largest_balanced(sizes, settings.n_test)
    if largest < len(labels):
        most = len(labels) * (min(sizes) - 1)
        raise InvalidInput("n_test", settings.n_test, f"at most {most}, so that each class can also train")
    return Capacity(largest)


def class_sizes(y: np.ndarray, labels: Sequence[int]) -> list[int]:
    """Number of inputs of every class.

    Raises
    ------
    InvalidInput
        If a class has none.
    """
    sizes = [int(np.count_nonzero(y == label)) for label in labels]
    for label, size in zip(labels, sizes, strict=True):
        if size == 0:
            raise InvalidInput(
                "classes", label, f"class {class_text(label, len(labels))} has no inputs in this data set"
            )
    return sizes


def root_mean_square(x: np.ndarray) -> float:
    """Root mean square of all numbers of an array."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


def draw_from_pool(
    x: np.ndarray, y: np.ndarray, what: dict[str, Any], settings: SourceSettings, n_train: int, seed: int
) -> Drawn:
    """Draw class-balanced training and test sets from inputs (M, N0) with labels (M,) that are `what` says."""
    labels = labels_of(settings)
    train, test = draw_balanced(
        y, n_train, settings.n_test, seed, canonical_json(what), labels, names_of(settings)
    )
    drawn = y[train]
    if fraction := getattr(settings, "flip_fraction", 0.0):
        drawn = flipped_labels(drawn, fraction, labels)
        # Not a part of the draw: the same inputs with and without flips, and clean data keep the identity that
        # they had before there were flips.
        what = {**what, "flip_fraction": fraction}
    return Drawn(_floats(x[train]), drawn, _floats(x[test]), y[test], what)


def draw_from_pools(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    what: dict[str, Any],
    settings: SourceSettings,
    n_train: int,
    seed: int,
) -> Drawn:
    """Draw class-balanced training and test sets, each from a pool (inputs, labels) of its own."""
    classes = labels_of(settings), names_of(settings)
    (x, y), (x_test, y_test) = train, test
    chosen, _ = draw_balanced(y, n_train, 0, seed, canonical_json(what), *classes)
    _, tests = draw_balanced(
        y_test, 0, settings.n_test, seed, canonical_json({**what, "pool": "test"}), *classes
    )
    return Drawn(_floats(x[chosen]), y[chosen], _floats(x_test[tests]), y_test[tests], what)


def _floats(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64)


@dataclass(frozen=True, kw_only=True)
class Generator(Source):
    """A source that makes any number of inputs.

    Parameters
    ----------
    generate : callable
        ``generate(settings, n_train, seed)`` returns x_train (P, N0), y_train (P,), x_test and y_test with
        `settings.n_test` rows; the same arrays for the same arguments. Labels are -1 and +1, or, where the settings
        have `n_classes` of three and more, the numbers 0 to n_classes - 1.
    """

    generate: Callable[[Any, int, int], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]

    def capacity(self, settings: SourceSettings, folders: Sequence[Path] = (Path(),)) -> Capacity:
        """As :meth:`Source.capacity`; there is no limit."""
        return Capacity(None)

    def draw(self, settings: SourceSettings, n_train: int, seed: int) -> Drawn:
        """As :meth:`Source.draw`."""
        return Drawn(*self.generate(settings, n_train, seed), self.identity(settings))


SOURCES: Registry[Source] = Registry("source", "proplim.datasets.sources")


def register_source(source: Source) -> Source:
    """Make a source known to configurations, command line and :func:`load_dataset`.

    Parameters
    ----------
    source : Source
        A :class:`Pool` or :class:`Generator`.

    Raises
    ------
    InvalidInput
        If the name is taken, or the settings are no subclass of :class:`SourceSettings` (docs/adding_dataset.md).
    """
    if not issubclass(source.settings, SourceSettings):
        raise InvalidInput("settings", source.settings.__name__, "a subclass of SourceSettings")
    _ = source.model  # a key that cannot be one is refused here, where its file is named
    return SOURCES.add(source)


def features_of(entry: Mapping[str, Any]) -> int | None:
    """N0 of an entry of `datasets:` as it stands in a configuration, as far as it is known without the data.

    An entry of a source that is not registered here, or was written for another version, has None.
    """
    keys = {key: value for key, value in entry.items() if key != DISCRIMINATOR}
    name = entry.get(DISCRIMINATOR)
    if name not in SOURCES:
        return None
    source = SOURCES.get(str(name))
    try:
        return source.features(source.configure(**keys))
    except InvalidInput:
        return None
