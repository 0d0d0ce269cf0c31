"""What is kept of the draws: records and reports of every one, and the predictor in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from proplim.sampling._draw import UNITS
from proplim.sampling._estimates import Draws
from proplim.sampling._phases import Partition
from proplim.sampling._predictor import (
    Predictor,
    Reference,
    Targets,
    functionals,
    joined,
    reduced,
    reference_of,
)

SPLITS = ("train", "test")
DIAGNOSTICS = ("equipartition_defect", *UNITS)
"""What is recorded beside the observables of the cube."""


@dataclass
class Kept:
    """Draws of all chains since the last adaptation.

    Parameters
    ----------
    blocks : list of dict
        Records by name, (chain, draw, ...).
    reports : list of dict
        Reports of the trajectories and step sizes by name, (chain, draw).
    references : dict
        Split to what its predictors are overlapped with.
    predictors : dict
        Split to its predictors.
    """

    blocks: list[Draws] = field(default_factory=list)
    reports: list[Draws] = field(default_factory=list)
    references: dict[str, Reference] = field(default_factory=dict)
    predictors: dict[str, Predictor] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """Draws per chain."""
        return int(sum(block["heavy"].shape[1] for block in self.reports))

    def add(self, rows: Sequence[tuple[Any, ...]], targets: dict[str, Targets], threshold: float) -> None:
        """Add a block: for every chain its records, its reports and its step sizes, each with the draw first.

        Parameters
        ----------
        targets : dict
            Of each split.
        threshold : float
            Heavy readout above which a draw is of the phase with a heavy unit.
        """
        record = {name: np.stack([row[0][name] for row in rows]) for name in rows[0][0]}
        report = {name: np.stack([getattr(row[1], name) for row in rows]) for name in rows[0][1]._fields}
        report["step_size"] = np.stack([row[2] for row in rows])
        heavy = report["heavy"] > threshold
        for split in SPLITS:
            predictor = record.pop(f"predictor_{split}")
            predictor = predictor.reshape(*predictor.shape[:2], len(targets[split].y))
            if split not in self.references:
                self.references[split] = reference_of(predictor, targets[split])
            batch = reduced(predictor, self.references[split], heavy)
            self.predictors[split] = joined(self.predictors.get(split), batch)
        self.blocks.append(record)
        self.reports.append(report)

    def report(self, name: str) -> np.ndarray:
        """A report of all trajectories, (chain, draw)."""
        return np.concatenate([block[name] for block in self.reports], axis=1)

    def observed(self, targets: dict[str, Targets], parts: Partition) -> Draws:
        """All records, with draws of the functionals of the predictor."""
        draws = {name: np.concatenate([b[name] for b in self.blocks], axis=1) for name in self.blocks[0]}
        found = [functionals(self.predictors[s], self.references[s], targets[s], parts) for s in SPLITS]
        bias, accuracy = (np.stack([f[i] for f in found], axis=-1) for i in range(2))
        return draws | {
            "bias_sq": bias,
            "predictive_variance": draws["mse"] - bias,
            "accuracy": accuracy,
        }
