"""proplim collect: cubes, figures and report of what is there now."""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

import contextlib
from pathlib import Path

import typer

EXAMPLES = """\b
Examples:
  proplim collect my.yaml
  proplim collect my.yaml --directory /scratch/me/study
"""


def collect(
    configuration: Path = typer.Argument(..., help="Configuration of the study.", metavar="FILE"),
    directory: Path = typer.Option(
        Path(), help="Where the study runs (snakemake --directory).", metavar="FOLDER"
    ),
) -> None:
    """Write cubes, figures and report of what is there now.

    At any moment: while a study runs, or after it was killed. Points that are not computed are NaN with
    converged = 0 and the reason "not computed"; cubes, figures and report say that they are partial. The next run
    completes them. Python files that `plugins` of the configuration names are executed, and named before they are.
    """
    from proplim.cli._output import say_plugins
    from proplim.config import load_config
    from proplim.errors import InvalidInput
    from proplim.study import publish, report_by, snakefile

    say_plugins(configuration)
    config = load_config(configuration, data=False)
    if not directory.is_dir():
        raise InvalidInput("--directory", str(directory), "a folder that exists")
    configured = configuration.resolve()
    with contextlib.chdir(directory):
        root = f"results/{config.study}"
        if not publish(config, [Path.cwd(), configured.parent]):
            raise InvalidInput("--directory", str(directory), f"a folder in which {root} has results")
        report_by(root, snakefile(), [configured])
