"""Where the sampling of a point is: everything that the next step depends on, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from proplim.sampling import _checkpoint
from proplim.sampling._adaptation import StepSize
from proplim.sampling._kept import Kept
from proplim.sampling._kernel import State
from proplim.sampling._phases import Phases, Windows
from proplim.sampling._predictor import Predictor, Reference
from proplim.sampling._program import Chain

VERSION = 1
"""Raised when a checkpoint of older code must not be gone on from."""


@dataclass
class Run:
    """A sampling run between two steps.

    Parameters
    ----------
    stage : {"start", "warm-up", "settling", "weighing", "drawing", "done"}
    position : int
        Trajectories of the warm-up, or blocks of settling, so far.
    members : list of int
        Numbers of the chains that are left.
    chains : list of Chain
    reports : list of dict
        Log-likelihood and heavy readout of the last blocks of the adaptation, (chain, trajectory).
    log_step : float
        Common step size of the draws; NaN before there is one.
    phases : Phases or None
    kept : Kept
    check : int
        Draws per chain at which convergence is looked at next.
    restarts : int
        How often a chain had to be adapted anew after draws had begun.
    gradients : dict
        Gradients spent on adaptation (`warmup`) and on sweeps (`sweeps`).
    """

    stage: str = "start"
    position: int = 0
    members: list[int] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    reports: list[dict[str, np.ndarray]] = field(default_factory=list)
    log_step: float = float("nan")
    phases: Phases | None = None
    kept: Kept = field(default_factory=Kept)
    check: int = 0
    restarts: int = 0
    gradients: dict[str, int] = field(default_factory=lambda: {"warmup": 0, "sweeps": 0})


def to_bytes(run: Run, identity: str) -> bytes:
    """Checkpoint of a run of the task that `identity` names."""
    tree = {
        name: getattr(run, name) for name in ("stage", "position", "members", "log_step", "check", "restarts")
    }
    tree |= {"version": VERSION, "identity": identity, "gradients": run.gradients, "reports": run.reports}
    tree["chains"] = [{"state": c.state._asdict(), "step": c.step._asdict()} for c in run.chains]
    if run.phases is not None:
        tree["phases"] = [run.phases.threshold, list(run.phases.windows), run.phases.ratios]
    kept = run.kept
    tree["kept"] = {
        "blocks": kept.blocks,
        "reports": kept.reports,
        "references": {split: list(r) for split, r in kept.references.items()},
        "predictors": {split: list(p) for split, p in kept.predictors.items()},
    }
    return _checkpoint.dumps(tree)


def from_bytes(data: bytes, identity: str) -> Run | None:
    """The run of a checkpoint; None where it is damaged, of older code, or of another task."""
    tree: Any = _checkpoint.loads(data)
    if not isinstance(tree, dict) or (tree.pop("version"), tree.pop("identity")) != (VERSION, identity):
        return None
    kept = tree.pop("kept")
    kept["references"] = {split: Reference(*r) for split, r in kept["references"].items()}
    kept["predictors"] = {split: Predictor(*p) for split, p in kept["predictors"].items()}
    chains = [Chain(State(**c["state"]), StepSize(**c["step"])) for c in tree.pop("chains")]
    phases = None
    if "phases" in tree:
        threshold, windows, ratios = tree.pop("phases")
        phases = Phases(threshold, Windows(*windows), ratios)
    return Run(**tree, chains=chains, kept=Kept(**kept), phases=phases)
