"""proplim check: is a configuration good to run?"""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

import sys
from pathlib import Path

import typer

EXAMPLES = "Example: proplim check my.yaml"


def check(
    configuration: Path = typer.Argument(..., help="Configuration of a study, a YAML file.", metavar="FILE"),
    data: bool = typer.Option(True, help="Also open the data sets and count their inputs."),
) -> None:
    """Validate a configuration.

    All problems at once, a line each: key, value, what is allowed. What is allowed but seldom meant (inputs far from
    unit scale) is a warning. Nothing is downloaded and no result is
    touched; Python files that `plugins` names are executed, and named before they are.
    """
    from proplim.cli._output import say_plugins
    from proplim.config import ConfigErrors, data_warnings, load_config

    try:
        say_plugins(configuration)
        config = load_config(configuration, data=data)
    except ConfigErrors as error:
        for line in error.problems:
            print(line.replace("\n", " "), file=sys.stderr)
        raise typer.Exit(2) from None
    for line in data_warnings(config, folders=(Path(), configuration.parent)) if data else []:
        print(f"warning: {line}", file=sys.stderr)
    print(f"{configuration}: ok")
    for stage in config.stages():
        axes = config.axes(stage)
        points = 1
        for values in axes.values():
            points *= len(values)
        sizes = " x ".join(f"{len(v)} {k}" for k, v in axes.items() if len(v) > 1)
        print(f"  {stage:9s} {points} grid points" + (f" = {sizes}" if sizes else ""))
