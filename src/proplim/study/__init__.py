"""A study: from a configuration to jobs, from jobs to cubes."""

from proplim.study._packing import Block
from proplim.study._plan import NUMERICS, Draw, Job, Plan
from proplim.study._run import (
    collect_cube,
    convergence_summary,
    load_draw,
    prepare_draw,
    print_convergence,
    run_job,
)
from proplim.study._summary import write_summary
from proplim.study._workflow import open_study, print_summary, restore_plan, write_report

__all__ = [
    "NUMERICS",
    "Block",
    "Draw",
    "Job",
    "Plan",
    "collect_cube",
    "convergence_summary",
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
