"""Tables of named objects that anyone can add to: one file of a folder each, or one call from a user's own file.

Activations, sources of data, approximations, optimizers and observables are found this way. A file of the
folder that does not start with an underscore registers what it defines when it is imported; the whole folder is
imported when the table is first asked for something.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from threading import RLock
from types import FrameType
from typing import Generic, Protocol, TypeVar

from proplim.errors import InvalidInput


class Named(Protocol):
    """What a table holds: anything with a name."""

    @property
    def name(self) -> str:
        """Name in configurations, cubes and messages."""


Member = TypeVar("Member", bound=Named)

_PLUGIN: ContextVar[Path | None] = ContextVar("plugin", default=None)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """``" (did you mean 'x'?)"`` for the nearest known name, or nothing."""
    nearest = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    return f" (did you mean {nearest[0]!r}?)" if nearest else ""


@contextmanager
def plugin_file(path: Path) -> Iterator[None]:
    """While a user's file runs: what it registers is remembered to come from it."""
    token = _PLUGIN.set(path.resolve())
    try:
        yield
    finally:
        _PLUGIN.reset(token)


class Registry(Generic[Member]):
    """Objects of one kind by name.

    Parameters
    ----------
    kind : str
        What a member is, for messages: "approximation".
    package : str
        Dotted name of the folder whose files register the package's own members.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self._package = kind, package
        self._members: dict[str, Member] = {}
        self._origins: dict[str, Path | None] = {}
        self._own: set[str] = set()
        self._loaded = self._loading = False
        self._lock = RLock()

    def add(self, member: Member) -> Member:
        """Register a member under its name; a user's own may be registered again, and the last one counts.

        Raises
        ------
        InvalidInput
            If the name belongs to the package itself or to another file of the user.
        """
        name, origin = member.name, _PLUGIN.get()
        if self._called_by_own_file():
            origin = None
            self._own.add(name)
        else:
            self._load()
            if name in self._own:
                raise InvalidInput(
                    "name", name, f"a name of your own: proplim's own table has this {self.kind}"
                )
        known = self._origins.get(name)
        if known is not None and origin is not None and known != origin:
            raise InvalidInput("name", name, f"a name of its own: {known} registers it too")
        self._members[name] = member
        self._origins[name] = origin
        return member

    @contextmanager
    def temporary(self) -> Iterator[None]:
        """What is registered inside is forgotten afterwards."""
        self._load()
        members, origins = dict(self._members), dict(self._origins)
        try:
            yield
        finally:
            self._members, self._origins = members, origins

    def _load(self) -> None:
        """Import the package's own files, once."""
        if self._loaded:
            return
        # A second thread goes on when the table is whole; a file of the folder that asks meanwhile sees what is there.
        with self._lock:
            if self._loaded or self._loading:
                return
            self._loading = True
            try:
                package = importlib.import_module(self._package)
                for module in pkgutil.iter_modules(package.__path__):
                    if not module.name.startswith("_"):
                        importlib.import_module(f"{self._package}.{module.name}")
                self._loaded = True
            finally:
                self._loading = False

    def _called_by_own_file(self) -> bool:
        """Whether what is being registered is defined by a file of the package's own folder."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            folder, _, file = str(frame.f_globals.get("__name__", "")).rpartition(".")
            if folder == self._package and not file.startswith("_"):
                return True
            frame = frame.f_back
        return False

    def names(self) -> list[str]:
        """Names of all members, sorted."""
        self._load()
        return sorted(self._members)

    def members(self) -> list[Member]:
        """All members, by `order` where they have one, then by name."""
        self._load()
        return sorted(self._members.values(), key=lambda m: (getattr(m, "order", 0), m.name))

    def built_in(self) -> frozenset[str]:
        """Names of the package's own members."""
        self._load()
        return frozenset(self._own)

    def origin(self, name: str) -> Path | None:
        """The user's file that registered a member; None for the package's own."""
        self._load()
        return self._origins.get(name)

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._members

    def get(self, name: str, key: str | None = None) -> Member:
        """Look a member up by name.

        Parameters
        ----------
        name : str
        key : str, optional
            What the name was given as, for the message; the kind of this table by default.

        Raises
        ------
        InvalidInput
            If no member has that name.
        """
        self._load()
        if not isinstance(name, str) or name not in self._members:
            names = self.names()
            raise InvalidInput(
                key or self.kind, name, f"choose from {', '.join(names)}{did_you_mean(name, names)}"
            )
        return self._members[name]
