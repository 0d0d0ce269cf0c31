"""How this package runs JAX: imported when first used, in double precision, one thread for a program, code kept.

Modules of the package write ``from proplim._jax import jax, jit, jnp``: names and settings that live beside compiled
functions are then there without JAX, which costs a second to import.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

# A product split over threads may add up in another order on another number of cores, so a program runs on
# one thread; cores are used by running points, chains or replicas side by side.
_XLA_FLAGS = ("--xla_cpu_multi_thread_eigen=false",)


_compiling = 0.0


def compilation_seconds() -> float:
    """Seconds that this process has spent on tracing, compiling and loading programs since JAX was set up."""
    return _compiling


def _note_compilation(event: str, duration_secs: float, **kwargs: Any) -> None:
    global _compiling
    if event.startswith("/jax/core/compile/"):
        _compiling += duration_secs


def cache_directory() -> Path:
    """Folder for compiled programs: ``$PROPLIM_CACHE``, else ``proplim`` in the user's XDG cache folder."""
    own = os.environ.get("PROPLIM_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "proplim"


def _give_back_freed_memory() -> None:
    """Let arrays of three megabytes and more go back to the system when they are freed, where malloc is glibc's.

    By itself it raises that size as arrays are freed, and keeps a heap for every thread: a point of a thousand inputs
    then holds 60 MB that nobody uses.
    """
    mmap_threshold, arena_max = -3, -8  # of malloc.h
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(mmap_threshold, 3 << 20)
    mallopt(arena_max, 2)


@cache
def configure_jax() -> None:
    """Set JAX up once in a process; later calls do nothing.

    Enables float64, turns multi-threaded products on the CPU off (unless the user's own ``XLA_FLAGS`` say
    otherwise) and keeps compiled programs in :func:`cache_directory`, so that the next process starts without
    compiling. A cache folder that cannot be written is done without.

    Notes
    -----
    XLA reads its flags when the first array is made: call this before. Float64 is a setting of the whole
    process.
    """
    _give_back_freed_memory()
    flags = os.environ.get("XLA_FLAGS", "")
    missing = [flag for flag in _XLA_FLAGS if flag.split("=")[0] not in flags]
    os.environ["XLA_FLAGS"] = " ".join([flags, *missing]).strip()

    import jax

    jax.config.update("jax_enable_x64", True)
    jax.monitoring.register_event_duration_secs_listener(_note_compilation)
    folder = cache_directory() / "jax"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if writable:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


class _LazyModule:
    """A module of JAX; JAX is imported and set up when something of it is first used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # what inspection asks of any object is no use of JAX
            raise AttributeError(attribute)
        configure_jax()
        return getattr(importlib.import_module(self._name), attribute)


if TYPE_CHECKING:
    import jax
    import jax.numpy as jnp
else:
    jax, jnp = _LazyModule("jax"), _LazyModule("jax.numpy")


def jit(*, static: tuple[str, ...] = ()) -> Callable[[Function], Function]:
    """``jax.jit`` as a decorator that imports and sets up JAX at the first call of the function.

    Parameters
    ----------
    static : tuple of str
        Names of the arguments that are no arrays: hashable objects, for each of which there is one program.
    """

    def decorate(function: Function) -> Function:
        compiled: list[Callable[..., Any]] = []

        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            if not compiled:
                compiled.append(jax.jit(function, static_argnames=static))
            return compiled[0](*arguments, **named)

        return cast(Function, call)

    return decorate
