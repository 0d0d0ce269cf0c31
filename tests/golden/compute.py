"""Golden numbers of a small study: what the code gives, kept, so that no number moves unseen.

``python tests/golden/compute.py`` writes golden.json anew and prints the line that CHANGELOG.md must then carry,
under an entry that says why the numbers moved.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

FILE = Path(__file__).with_name("golden.json")
STUDY = Path(__file__).with_name("study.yaml")

THEORY = ("order_parameter", "free_energy", "readout_variance", "hidden_trace_shift", "signal_variance")
THEORY += ("readout_signal_covariance", "centroid_distance_sq", "gyration_radius_sq", "mse", "bias_sq")
THEORY += ("predictive_variance", "accuracy", "peak_temperature")
SAMPLING = (
    "centroid_distance_sq",
    "gyration_radius_sq",
    "readout_variance",
    "readout_signal_covariance",
    "mse",
)
DYNAMICS = (
    "centroid_distance_sq",
    "gyration_radius_sq",
    "readout_variance",
    "readout_signal_covariance",
    "mse",
)


def compute(stage: str) -> dict[str, Any]:
    """Golden numbers of a stage, by variable; sampling as [mean, mcse].

    Theory on every kernel and width of the study at every fifth temperature, sampling at P = 60,
    N = 60, T = 1, dynamics at P = 60, N = 120.
    """
    from proplim.config import load_config
    from proplim.datasets import prepare_dataset

    config = load_config(STUDY)
    (dataset_config,) = config.datasets
    if stage == "theory":
        from proplim.theory import solve_grid

        axes = config.axes("theory")
        results = [
            solve_grid(
                prepare_dataset(dataset_config, n),
                "erf",
                temperature=axes["temperature"][::5],
                width=axes["width"],
                approximations=config.theory.approximations,
            )
            for n in axes["n_train"]
        ]
        return {name: [_list(r[name]) for r in results] for name in THEORY}
    dataset = prepare_dataset(dataset_config, 60)
    if stage == "sampling":
        from proplim.sampling import sample_posterior

        settings = config.sampling.settings
        summary = sample_posterior(dataset, "erf", width=60, temperature=1.0, settings=settings).summary
        return {name: _list(summary[name].sel(statistic=["mean", "mcse"]), "statistic") for name in SAMPLING}
    from proplim.dynamics import train

    result = train(dataset, "erf", width=120, settings=config.dynamics.settings)
    return {name: _list(result[name].isel(time=slice(None, None, 5))) for name in DYNAMICS}


def _list(values: xr.DataArray, *first: str) -> list:
    rest = sorted(str(d) for d in values.dims if d not in first)
    return np.asarray(values.transpose(*first, *rest).values).tolist()


def fingerprint() -> str:
    """The line of CHANGELOG.md that goes with the golden numbers kept."""
    return f"golden numbers {hashlib.sha256(FILE.read_bytes()).hexdigest()[:12]}"


if __name__ == "__main__":
    FILE.write_text(json.dumps({s: compute(s) for s in ("theory", "sampling", "dynamics")}, indent=0) + "\n")
    print(fingerprint())
