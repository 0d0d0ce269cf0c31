"""A study: from a configuration to jobs, from jobs to cubes."""

from proplim.study._plan import NUMERICS, Draw, Job, Plan
from proplim.study._run import collect_cube, convergence_summary, load_draw, prepare_draw, run_job

__all__ = ["NUMERICS", "Draw", "Job", "Plan", "collect_cube", "convergence_summary", "load_draw", "prepare_draw", "run_job"]
