"""proplim explore: a page for looking through a study."""

# ruff: noqa: B008  (typer reads options from defaults)

from __future__ import annotations

from pathlib import Path

import typer

from proplim.cli._output import PLUGINS_OF_STUDY

EXAMPLES = "Example: proplim explore results/digits"


def explore(
    study: Path = typer.Argument(..., help="Folder with cubes, as in results/<study>.", metavar="STUDY"),
    output: Path = typer.Option(
        None, "--output", "-o", help="File to write; <study>/explore.html by default.", metavar="PATH"
    ),
    plugin: list[Path] = PLUGINS_OF_STUDY,
) -> None:
    """Write a page to look through a study.

    explore.html works in any browser, without a network. Python files that `plugins` of the study's configuration
    names are executed, and named before they are."""
    from proplim.cli._output import cubes_of, load_plugins_of
    from proplim.explore import write_explorer

    with cubes_of(study) as cubes:
        load_plugins_of(study, cubes, plugin)
        print(write_explorer(cubes, output or study / "explore.html"))
