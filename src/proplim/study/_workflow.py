"""What the workflow asks of a study: open it from a configuration, restore it in a script, report on it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from proplim.config import check_data, parse_config, read_yaml
from proplim.study._plan import Plan

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
        Whether data files are looked into as well.

    Raises
    ------
    ConfigErrors
        With one line for each problem.
    """
    for file in files:
        read_yaml(Path(file))  # finds what Snakemake's own reader passes over, keys given twice
    folders = [Path.cwd(), *(Path(file).resolve().parent for file in files)]
    config.setdefault(_FOLDERS, [str(folder) for folder in dict.fromkeys(folders)])
    plan = restore_plan(config)
    if check:
        check_data(plan.config, folders=plan.folders)
    return plan


def restore_plan(config: Mapping[str, Any]) -> Plan:
    """Plan of a configuration that :func:`open_study` has judged."""
    folders = [Path(folder) for folder in config.get(_FOLDERS, ["."])]
    return Plan(parse_config({k: v for k, v in config.items() if k != _FOLDERS}, folders=folders), folders)


def write_report(plan: Plan, workflow: Any) -> None:
    """Let Snakemake write report.html for the study that has just been computed."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(workflow.main_snakefile), "--nolock"]
    command += ["--directory", str(Path.cwd()), "--cores", "1", "--quiet", "all"]
    files = [str(file) for file in workflow.overwrite_configfiles]
    command += ["--configfile", *files] if files else []
    command += ["--report", f"{plan.root}/report.html"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"report.html could not be written:\n{done.stderr[-2000:]}", file=sys.stderr)
    else:
        print(f"Report: {plan.root}/report.html", file=sys.stderr)
