"""Running a user's Python files, which register activations, sources, approximations, optimizers or observables."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proplim._registry import plugin_file
from proplim.datasets import resolve_path
from proplim.errors import InvalidInput
from proplim.seeds import content_hash


def run_plugin(path: Path) -> None:
    """Execute a file; what it registers is known afterwards, in place of what an earlier run of it registered.

    Raises
    ------
    InvalidInput
        If there is no such file or it fails, with the reason.
    """
    path = path.resolve()
    if path.suffix != ".py" or not path.is_file():
        raise InvalidInput("plugins", str(path), "a Python file that exists")
    # A module of its own that can be found by name: settings and pickles look there for what they are made of.
    name = f"proplim_plugin_{content_hash(str(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with plugin_file(path):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's file raises
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InvalidInput("plugins", str(path), f"a file that loads; it fails with {reason}") from None


def plugin_paths(content: Mapping[str, Any], folders: Sequence[Path] = (Path(),)) -> list[Path]:
    """Absolute paths of the files that `plugins` of a configuration names; they are executed when it is read."""
    plugins = content.get("plugins")
    return [resolve_path(str(name), folders) for name in plugins] if isinstance(plugins, list) else []


def load_plugins(content: Mapping[str, Any], folders: Sequence[Path]) -> list[str]:
    """Execute the files that a configuration names; one line for each that cannot be."""
    problems = []
    for index, path in enumerate(plugin_paths(content, folders)):
        try:
            run_plugin(path)
        except InvalidInput as error:
            given = content["plugins"][index]
            problems.append(f"plugins[{index}]: {given!r} is not allowed; {error.allowed}")
    return problems
