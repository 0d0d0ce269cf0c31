"""proplim status: what of a study is done, running, failed."""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

from pathlib import Path

import typer

EXAMPLES = """\b
Examples:
  proplim status config.yaml
  proplim status my.yaml --directory /scratch/me/study
"""


def status(
    configuration: Path = typer.Argument(..., help="Configuration of the study.", metavar="FILE"),
    directory: Path = typer.Option(
        Path(), help="Where the study runs (snakemake --directory).", metavar="FOLDER"
    ),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
    verbose: bool = typer.Option(
        False, "--verbose", "-v", help="Name every job that is running or has failed."
    ),
) -> None:
    """Say what is done, running, failed."""
    raise NotImplementedError
