"""report.html of a study, which Snakemake writes: in the run that has just ended, or in a process of its own."""

from __future__ import annotations

import logging
import math
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from proplim.schema import AXES, STAGES
from proplim.study._plan import Plan

REPORT = "report.html"
STYLESHEET = Path(__file__).with_name("report.css")


def write_report(plan: Plan, workflow: Any) -> None:
    """Write report.html at the end of a run that has made everything, in the process of the run.

    Notes
    -----
    Snakemake does this for its option ``--report-after-run``. A run that was asked for single files has no jobs for the
    others: what the report shows is then found by a process of its own.
    """
    if workflow.dag_settings.targets:
        write_report_apart(plan, workflow)
        return
    try:
        with _facts_file(plan.root) as facts, _silent():
            _create_report(workflow, Path(plan.root, REPORT), facts)
    except Exception as error:  # whatever it is: the study is computed, and only its report is missing
        _say_missing(str(error))
    else:
        _say_written(plan.root)


def _create_report(workflow: Any, path: Path, facts: Path) -> None:
    from snakemake.report.html_reporter import ReportSettings
    from snakemake.settings.types import GlobalReportSettings
    from snakemake_interface_report_plugins.registry import ReportPluginRegistry

    workflow.create_report(
        report_plugin=ReportPluginRegistry().get_plugin("html"),
        report_settings=ReportSettings(path=path, stylesheet_path=STYLESHEET),
        global_report_settings=GlobalReportSettings(metadata_template=facts),
    )


@contextmanager
def _silent() -> Iterator[None]:
    """Without the log of Snakemake, which would say a second time what it plans."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def write_report_apart(plan: Plan, workflow: Any) -> None:
    """Write report.html for what a run has left that did not make everything."""
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
    with _facts_file(root) as facts:
        command += ["--report", f"{root}/{REPORT}", "--report-metadata", str(facts)]
        command += ["--report-stylesheet", str(STYLESHEET)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        _say_missing(done.stderr[-2000:])
    else:
        _say_written(root)


def _say_written(root: str) -> None:
    print(f"Report: {root}/{REPORT}", file=sys.stderr)


def _say_missing(reason: str) -> None:
    print(f"{REPORT} could not be written:\n{reason}", file=sys.stderr)


@contextmanager
def _facts_file(root: str) -> Iterator[Path]:
    """File of the facts that the report opens on: with them, it shows our text and not the graph of rules."""
    with tempfile.TemporaryDirectory() as folder:
        facts = Path(folder, "facts.yaml")
        facts.write_text(yaml.safe_dump(_facts(Path(root))), encoding="utf-8")
        yield facts


def _facts(root: Path) -> dict[str, int]:
    """Sizes of the cubes; whole numbers, since the report takes texts apart."""
    from netCDF4 import Dataset

    facts = {}
    for stage in STAGES:
        if (path := root / f"{stage}.nc").is_file():
            with Dataset(path) as cube:
                sizes = [len(dimension) for name, dimension in cube.dimensions.items() if name in AXES]
            facts[f"grid points of {stage}"] = math.prod(sizes)
    return facts


def _interpreter() -> list[str]:
    """This Python as a word of a command; within a workflow its path is quoted for a shell."""
    return [sys.executable] if Path(sys.executable).exists() else shlex.split(sys.executable)
