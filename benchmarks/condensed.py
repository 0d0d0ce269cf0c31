"""The condensed theory against posterior sampling, and its cost beside the plain cavity.

    python benchmarks/condensed.py --mnist FOLDER --keep FOLDER     # the accuracy table of docs/condensed.md
    python benchmarks/condensed.py --activation tanh --keep FOLDER  # the one of tanh
    python benchmarks/condensed.py --cost [--mnist FOLDER]    # seconds of one core: points, ladder, growth with P

The table prints, for every point, the relative deviation in percent of D, <v^2>, the mean squared error on training
and test inputs and the participation of the readouts: proportional theory (which has none of it), then condensed theory
with the error of the difference in brackets.
`--keep` stores sampled points and reuses them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import xarray as xr

from proplim.datasets import Dataset, load_dataset
from proplim.sampling import SamplingSettings, sample_posterior
from proplim.seeds import content_hash
from proplim.theory import build_spectrum, solve_grid
from proplim.theory.condensed import solve_condensed

TABLE = (
    ("digits", (3, 8), 60, 60, 10.0), ("digits", (3, 8), 60, 60, 1.0), ("digits", (3, 8), 60, 60, 0.1),
    ("digits", (3, 8), 60, 60, 0.01), ("digits", (3, 8), 120, 120, 0.1), ("digits", (3, 8), 120, 120, 0.01),
    ("digits", (3, 8), 240, 60, 1.0), ("digits", (3, 8), 240, 60, 0.3), ("digits", (3, 8), 240, 60, 0.1),
    ("digits", (3, 8), 240, 60, 0.01), ("digits", (1, 7), 80, 160, 0.03), ("digits", (5, 9), 80, 160, 0.003),
    ("digits", (4, 9), 100, 50, 0.003), ("digits", (4, 9), 120, 60, 0.03), ("digits", (4, 9), 120, 60, 0.1),
    ("digits", (4, 9), 120, 60, 0.01), ("digits", (3, 8), 120, 60, 0.001), ("mnist", (4, 9), 100, 50, 0.1),
    ("mnist", (7, 9), 100, 25, 0.02), ("mnist", (1, 7), 120, 60, 0.02), ("mnist", (3, 5), 160, 80, 0.3),
    ("mnist", (3, 5), 160, 80, 0.1), ("mnist", (3, 5), 160, 80, 0.05), ("mnist", (3, 5), 160, 80, 0.01),
    ("mnist", (4, 9), 100, 200, 0.03), ("digits", (2, 7), 90, 45, 0.02), ("mnist", (3, 5), 100, 50, 0.05),
    ("mnist", (4, 9), 200, 50, 0.3), ("mnist", (5, 8), 200, 400, 0.03), ("mnist", (7, 9), 100, 25, 1.0),
)  # fmt: skip
"""Source, classes, P, N and T."""
TANH_TABLE = tuple(
    ("digits", classes, n_train, 60, temperature)
    for classes in ((3, 8), (4, 9))
    for n_train in (60, 120)
    for temperature in (1.0, 0.1, 0.01)
)
TABLES = {"erf": TABLE, "tanh": TANH_TABLE}
COLUMNS = (
    ("D", "centroid_distance_sq", 0), ("v2", "readout_variance", None), ("mse train", "mse", 0), ("mse test", "mse", 1),
    ("participation", "readout_participation", None),
)  # fmt: skip
LADDER = np.logspace(-3.0, 2.0, 31)
GROWTH = (50, 100, 200, 400)
BESIDE = 100
"""P at which the plain cavity and the ladder run too."""


def data_set(source: str, classes: tuple[int, int], n_train: int, mnist: Path | None) -> Dataset:
    """Seed 0, 100 test inputs of digits and 200 of MNIST."""
    if source == "digits":
        return load_dataset("digits", n_train, classes=classes, n_test=100)
    return load_dataset("mnist", n_train, classes=classes, n_test=200, root=str(mnist))


def sampled_point(
    data: Dataset, activation: str, width: int, temperature: float, keep: Path | None
) -> xr.Dataset:
    """Summary of a long posterior sample, read from `keep` where it has been computed before."""
    name = f"{activation}_{content_hash(data.identity)[:12]}_N{width}_T{temperature:g}.nc"
    if keep is not None and (keep / name).exists():
        return xr.load_dataset(keep / name)
    settings = SamplingSettings(target_ess=800.0, min_draws=400, max_draws=6000, keep_draws=False)
    summary = sample_posterior(
        data, activation, width=width, temperature=temperature, settings=settings
    ).summary
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        summary.to_netcdf(keep / name)
    return summary


def _plain(data: Dataset, activation: str, approximation: str, width: int, temperature: float) -> xr.Dataset:
    """One point of another theory."""
    grid = solve_grid(
        data, activation, temperature=temperature, width=width, approximations=[approximation], peaks=False
    )
    return grid.squeeze()


def table(activation: str, mnist: Path | None, keep: Path | None) -> None:
    """Deviations from sampling at the points of the activation's table."""
    heads = " | ".join(label for label, *_ in COLUMNS)
    print(f"| data | P/N | T | P(condensed), share | {heads} | units, s | converged |")
    print(f"|---|---|---|---|{'---|' * len(COLUMNS)}---|---|")
    for source, classes, n_train, width, temperature in TABLES[activation]:
        if source == "mnist" and mnist is None:
            continue
        data = data_set(source, classes, n_train, mnist)
        sampled = sampled_point(data, activation, width, temperature, keep)
        plain = _plain(data, activation, "proportional", width, temperature)
        start = time.process_time()
        spectrum = build_spectrum(data, activation, 1.0)
        point = solve_condensed(
            spectrum, width=width, lambda1=1.0, temperatures=[temperature], transition=False
        ).points[0]
        seconds = time.process_time() - start
        cells = []
        for _, name, split in COLUMNS:
            pick = () if split is None else (split,)
            mean = float(sampled[name].sel(statistic="mean").values[pick])
            error = float(sampled[name].sel(statistic="mcse").values[pick])
            before, after = float(plain[name].values[pick]), float(point.values[name][pick])
            error = np.hypot(error, float(point.values[f"{name}_mcse"][pick]))
            known = f"{100 * (before / mean - 1):+.1f}, " if np.isfinite(before) else ""
            cells.append(f"{known}{100 * (after / mean - 1):+.2f} ({100 * error / mean:.2f})")
        probability, share = (float(point.values[k]) for k in ("condensed_probability", "heavy_unit_share"))
        print(
            f"| {source} {classes[0]}v{classes[1]} | {n_train}/{width} | {temperature:g} "
            f"| {probability:.2f}, {share:.2f} | "
            f"{' | '.join(cells)} | {point.units}, {seconds:.1f} | {point.reason or 'yes'} |",
            flush=True,
        )


