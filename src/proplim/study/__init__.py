"""A study: from a configuration to jobs, from jobs to cubes.

Names are imported on first use: a plan is made by every process, and needs neither xarray nor netCDF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proplim._lazy import lazy_names

if TYPE_CHECKING:
    from proplim.study._packing import Block
    from proplim.study._plan import NUMERICS, Draw, Job, Plan
    from proplim.study._run import (
        collect_cube,
        convergence_summary,
        kept_points,
        load_draw,
        prepare_draw,
        print_convergence,
        run_job,
    )
    from proplim.study._summary import write_summary
    from proplim.study._workflow import open_study, print_summary, restore_plan, write_report

_HOME = {
    "Block": "_packing",
    **dict.fromkeys(("NUMERICS", "Draw", "Job", "Plan"), "_plan"),
    **dict.fromkeys(
        (
            "collect_cube",
            "convergence_summary",
            "kept_points",
            "load_draw",
            "prepare_draw",
            "print_convergence",
            "run_job",
        ),
        "_run",
    ),
    "write_summary": "_summary",
    **dict.fromkeys(("open_study", "print_summary", "restore_plan", "write_report"), "_workflow"),
}

__all__ = [
    "NUMERICS",
    "Block",
    "Draw",
    "Job",
    "Plan",
    "collect_cube",
    "convergence_summary",
    "kept_points",
    "load_draw",
    "open_study",
    "prepare_draw",
    "print_convergence",
    "print_summary",
    "restore_plan",
    "run_job",
    "write_report",
    "write_summary",
]


__getattr__ = lazy_names(__name__, _HOME)
