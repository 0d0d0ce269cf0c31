"""How often error bars of independent runs cover exact values of a linear network.

python benchmarks/sampling/error_bars.py --runs 200
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from _common import arguments

from proplim import SamplingSettings, sample_posterior
from proplim.theory import signal_direction


def coverage(runs: int) -> None:
    """How often error bars of independent runs cover exact values: linear network, P = 6, N = 5, N0 = 4.

    Every run stops by the default rule at a target ESS of 100, the hardest case for an error bar.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from conftest import gaussian_dataset
    from sampling_exact import linear_moments

    dataset = gaussian_dataset(6, 4, 6, seed=2)
    point: dict[str, Any] = {"width": 5, "temperature": 0.3, "lambda0": 1.3, "lambda1": 0.8}
    direction = signal_direction(dataset, "linear", **point)
    exact = linear_moments(dataset, *point.values(), direction)
    scores: dict[str, list[np.ndarray]] = {name: [] for name in exact}
    for seed in range(runs):
        settings = SamplingSettings(
            seed=10_000 + seed, target_ess=100, max_rhat=1.05, min_draws=50, warmup=60
        )
        summary = sample_posterior(dataset, "linear", settings=settings, **point).summary
        for name, value in exact.items():
            mean, mcse = summary[name].values[:2]
            scores[name].append(np.ravel((mean - value) / mcse))
    print(
        f"{runs} runs; binomial error of a 68 (95) % share {np.sqrt(0.683 * 0.317 / runs):.1%} "
        f"({np.sqrt(0.95 * 0.05 / runs):.1%})"
    )
    print("| observable | in 1 error | in 1.96 errors | mean of z | spread of z |\n|---|---|---|---|---|")
    for name, values in [
        *scores.items(),
        ("all", [np.concatenate(v) for v in zip(*scores.values(), strict=True)]),
    ]:
        z = np.stack(values)
        print(
            f"| {name} | {(np.abs(z) < 1).mean():.1%} | {(np.abs(z) < 1.96).mean():.1%} "
            f"| {z.mean():.2f} | {z.std():.2f} |"
        )


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--runs", type=int, default=200, help="independent runs")
    coverage(parser.parse_args().runs)
