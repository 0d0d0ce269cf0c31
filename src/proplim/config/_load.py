"""Reading a configuration and judging it: everything that can be wrong is said before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from proplim.config._model import _StudyBase, study_config_type
from proplim.config._plugins import load_plugins
from proplim.config._problems import ConfigErrors, problems_of
from proplim.datasets import SOURCES
from proplim.errors import InvalidInput, ProplimError

StudyConfig = _StudyBase

UNIT_SCALE = (0.1, 10.0)
"""Root mean squares of inputs that pass without a warning."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML's safe loader, with a key given twice an error instead of a silent last one."""


def _unique_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict:
    seen: set = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, str | int | float) and key in seen:
            line = key_node.start_mark.line + 1
            raise yaml.constructor.ConstructorError(
                None, None, f"key {key!r} is given twice (line {line})", None
            )
        if isinstance(key, str | int | float):
            seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration file.

    Raises
    ------
    ConfigErrors
        If there is no such file or it is not a YAML mapping.
    """
    try:
        content = yaml.load(
            path.read_text(encoding="utf-8"), _UniqueKeyLoader
        )  # a subclass of the safe loader
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ConfigErrors([f"{path}: cannot be read ({reason}); give a YAML configuration"]) from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ConfigErrors(
            [f"{path}{line}: is not valid YAML ({getattr(error, 'problem', error)})"]
        ) from None
    if not isinstance(content, dict):
        found = "is empty" if content is None else f"holds {type(content).__name__}"
        raise ConfigErrors([f"{path}: {found}; a configuration is a mapping of keys to values"])
    return content


def parse_config(content: Mapping[str, Any], *, folders: Sequence[Path] = (Path(),)) -> StudyConfig:
    """Validate the content of a configuration (shape and ranges; data are looked at by :func:`check_data`).

    Parameters
    ----------
    content : mapping
        Parsed YAML.
    folders : sequence of Path
        Where relative paths of plugins start, first match wins.

    Raises
    ------
    ConfigErrors
        With one line for each problem.
    """
    problems = load_plugins(content, folders)
    try:
        model = study_config_type()
    except InvalidInput as error:  # two plugins, each of which would do alone
        raise ConfigErrors([*problems, f"plugins: {error}"]) from None
    try:
        config = model.model_validate(dict(content))
    except ValidationError as error:
        problems += problems_of(error, model)
    if problems:
        raise ConfigErrors(problems)
    return config


def load_config(path: str | Path, *, data: bool = True) -> StudyConfig:
    """Read and validate a configuration file.

    Parameters
    ----------
    path : str or Path
    data : bool
        Whether data files are opened and class sizes compared with the grid as well.

    Raises
    ------
    ConfigErrors
        With one line for each problem: key, value, what is allowed.
    """
    path = Path(path)
    folders = (Path(), path.parent)
    config = parse_config(read_yaml(path), folders=folders)
    if data:
        check_data(config, folders=folders)
    return config


def check_data(config: StudyConfig, *, folders: Sequence[Path] = (Path(),)) -> None:
    """Compare every data set with the grid: files readable, classes present, enough inputs for every n_train.

    Collections that would have to be downloaded first are not fetched for this.

    Raises
    ------
    ConfigErrors
        With one line for each problem.
    """
    problems: list[str] = []
    asked = _training_sizes(config)
    for index, dataset in enumerate(config.datasets):
        try:
            largest, exact = SOURCES.get(dataset.source).capacity(dataset, folders)
        except InvalidInput as error:
            problems.append(f"datasets[{index}].{error}")
            continue
        except ProplimError as error:
            problems.append(f"datasets[{index}]: {error}")
            continue
        except Exception as error:  # whatever a user's own source raises
            if SOURCES.origin(dataset.source) is None:
                raise
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            problems.append(f"datasets[{index}].source: {dataset.source!r} fails with {reason}")
            continue
        if largest is None:
            continue
        for n, key in asked.items():
            if exact and n != largest:
                allowed = f"x_train of data set {dataset.name!r} has exactly {largest} rows"
            elif n > largest:
                allowed = f"data set {dataset.name!r} has inputs for at most {largest} beside n_test = {dataset.n_test}"
            else:
                continue
            problems.append(f"{key}: {n} is not allowed; {allowed}")
    if problems:
        raise ConfigErrors(problems)


def data_warnings(config: StudyConfig, *, folders: Sequence[Path] = (Path(),)) -> list[str]:
    """One line for each data set whose inputs are far from unit scale, where nothing is standardised.

    Data that :func:`check_data` refuses, or that would have to be downloaded, are passed over.
    """
    lines = []
    low, high = UNIT_SCALE
    for index, dataset in enumerate(config.datasets):
        if dataset.standardize:
            continue
        try:
            scale = SOURCES.get(dataset.source).scale(dataset, folders)
        except Exception:  # whatever a user's own source raises; check_data says so
            continue
        if scale is not None and not low <= scale <= high:
            lines.append(
                f"datasets[{index}]: the root mean square of the inputs of {dataset.name!r} is {scale:.3g}, far from "
                "the 1 at which activations are neither linear nor saturated and sampling is fast; "
                "standardize: true scales them"
            )
    return lines


def _training_sizes(config: StudyConfig) -> dict[int, str]:
    """Training-set sizes of the stages that run -> the key that asks for each."""
    asked: dict[int, str] = {}
    for stage in config.stages():
        own = getattr(getattr(config, stage), "grid", None)
        key = "grid.n_train" if getattr(own, "n_train", None) is None else f"{stage}.grid.n_train"
        for n in config.axes(stage)["n_train"]:
            asked.setdefault(n, key)
    return dict(sorted(asked.items()))


def resolved_yaml(config: StudyConfig) -> str:
    """The full configuration with every default filled in, as YAML that reads back to the same configuration."""
    return yaml.safe_dump(config.model_dump(mode="json", exclude_none=True), sort_keys=False, width=110)


def json_schema() -> dict[str, Any]:
    """JSON schema of a configuration, for editors."""
    return study_config_type().model_json_schema()
