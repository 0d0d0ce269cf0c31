"""A study: from a configuration to jobs, from jobs to cubes.

Names are imported on first use: a plan is made by every process, and needs neither xarray nor netCDF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proplim._lazy import lazy_names

if TYPE_CHECKING:
    from proplim.study._bookkeeping import save_plan
    from proplim.study._collect import collect_cube, convergence_summary, print_convergence
    from proplim.study._draws import draws_file
    from proplim.study._execute import load_draw, prepare_draw, run_job
    from proplim.study._kept import kept_points
    from proplim.study._log import job_log
    from proplim.study._manifests import list_files
    from proplim.study._packing import Block
    from proplim.study._partial import publish
    from proplim.study._partial_results import results_of_partial_cubes
    from proplim.study._pictures import draw_study, drawing_cores
    from proplim.study._plan import Draw, Job, Plan
    from proplim.study._plugins import plugins_of_results
    from proplim.study._process import collect_as_usual, collect_rarely, job_process
    from proplim.study._report import report_by, write_report, write_report_apart
    from proplim.study._requests import Requests
    from proplim.study._summary import write_pages
    from proplim.study._workflow import (
        open_study,
        pass_package_on,
        plan_as_started,
        plan_study,
        print_summary,
        restore_plan,
        snakefile,
    )
    from proplim.study._workspace import Workspace, read_workspace
    from proplim.study.stages import stage_of

_HOME = {
    "save_plan": "_bookkeeping",
    **dict.fromkeys(("collect_cube", "convergence_summary", "print_convergence"), "_collect"),
    "draws_file": "_draws",
    **dict.fromkeys(("load_draw", "prepare_draw", "run_job"), "_execute"),
    "kept_points": "_kept",
    "job_log": "_log",
    "list_files": "_manifests",
    "Block": "_packing",
    **dict.fromkeys(("Draw", "Job", "Plan"), "_plan"),
    "plugins_of_results": "_plugins",
    **dict.fromkeys(("collect_as_usual", "collect_rarely", "job_process"), "_process"),
    **dict.fromkeys(("report_by", "write_report", "write_report_apart"), "_report"),
    "Requests": "_requests",
    "publish": "_partial",
    "results_of_partial_cubes": "_partial_results",
    **dict.fromkeys(("draw_study", "drawing_cores"), "_pictures"),
    "write_pages": "_summary",
    **dict.fromkeys(
        (
            "open_study",
            "pass_package_on",
            "plan_as_started",
            "plan_study",
            "print_summary",
            "restore_plan",
            "snakefile",
        ),
        "_workflow",
    ),
    **dict.fromkeys(("Workspace", "read_workspace"), "_workspace"),
    "stage_of": "stages",
}

__all__ = [
    "Block",
    "Draw",
    "Job",
    "Plan",
    "Requests",
    "Workspace",
    "collect_as_usual",
    "collect_cube",
    "collect_rarely",
    "convergence_summary",
    "draw_study",
    "drawing_cores",
    "draws_file",
    "job_log",
    "job_process",
    "kept_points",
    "list_files",
    "load_draw",
    "open_study",
    "pass_package_on",
    "plan_as_started",
    "plan_study",
    "plugins_of_results",
    "prepare_draw",
    "print_convergence",
    "print_summary",
    "publish",
    "read_workspace",
    "report_by",
    "restore_plan",
    "results_of_partial_cubes",
    "run_job",
    "save_plan",
    "snakefile",
    "stage_of",
    "write_pages",
    "write_report",
    "write_report_apart",
]


__getattr__ = lazy_names(__name__, _HOME)
