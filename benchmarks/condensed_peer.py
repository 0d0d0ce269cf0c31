"""The condensed theory beside posterior sampling: processor seconds for D at an equal standard error.

    python benchmarks/condensed_peer.py [--root FOLDER] [--short]

The theory runs as it is; a sampling run gives the error of D that its seconds have bought, and the seconds for the
theory's error follow as one over the squared error. Sampling is timed without burn-in and compilation, in its favour.
"""

from __future__ import annotations

import argparse
import time

from _ratios import note
from proplim.datasets import load_dataset
from proplim.sampling import SamplingSettings, sample_posterior
from proplim.theory import build_spectrum
from proplim.theory.condensed import solve_condensed

CLASSES = (4, 9)
SIZE = 100
TEMPERATURES = (1.0, 0.1, 0.02)
DRAWS, SHORT_DRAWS = 2000, 300
"""Draws of a chain."""
BLOCK = 50
"""Draws of a chain between two reports of progress."""


def theory(data, temperature: float) -> tuple[float, float, float]:
    """Processor seconds, D on the training inputs and its standard error."""
    started = time.process_time()
    spectrum = build_spectrum(data, "erf", 1.0)
    point = solve_condensed(spectrum, width=SIZE, lambda1=1.0, temperatures=[temperature]).points[0]
    mean, error = (float(point.values[k][0]) for k in ("centroid_distance_sq", "centroid_distance_sq_mcse"))
    return time.process_time() - started, mean, error


def sampling(data, temperature: float, draws: int) -> tuple[float, float, float]:
    """Processor seconds of the kept draws, D on the training inputs and its standard error."""
    started: list[float] = []

    def seen(progress) -> None:
        if progress.draws and not started:
            started.append(time.process_time())

    settings = SamplingSettings(min_draws=draws, max_draws=draws, keep_draws=False)
    found = sample_posterior(
        data, "erf", width=SIZE, temperature=temperature, settings=settings, progress=seen
    ).summary["centroid_distance_sq"]
    ended = time.process_time()
    mean, error = (float(found.sel(statistic=s).values.flat[0]) for s in ("mean", "mcse"))
    # the first report comes after the first block of draws
    return (ended - started[0]) * draws / (draws - BLOCK), mean, error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", help="folder with the files of MNIST")
    parser.add_argument("--short", action="store_true", help="fewer draws")
    chosen = parser.parse_args()
    source = {"root": chosen.root} if chosen.root else {}
    name = "mnist" if chosen.root else "digits"
    data = load_dataset(name, SIZE, classes=CLASSES, n_test=100, **source)
    for temperature in TEMPERATURES:
        ours, mean, error = theory(data, temperature)
        spent, sampled, sampled_error = sampling(data, temperature, SHORT_DRAWS if chosen.short else DRAWS)
        peer = spent * (sampled_error / error) ** 2
        print(
            f"T = {temperature:g}: theory {ours:.1f} s, D = {mean:.4f} +- {error:.4f}; sampling {spent:.1f} s, "
            f"D = {sampled:.4f} +- {sampled_error:.4f}, {peer:.0f} s for the theory's error, ratio {peer / ours:.1f}",
            flush=True,
        )
        note(
            f"condensed theory, {name} 4v9, P = N = {SIZE}, T = {temperature:g}",
            "sampling",
            peer / ours,
            f"standard error of D, {100 * error / mean:.2f} %; no burn-in, seconds scaled by the squared error",
        )


if __name__ == "__main__":
    main()
