"""What the workflow asks of a study: open it from a configuration, restore it in a script, report on it."""

from __future__ import annotations

import math
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

import proplim
from proplim.config import StudyConfig, check_data, data_warnings, parse_config, read_yaml
from proplim.cube import open_netcdf
from proplim.cube._locks import do_without_locks
from proplim.schema import AXES, STAGES
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


def write_report(plan: Plan, workflow: Any) -> None:
    """Let Snakemake write report.html for the study whose run has just ended."""
    report_by(
        plan.root,
        workflow.main_snakefile,
        [str(file) for file in workflow.overwrite_configfiles],
        [str(entry) for entry in workflow.config_settings.config_args or []],
    )


def report_by(
    root: str, main: str | Path, configfiles: Sequence[str | Path], entries: Sequence[str] = ()
) -> None:
    """Let Snakemake write report.html for a study in the working directory.

    Parameters
    ----------
    root : str
        ``results/<study>``.
    main : path
        The workflow's Snakefile.
    configfiles : sequence of path
    entries : sequence of str
        ``key=value`` that a run was given beside the files.
    """
    command = [*_interpreter(), "-m", "snakemake", "--snakefile", str(main), "--nolock"]
    command += ["--directory", str(Path.cwd()), "--cores", "1", "--quiet", "all"]
    command += ["--configfile", *map(str, configfiles)] if configfiles else []
    command += ["--config", *entries] if entries else []
    with tempfile.TemporaryDirectory() as folder:
        # With facts to show, Snakemake's report opens on them and our text, and not on the graph of rules.
        facts = Path(folder, "facts.yaml")
        facts.write_text(yaml.safe_dump(_facts(Path(root))), encoding="utf-8")
        command += ["--report", f"{root}/report.html", "--report-metadata", str(facts)]
        command += ["--report-stylesheet", str(Path(__file__).with_name("report.css"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"report.html could not be written:\n{done.stderr[-2000:]}", file=sys.stderr)
    else:
        print(f"Report: {root}/report.html", file=sys.stderr)


def _facts(root: Path) -> dict[str, int]:
    """Sizes of the cubes; whole numbers, since the report takes texts apart."""
    facts = {}
    for stage in STAGES:
        if (path := root / f"{stage}.nc").is_file():
            with open_netcdf(path) as cube:
                sizes = [n for dim, n in cube.sizes.items() if dim in AXES]
            facts[f"grid points of {stage}"] = math.prod(sizes)
    return facts


def _interpreter() -> list[str]:
    """This Python as a word of a command; within a workflow its path is quoted for a shell."""
    return [sys.executable] if Path(sys.executable).exists() else shlex.split(sys.executable)
