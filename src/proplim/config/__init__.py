"""Configuration of a study: typed, complete, judged before anything runs."""

from proplim.config._load import (
    StudyConfig,
    check_data,
    data_warnings,
    json_schema,
    load_config,
    parse_config,
    read_yaml,
    resolved_yaml,
)
from proplim.config._plugins import plugin_paths, run_plugin
from proplim.config._problems import ConfigErrors

__all__ = [
    "ConfigErrors",
    "StudyConfig",
    "check_data",
    "data_warnings",
    "json_schema",
    "load_config",
    "parse_config",
    "plugin_paths",
    "read_yaml",
    "resolved_yaml",
    "run_plugin",
]
