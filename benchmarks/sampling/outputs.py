"""What ten classes cost beside two: a draw, a gradient, and effective samples per second of the slowest observable.

python benchmarks/sampling/outputs.py --root FOLDER_WITH_MNIST --size 200 --draws 1000
"""

from __future__ import annotations

import argparse

import numpy as np
from rate import timed

from proplim import load_dataset

TASKS = ((3, 8), tuple(range(10)))
"""Classes of MNIST: one output, and ten."""


def main(root: str, size: int, temperature: float, draws: int) -> None:
    """A row for each task, P = N = size."""
    print(
        f"{'classes':>7} {'a draw':>9} {'gradients':>9} {'acceptance':>10} {'burn-in':>8} {'ESS':>6} {'ESS/s':>7} "
        f"{'slowest':>28} {'median ESS/s':>12} {'R-hat':>7}"
    )
    for classes in TASKS:
        data = load_dataset("mnist", classes=classes, n_train=size, n_test=size, root=root)
        sample, seconds, burn_in = timed(data, "erf", temperature, draws, width=size)
        result = sample.summary
        names = [str(name) for name in result.data_vars if result[name].dims[:1] == ("statistic",)]
        every = {name: float(result[name].sel(statistic="ess").min()) for name in names}
        slowest = min(every, key=every.__getitem__)
        steps = sample.sample_stats["n_steps"]
        rhat = max(float(result[name].sel(statistic="rhat").max()) for name in names)
        print(
            f"{len(classes):7d} {1e3 * seconds / steps.size:6.2f} ms {float(steps.mean()):9.1f} "
            f"{result.attrs['acceptance']:10.2f} {burn_in:6.1f} s {every[slowest]:6.0f} "
            f"{every[slowest] / seconds:7.1f} {slowest:>28} {np.median(list(every.values())) / seconds:12.1f} "
            f"{rhat:7.4f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", required=True, help="folder of MNIST's files")
    parser.add_argument("--size", type=int, default=200, help="P = N")
    parser.add_argument("--temperature", type=float, default=0.1)
    parser.add_argument("--draws", type=int, default=1000, help="draws per chain")
    chosen = parser.parse_args()
    main(chosen.root, chosen.size, chosen.temperature, chosen.draws)
