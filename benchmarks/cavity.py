"""The proportional and the cavity theory against posterior sampling at single points.

Run `python benchmarks/cavity.py DATA.npz --activation relu --width 100 --temperature 0.1 1` where DATA.npz holds
x_train, y_train, x_test, y_test. Prints, for every observable, the sampled mean with its standard error and the
relative deviation of either theory, and the processor time of a cavity point. The tables of docs/cavity.md
come from longer runs of the same comparison.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from proplim.datasets import Dataset
from proplim.sampling import SamplingSettings, sample_posterior
from proplim.theory import solve_grid

VARIABLES = (
    ("centroid_distance_sq", {"split": "train"}),
    ("centroid_distance_sq", {"split": "test"}),
    ("gyration_radius_sq", {"split": "train", "label": 1}),
    ("readout_variance", {}),
    ("mse", {"split": "train"}),
    ("mse", {"split": "test"}),
    ("readout_signal_covariance", {}),
    ("signal_variance", {}),
    ("hidden_trace_shift", {}),
)


def compare(dataset: Dataset, activation: str, width: int, temperature: float, target_ess: float) -> None:
    """Print one point's table."""
    sampled = sample_posterior(
        dataset,
        activation,
        width=width,
        temperature=temperature,
        settings=SamplingSettings(target_ess=target_ess, keep_draws=False),
    ).summary
    start = time.process_time()
    theories = {
        name: solve_grid(
            dataset, activation, width=width, temperature=temperature, approximations=[name]
        ).isel(approximation=0, width=0, temperature=0, lambda1=0)
        for name in ("proportional", "cavity")
    }
    seconds = time.process_time() - start
    cavity = theories["cavity"]
    print(
        f"\n{activation}, P = {dataset.n_train}, N = {width}, T = {temperature:g}: cavity in {seconds:.1f} s, converged"
        f" {int(cavity.converged)}, effective sample {float(cavity.effective_sample_fraction):.2f}; sampling converged"
        f" {int(np.nanmin(sampled.converged))}"
    )
    print(f"{'':34s} {'sampled':>10s} {'+-':>9s} {'proportional':>13s} {'cavity':>9s}")
    for name, where in VARIABLES:
        mean, error = (float(sampled[name].sel(where).sel(statistic=s)) for s in ("mean", "mcse"))
        deviations = [float(theory[name].sel(where)) / mean - 1.0 for theory in theories.values()]
        label = " ".join([name, *(str(v) for v in where.values())])
        print(f"{label:34s} {mean:10.5f} {error:9.5f} {deviations[0]:+13.2%} {deviations[1]:+9.2%}")


def main() -> None:
    """Read the arguments and print a table for every temperature."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--activation", default="erf")
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument("--temperature", type=float, nargs="+", default=[0.1, 1.0])
    parser.add_argument("--target-ess", type=float, default=400.0)
    arguments = parser.parse_args()
    with np.load(arguments.data) as arrays:
        dataset = Dataset(*(arrays[k] for k in ("x_train", "y_train", "x_test", "y_test")))
    for temperature in arguments.temperature:
        compare(dataset, arguments.activation, arguments.width, temperature, arguments.target_ess)


if __name__ == "__main__":
    main()
