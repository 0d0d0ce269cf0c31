"""What the workflow asks of a study: open it from a configuration, restore it in a script, say how it ended."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import proplim
from proplim.config import StudyConfig, check_data, data_warnings, parse_config, read_yaml
from proplim.cube._locks import do_without_locks
from proplim.study._plan import Plan
from proplim.study._progress import say
from proplim.study._workspace import read_started, read_workspace

_FOLDERS = "_folders"


def open_study(config: dict[str, Any], files: Sequence[str | Path], *, check: bool) -> Plan:
    """Judge the workflow's configuration and plan the study.

    Parameters
    ----------
    config : dict
        Snakemake's configuration. The folders in which relative paths are looked up (working directory,
        then those of the configuration files) are added to it, so that scripts find the same files.
    files : sequence of path
        Configuration files that were read.
    check : bool
        Whether this process starts the run: it looks into the data files and plans what is to do. Others
        (a job on a cluster) take the jobs as they were planned.

    Raises
    ------
    ConfigErrors
        With one line for each problem.
    """
    folders = [Path.cwd(), *(Path(file).resolve().parent for file in files)]
    config.setdefault(_FOLDERS, [str(folder) for folder in dict.fromkeys(folders)])
    if not check:
        return restore_plan(config)
    for file in files:
        read_yaml(Path(file))  # finds what Snakemake's own reader passes over, keys given twice
    parsed, places = _parsed(config)
    check_data(parsed, folders=places)
    for line in data_warnings(parsed, folders=places):
        say(f"warning: {line}")
    plan = plan_study(parsed, places)
    root = Path(plan.root)
    if notice := do_without_locks(root if root.is_dir() else Path.cwd()):
        say(f"warning: {notice}")
    return plan


def restore_plan(config: Mapping[str, Any]) -> Plan:
    """Plan of a configuration that :func:`open_study` has judged, with the jobs of the run that goes on."""
    parsed, folders = _parsed(config)
    return plan_as_started(parsed, folders)


def plan_study(config: StudyConfig, folders: Sequence[Path] = (Path(),)) -> Plan:
    """Plan what is to do for a study in the working directory.

    Parameters
    ----------
    config : StudyConfig
    folders : sequence of Path
        Where relative paths of the configuration start, first match wins.
    """
    return Plan(config, read_workspace(config, folders))


def plan_as_started(config: StudyConfig, folders: Sequence[Path] = (Path(),)) -> Plan:
    """The plan of the run that goes on, as its first process wrote it down."""
    return Plan(config, read_started(config, folders), as_started=True)


def _parsed(config: Mapping[str, Any]) -> tuple[StudyConfig, list[Path]]:
    folders = [Path(folder) for folder in config.get(_FOLDERS, ["."])]
    content = {k: v for k, v in config.items() if k != _FOLDERS}
    return parse_config(content, folders=folders), folders


def print_summary(plan: Plan) -> None:
    """Say at the end of a run what fell short, and what the next run tries again."""
    from proplim.study._collect import print_convergence

    for stage, cube in zip(plan.config.stages(), plan.cubes(), strict=True):
        print_convergence(stage, cube)
    failed = plan_study(plan.config, plan.folders).open_points()
    if failed:
        print(f"{failed} grid point(s) failed; the same command tries them again", file=sys.stderr)


def pass_package_on() -> None:
    """Let jobs that run in an environment of their own (conda) find the package of a checkout."""
    source = Path(proplim.__file__).resolve().parents[1]
    if (source.parent / "pyproject.toml").is_file():
        others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join([str(source), *filter(None, others)])


def snakefile() -> Path:
    """The workflow that comes with the package: shipped in it, or that of the checkout which it runs from."""
    package = Path(proplim.__file__).resolve().parent
    shipped = package / "workflow" / "Snakefile"
    return shipped if shipped.is_file() else package.parents[1] / "Snakefile"
