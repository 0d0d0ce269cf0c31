"""Configuration of a study: typed, complete, judged before anything runs."""

from proplim.config._datasets import SOURCES, DatasetConfig
from proplim.config._load import (
    StudyConfig,
    check_data,
    json_schema,
    load_config,
    parse_config,
    read_yaml,
    resolved_yaml,
)
from proplim.config._problems import ConfigErrors

__all__ = [
    "SOURCES",
    "ConfigErrors",
    "DatasetConfig",
    "StudyConfig",
    "check_data",
    "json_schema",
    "load_config",
    "parse_config",
    "read_yaml",
    "resolved_yaml",
]
