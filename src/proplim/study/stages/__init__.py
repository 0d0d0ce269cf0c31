"""The stages of a study, one file each: what their numbers depend on, what they cost, how they are computed."""

from __future__ import annotations

import importlib
from functools import cache

from proplim.schema import STAGES
from proplim.study.stages._base import Results, Run, Stage, along, failed_result

__all__ = ["Results", "Run", "Stage", "along", "failed_result", "stage_of"]


@cache
def stage_of(name: str) -> Stage:
    """The stage of that name.

    Raises
    ------
    KeyError
        If there is none.
    """
    if name not in STAGES:
        raise KeyError(name)
    stage: Stage = importlib.import_module(f"proplim.study.stages.{name}").STAGE
    return stage
