"""The proportional and the cavity theory against posterior sampling of finite networks.

    python benchmarks/cavity.py --mnist FOLDER          # the table of docs/cavity.md: D at alpha = 1 and 2
    python benchmarks/cavity.py DATA.npz --activation relu --width 100 --temperature 0.1 1

The first reads MNIST from a folder and prints, for every point of a table, the squared class distance D on the
training inputs: sampled with its standard error, the relative deviation of either theory with the error of the
difference, and processor times. The second prints all observables of single points for any data, DATA.npz
holding x_train, y_train, x_test, y_test. `--keep FOLDER` stores sampled points there and reuses them.
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
from proplim.theory import solve_grid

TABLE = (
    (100, 100, 0.1), (100, 100, 0.03), (100, 100, 0.01),
    (100, 50, 0.3), (100, 50, 0.2), (100, 50, 0.1), (200, 100, 0.3), (200, 100, 0.1),
)  # fmt: skip
"""P, N and T of the table."""
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


def sampled_point(
    dataset: Dataset, activation: str, width: int, temperature: float, target_ess: float, keep: Path | None
) -> xr.Dataset:
    """Summary of a posterior sample, read from `keep` where it has been computed before."""
    name = (
        f"{activation}_{content_hash(dataset.identity)[:12]}_N{width}_T{temperature:g}_ess{target_ess:g}.nc"
    )
    if keep is not None and (keep / name).exists():
        return xr.load_dataset(keep / name)
    settings = SamplingSettings(target_ess=target_ess, keep_draws=False)
    point = {"width": width, "temperature": temperature}
    summary = sample_posterior(dataset, activation, **point, settings=settings).summary
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        summary.to_netcdf(keep / name)
    return summary


def theory_point(
    dataset: Dataset, activation: str, width: int, temperature: float, approximation: str
) -> tuple[xr.Dataset, float]:
    """One point of a theory, and its processor seconds."""
    start = time.process_time()
    grid = solve_grid(
        dataset,
        activation,
        width=width,
        temperature=temperature,
        approximations=[approximation],
        peaks=False,
    )
    return grid.isel(approximation=0, width=0, temperature=0, lambda1=0), time.process_time() - start


def table(root: Path, activation: str, target_ess: float, keep: Path | None) -> None:
    """Print D of sampling and both theories at the points of TABLE."""
    print("| P / N | T | sampled D | proportional | cavity | cavity time | converged |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for n_train, width, temperature in TABLE:
        dataset = load_dataset("mnist", n_train, classes=(3, 8), n_test=200, root=str(root))
        sampled = sampled_point(dataset, activation, width, temperature, target_ess, keep)
        d = sampled.centroid_distance_sq.sel(split="train")
        mean, error = float(d.sel(statistic="mean")), float(d.sel(statistic="mcse"))
        cells = [f"{n_train} / {width}", f"{temperature:g}", f"{mean:.5f} ({error:.5f})"]
        for name in ("proportional", "cavity"):
            theory, seconds = theory_point(dataset, activation, width, temperature, name)
            value = float(theory.centroid_distance_sq.sel(split="train"))
            own = float(theory.centroid_distance_sq_mcse.sel(split="train")) if name == "cavity" else 0.0
            cells.append(f"{value / mean - 1.0:+.1%} ({100 * np.hypot(error, own) / mean:.1f})")
        cells += [f"{seconds:.0f} s", "yes" if float(theory.converged) else "no"]
        print("| " + " | ".join(cells) + " |", flush=True)


def compare(
    dataset: Dataset, activation: str, width: int, temperature: float, target_ess: float, keep: Path | None
) -> None:
    """Print all observables of one point."""
    sampled = sampled_point(dataset, activation, width, temperature, target_ess, keep)
    theories = {
        name: theory_point(dataset, activation, width, temperature, name)
        for name in ("proportional", "cavity")
    }
    cavity, seconds = theories["cavity"]
    print(
        f"\n{activation}, P = {dataset.n_train}, N = {width}, T = {temperature:g}: cavity in {seconds:.1f} s, converged"
        f" {int(cavity.converged)}, effective sample {float(cavity.effective_sample_fraction):.2f}; sampling converged"
        f" {int(np.nanmin(sampled.converged))}"
    )
    print(f"{'':34s} {'sampled':>10s} {'+-':>9s} {'proportional':>13s} {'cavity':>9s}")
    for name, where in VARIABLES:
        mean, error = (float(sampled[name].sel(where).sel(statistic=s)) for s in ("mean", "mcse"))
        deviations = [float(theory[name].sel(where)) / mean - 1.0 for theory, _ in theories.values()]
        label = " ".join([name, *(str(v) for v in where.values())])
        print(f"{label:34s} {mean:10.5f} {error:9.5f} {deviations[0]:+13.2%} {deviations[1]:+9.2%}")


def main() -> None:
    """Read the arguments and print the table or single points."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--mnist", type=Path, help="folder with the files of MNIST: prints the table")
    parser.add_argument("--activation", default="erf")
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument("--temperature", type=float, nargs="+", default=[0.1, 1.0])
    parser.add_argument("--target-ess", type=float, default=400.0)
    parser.add_argument("--keep", type=Path, help="folder for sampled points")
    arguments = parser.parse_args()
    if arguments.mnist is not None:
        table(arguments.mnist, arguments.activation, arguments.target_ess, arguments.keep)
    elif arguments.data is None:
        parser.error("name DATA.npz or --mnist FOLDER")
    else:
        with np.load(arguments.data) as arrays:
            dataset = Dataset(*(arrays[k] for k in ("x_train", "y_train", "x_test", "y_test")))
        for temperature in arguments.temperature:
            compare(
                dataset,
                arguments.activation,
                arguments.width,
                temperature,
                arguments.target_ess,
                arguments.keep,
            )


if __name__ == "__main__":
    main()
