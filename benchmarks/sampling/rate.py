"""Effective samples per second of the sampler itself, burn-in out and in.

python benchmarks/sampling/rate.py --data mnist38_p100.npz --draws 2000
"""

from __future__ import annotations

import time

import numpy as np
from _common import WIDTH, arguments, load, point_of

from proplim import Dataset, SamplingSettings, sample_posterior
from proplim.sampling import PosteriorSample, Progress

TARGET_ESS = 400.0
"""What a point is sampled to by default."""
BLOCK = 50
"""Draws per chain between two reports of progress."""


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
        sample, sampling, burn_in = timed(dataset, activation, temperature, draws)
        result = sample.summary
        names = [str(name) for name in result.data_vars if result[name].dims[:1] == ("statistic",)]
        every = {name: float(result[name].sel(statistic="ess").min()) for name in names}
        slowest = min(every, key=every.__getitem__)
        ess = every[slowest]
        means = {name: float(result[name].sel(statistic="mean").values.flat[0]) for name in names}
        rates[temperature] = ess / sampling, means
        needed = TARGET_ESS / ess * sampling + burn_in
        steps = float(sample.sample_stats["n_steps"].mean())
        print(
            f"{temperature:8g} {ess:7.0f} {slowest:>28} {ess / sampling:8.0f} {TARGET_ESS / needed:12.0f} "
            f"{needed:8.1f}s {result.attrs['acceptance']:7.2f} {steps:6.1f}",
            flush=True,
        )
    return rates


def timed(
    dataset: Dataset, activation: str, temperature: float, draws: int, width: int = WIDTH
) -> tuple[PosteriorSample, float, float]:
    """A run of so many draws per chain, with the processor seconds of its draws and of all before them.

    Progress is reported after every block of draws. Burn-in ends a block before the first report; adapting anew and
    sweeps between two phases fall between reports and count as burn-in.
    """
    marks: list[float] = []

    def mark(_: Progress) -> None:
        marks.append(time.process_time())

    point = point_of(temperature, width)
    tiny = SamplingSettings(min_draws=50, max_draws=50)
    sample_posterior(dataset, activation, settings=tiny, **point)  # compiles
    start = time.process_time()
    sample = sample_posterior(
        dataset,
        activation,
        settings=SamplingSettings(min_draws=draws, max_draws=draws),
        progress=mark,
        **point,
    )
    if len(marks) < 3:
        raise SystemExit("--draws must be above 100: three blocks of draws are timed at least")
    # the last mark comes after the statistics of all draws
    block = float(np.median(np.diff(marks[:-1])))
    blocks = sample.summary.attrs["draws_per_chain"] / BLOCK
    return sample, block * blocks, marks[-2] - start - block * (blocks - 1)


if __name__ == "__main__":
    parser = arguments(__doc__, (1.0, 0.1, 0.01, 0.001))
    parser.add_argument("--draws", type=int, default=600, help="draws per chain")
    chosen = parser.parse_args()
    ours(load(chosen.data), chosen.temperature, chosen.draws)
