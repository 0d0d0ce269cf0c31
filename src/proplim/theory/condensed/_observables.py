"""Observables of the mixture of phases, and their errors."""

from __future__ import annotations

from typing import Any

import numpy as np

from proplim.theory.condensed._common import Common
from proplim.theory.condensed._inputs import geometry
from proplim.theory.condensed._one_phase import GROUPS, Phase

EVERY = slice(None)
_SCALARS = (
    "order_parameter", "readout_variance", "signal_variance", "readout_signal_covariance",
    "heavy_unit_share", "readout_participation",
)  # fmt: skip


def values_of(common: Common, temperature: float, phases: list[tuple[float, Phase]]) -> dict[str, np.ndarray]:
    """Observables of the mixture of phases with standard errors over groups of chains and over replicates."""
    sources = [[mixture(phases, groups=slice(g, g + 1)) for g in range(GROUPS)]]
    if all(phase.corrections is not None for _, phase in phases):
        replicates = min(len(phase.corrections.parts) for _, phase in phases if phase.corrections)
        sources.append([mixture(phases, part=part) for part in range(replicates)])
    noise = []
    for i in range(len(common.sets)):
        noise.append(
            sum(float(np.var([m[f"mean{i}"] for m in s], axis=0, ddof=1).mean()) / len(s) for s in sources)
        )
    values = _finish(common, temperature, mixture(phases), noise)
    variance = {name: np.zeros_like(value) for name, value in values.items()}
    for source in sources:
        single = [_finish(common, temperature, m, [0.0] * len(common.sets)) for m in source]
        for name in variance:
            variance[name] = variance[name] + np.var([s[name] for s in single], axis=0, ddof=1) / len(single)
    return values | {f"{name}_mcse": np.sqrt(v) for name, v in variance.items()}


def mixture(
    phases: list[tuple[float, Phase]], groups: slice = EVERY, part: int | None = None
) -> dict[str, np.ndarray]:
    """:func:`_moments` averaged over phases by their weight."""
    parts = [(p, _moments(phase, groups, part)) for p, phase in phases]
    return {name: np.sum([p * part[name] for p, part in parts], axis=0) for name in parts[0][1]}


def _moments(phase: Phase, groups: slice, part: int | None) -> dict[str, np.ndarray]:
    """What averages linearly over phases, from some groups and from one replicate, or all of them (None)."""
    measure, found = phase.measure, phase.corrections
    result: dict[str, Any] = {name: m[groups].mean(axis=0) for name, m in phase.explicit.moments.items()}
    result["readout_participation"] = phase.participation[groups].mean()
    if found is not None:
        fraction = measure.others / measure.width
        change = found.whole if part is None else found.parts[part]
        result["order_parameter"] += measure.lambda1 * change.readout_square
        result["readout_variance"] += fraction * change.readout_square
        result["signal_variance"] += fraction * change.signal_variance
        result["readout_signal_covariance"] += fraction * change.signal_covariance
        for i, inputs in enumerate(change.inputs):
            result[f"mean{i}"] = result[f"mean{i}"] + inputs.mean
            result[f"square{i}"] = result[f"square{i}"] + inputs.square
            result[f"kernel{i}"] = result[f"kernel{i}"] + fraction * inputs.kernel
    if part is not None:
        for name, response in phase.responses[part].items():
            result[name] = result[name] + response
        slope = _slope(phase.participation, phase.explicit.moments["heavy_unit_share"])
        result["readout_participation"] += slope * phase.responses[part].get("heavy_unit_share", 0.0)
    return result


def _slope(values: np.ndarray, along: np.ndarray) -> float:
    """Of values that change with others, over groups."""
    deviation = along - along.mean()
    return float(deviation @ values / max(deviation @ deviation, 1e-300))


def _finish(
    common: Common, temperature: float, moments: dict[str, np.ndarray], noise: list[float]
) -> dict[str, np.ndarray]:
    """Observables of the mixture's moments; `noise` is the variance of the sampled mean predictor."""
    result = {name: np.asarray(moments[name], dtype=float) for name in _SCALARS}
    splits = []
    for i, inputs in enumerate(common.sets):
        found = geometry(moments[f"kernel{i}"], inputs.classes)
        mean = moments[f"mean{i}"]
        found["mse"] = moments[f"square{i}"].mean()
        found["bias_sq"] = ((inputs.targets - mean) ** 2).mean() - noise[i]
        found["predictive_variance"] = found["mse"] - found["bias_sq"]
        found["accuracy"] = (mean * inputs.targets > 0.0).mean()
        splits.append(found)
    if len(splits) == 1:
        splits.append({k: np.full(np.shape(v), np.nan) for k, v in splits[0].items()})
    result |= {k: np.stack([np.asarray(s[k], dtype=float) for s in splits]) for k in splits[0]}
    size = common.problem.spectrum.n_train
    squared_error = size * result["mse"][0]
    result["mean_energy"] = np.asarray(squared_error / (2.0 * common.width))
    slope = (size * temperature - squared_error) / (2.0 * common.width * temperature**2)
    result["free_energy_temperature_derivative"] = np.asarray(slope)
    return result