def cost(mnist: Path | None) -> None:
    """Processor seconds of the condensed theory and of the plain cavity on the same data, and the growth with P."""
    source, classes = ("digits", (3, 8)) if mnist is None else ("mnist", (3, 8))
    sizes = tuple(p for p in GROWTH if source == "mnist" or p <= 200)
    seconds: dict[float, list[float]] = {1.0: [], 0.1: [], 0.03: []}
    for n_train in sizes:
        data = data_set(source, classes, n_train, mnist)
        spectrum = build_spectrum(data, "erf", 1.0)
        for temperature, spent in seconds.items():
            start = time.process_time()
            solved = solve_condensed(
                spectrum, width=n_train, lambda1=1.0, temperatures=[temperature], transition=False
            )
            spent.append(time.process_time() - start)
            values = solved.points[0].values
            error = float(values["centroid_distance_sq_mcse"][0] / values["centroid_distance_sq"][0])
            line = (
                f"P = N = {n_train}, T = {temperature:g}: {spent[-1]:.1f} s, error of D {100 * error:.2f} %"
            )
            if n_train == BESIDE:
                start = time.process_time()
                plain = _plain(data, "erf", "cavity", n_train, temperature)
                solution = "solved" if float(plain.converged) > 0 else "no solution"
                line += f"; plain cavity {time.process_time() - start:.1f} s ({solution})"
            print(line, flush=True)
        if n_train == BESIDE:
            start = time.process_time()
            solve_condensed(spectrum, width=n_train, lambda1=1.0, temperatures=list(LADDER), transition=False)
            print(f"ladder of {len(LADDER)} temperatures: {time.process_time() - start:.0f} s", flush=True)
            start = time.process_time()
            found = solve_condensed(spectrum, width=n_train, lambda1=1.0, temperatures=[], peaks=True)
            print(
                f"T_c and T*: {time.process_time() - start:.0f} s, T* = {found.peaks.temperature}", flush=True
            )
    for temperature, spent in seconds.items():
        power = np.polyfit(np.log(sizes), np.log(spent), 1)[0]
        print(
            f"T = {temperature:g}: seconds grow as P^{power:.1f} from P = {sizes[0]} to {sizes[-1]}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mnist", type=Path, help="folder with MNIST files")
    parser.add_argument("--keep", type=Path, help="folder for sampled points")
    parser.add_argument("--activation", choices=sorted(TABLES), default="erf", help="of the accuracy table")
    parser.add_argument("--cost", action="store_true", help="times instead of accuracy")
    arguments = parser.parse_args()
    if arguments.cost:
        cost(arguments.mnist)
    else:
        table(arguments.activation, arguments.mnist, arguments.keep)


if __name__ == "__main__":
    main()
