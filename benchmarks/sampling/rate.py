"""Effective samples per second of the sampler itself, burn-in out and in.

python benchmarks/sampling/rate.py --data mnist38_p100.npz --draws 2000
"""

from __future__ import annotations

import time

from _common import arguments, load, point_of

from proplim.datasets import Dataset
from proplim.sampling import SamplingSettings, sample_posterior


def ours(
    dataset: Dataset, temperatures: list[float], draws: int, activation: str = "erf"
) -> dict[float, tuple[float, dict[str, float]]]:
    """ESS per second of the slowest cube observable, burn-in excluded and included; with training means."""
    print(
        f"{'T':>8} {'ESS':>7} {'slowest':>28} {'ESS/s':>8} {'with burn-in':>12} "
        f"{'to done':>9} {'accept':>7} {'steps':>6}"
    )
    rates = {}
    for temperature in temperatures:
        fixed = SamplingSettings(min_draws=draws, max_draws=draws)
        marks: list[float] = []
        tiny = SamplingSettings(min_draws=50, max_draws=50)
        point = point_of(temperature)
        sample_posterior(dataset, activation, settings=tiny, **point)  # compiles
        start = time.process_time()
        result = sample_posterior(
            dataset,
            activation,
            settings=fixed,
            progress=lambda _, m=marks: m.append(time.process_time()),
            **point,
        ).summary
        names = [name for name in result.data_vars if result[name].dims[:1] == ("statistic",)]
        slowest = min(names, key=lambda name: float(result[name].sel(statistic="ess").min()))
        ess = float(result[slowest].sel(statistic="ess").min())
        # marks fall after each block; the first one ends a block of 50, so warm-up ends one block before it
        block = (marks[-2] - marks[0]) / (len(marks) - 2)
        sampling = block * len(marks)
        burn_in = marks[0] - start - block
        means = {name: float(result[name].sel(statistic="mean").values.flat[0]) for name in names}
        rates[temperature] = ess / sampling, means
        needed = 400.0 / ess * sampling + burn_in
        steps = result.attrs["gradients"] / (4 * draws)
        print(
            f"{temperature:8g} {ess:7.0f} {slowest:>28} {ess / sampling:8.0f} {400.0 / needed:12.0f} {needed:8.1f}s "
            f"{result.attrs['acceptance']:7.2f} {steps:6.1f}",
            flush=True,
        )
    return rates


if __name__ == "__main__":
    parser = arguments(__doc__, (1.0, 0.1, 0.01, 0.001))
    parser.add_argument("--draws", type=int, default=600, help="draws per chain")
    chosen = parser.parse_args()
    ours(load(chosen.data), chosen.temperature, chosen.draws)
