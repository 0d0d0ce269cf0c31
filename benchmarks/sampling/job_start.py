"""What a job costs before it samples: imports and compilation.

python benchmarks/sampling/job_start.py --data mnist38_p100.npz
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _common import arguments, load

from proplim.datasets import Dataset

JOB = """
import time
begin = time.perf_counter(), time.process_time()
import numpy as np
from proplim import Dataset, SamplingSettings, sample_posterior
imported = time.perf_counter(), time.process_time()
with np.load({path!r}) as arrays:
    dataset = Dataset(*(arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")))
marks = [begin, imported]
for seed in (0, 1):
    settings = SamplingSettings(min_draws=50, max_draws=50, chains=2, seed=seed)
    sample_posterior(dataset, "erf", width=100, temperature=1.0, settings=settings)
    marks.append((time.perf_counter(), time.process_time()))
print(*np.diff(marks, axis=0).ravel())
"""


def start(dataset: Dataset) -> None:
    """What a job costs besides its trajectories: imports and compilation, in a fresh process.

    A point is sampled twice with other seeds; what the first takes longer than the second was compilation, or reading
    compiled code back. The first process finds an empty cache, the others what it left.
    """
    arrays = {name: getattr(dataset, name) for name in ("x_train", "y_train", "x_test", "y_test")}
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "data.npz", **arrays)
        environment = os.environ | {"PROPLIM_CACHE": str(Path(folder) / "cache")}
        print(
            "| cache | imports | compilation or loading | both | of it processor time |\n|---|---|---|---|---|"
        )
        for name in ("empty", "warm", "warm"):
            job = JOB.format(path=str(Path(folder) / "data.npz"))
            done = subprocess.run(
                [sys.executable, "-c", job], env=environment, check=True, capture_output=True, text=True
            )
            wall, used = np.array(done.stdout.split(), float).reshape(3, 2).T
            fixed = [t[0] + t[1] - t[2] for t in (wall, used)]
            print(
                f"| {name} | {wall[0]:.1f} s | {wall[1] - wall[2]:.1f} s | {fixed[0]:.1f} s | {fixed[1]:.1f} s |"
            )


if __name__ == "__main__":
    start(load(arguments(__doc__).parse_args().data))
