"""Speed of the theory engine beside the usual way: for every point build, minimise, invert.

    python benchmarks/theory.py                    # 100,000 points, P = 400, 200 test inputs
    python benchmarks/theory.py --points 10000
    python benchmarks/theory.py --workflow 2       # the same number of points by snakemake on two cores, to theory.nc

Prints, from one run on one thread, points per second of `proplim.theory.solve_grid` with all variables and
both approximations, microseconds a point of the order parameter alone, points per second of the dense
implementation on a sample of the same grid, the ratio, the largest disagreement, and the peak memory.
"""

# ruff: noqa: E402  (threads have to be limited before NumPy is imported)
from __future__ import annotations

import argparse
import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # before NumPy is imported: both sides on one thread

import numpy as np
from scipy.optimize import minimize_scalar

from _ratios import note
from proplim.datasets import Dataset
from proplim.kernels import feature_kernel, stein_vectors
from proplim.theory import Points, build_spectrum, solve_grid, solve_order_parameter


def image_like_dataset(n_train: int, n_test: int, n_features: int = 784, seed: int = 0) -> Dataset:
    """Inputs with a power-law spectrum, as images have, and labels from one of their leading directions."""
    rng = np.random.default_rng(seed)
    total = n_train + n_test
    latent = rng.standard_normal((total, 100)) * np.arange(1, 101) ** -0.7
    x = latent @ rng.standard_normal((100, n_features)) + 0.1 * rng.standard_normal((total, n_features))
    y = np.where(latent[:, 1] + 0.2 * latent[:, 5] > 0, 1.0, -1.0)
    x = (x - x[:n_train].mean()) / x[:n_train].std()
    return Dataset(x[:n_train], y[:n_train], x[n_train:], y[n_train:])


def dense_point(dataset: Dataset, t: float, n: float, lambda1: float) -> dict[str, float]:
    """One point of the proportional theory the plain way: kernels, a scalar minimiser, an inverse."""
    x, xt, y = dataset.x_train, dataset.x_test, dataset.y_train
    p = len(y)
    k, kt = feature_kernel("erf", x, x), feature_kernel("erf", xt, x)
    ktt = feature_kernel("erf", xt, xt)
    b = stein_vectors("erf", x)

    def action(u: float) -> float:
        sigma = t * np.eye(p) + np.exp(u) / lambda1 * k
        factor = np.linalg.cholesky(sigma)
        half = np.linalg.solve(factor, y)
        return np.exp(u) - u + (2.0 * np.log(np.diag(factor)).sum() + half @ half) / n

    u = minimize_scalar(action, bracket=(-0.5, 0.5), tol=1e-10).x
    g = np.exp(u) / lambda1
    inverse = np.linalg.inv(t * np.eye(p) + g * k)
    a = inverse @ y
    m = np.outer(a, a) - inverse
    ba = b @ a
    direction = ba / np.linalg.norm(ba)
    result = {
        "order_parameter": float(np.exp(u)),
        "free_energy": 0.5 * float(action(u)),
        "readout_variance": float(g),
        "signal_variance": float(1.0 + g / n * (direction @ b) @ m @ (direction @ b)),
        "readout_signal_covariance": float(g / np.sqrt(n) * np.linalg.norm(ba)),
    }
    for split, kx, kxx, labels in (("train", k, k, y), ("test", kt, ktt, dataset.y_test)):
        mean = g * kx @ a
        variance = g * np.diag(kxx) - g**2 * np.einsum("xi,ij,xj->x", kx, inverse, kx, optimize=True)
        shifted = kxx + g / n * kx @ m @ kx.T
        weights = [(labels == s) / (labels == s).sum() for s in (-1, 1)]
        difference = weights[1] - weights[0]
        result[f"bias_sq {split}"] = float(((mean - labels) ** 2).mean())
        result[f"predictive_variance {split}"] = float(variance.mean())
        result[f"centroid_distance_sq {split}"] = float(difference @ shifted @ difference)
        for s, w in zip((-1, 1), weights, strict=True):
            result[f"gyration_radius_sq {split} {s:+d}"] = float(w @ np.diag(shifted) - w @ shifted @ w)
    return result


def workflow(cores: int) -> None:
    """Run a study of 100,000 theory points by snakemake; print its time and the memory of all its processes."""
    import json

    import xarray as xr

    root = Path(__file__).resolve().parents[1]
    study = {
        "study": "large",
        "datasets": [{"name": "g", "source": "gaussian", "n_features": 784, "n_test": 200}],
        "grid": {
            "n_train": [400], "width": [20 * i for i in range(1, 101)], "lambda1": [0.5, 1.0, 2.0, 4.0],
            "temperature": {"logspace": [1e-5, 1e3, 250]},
        },
        "sampling": {"enabled": False}, "dynamics": {"enabled": False}, "figures": {"enabled": False},
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(json.dumps(study))  # JSON is YAML
        command = [sys.executable, "-m", "snakemake", "-s", str(root / "Snakefile"), "--directory", name]
        command += ["--configfile", str(folder / "study.yaml"), "--cores", str(cores)]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        with _peak_memory() as peak:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(done.stderr[-3000:])
        cube = folder / "results/large/theory.nc"
        size = cube.stat().st_size / 2**20
        with xr.open_dataset(cube) as opened:
            n = int(np.prod([opened.sizes[d] for d in ("width", "temperature", "lambda1")]))
            converged = float(opened.converged.min())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"snakemake --cores {cores}: {n} points, P = 400, 200 test inputs, to theory.nc of {size:.0f} MiB")
    print(
        f"  {wall:.1f} s, {cpu:.1f} s of CPU, {peak[0]:.0f} MiB in all processes, all converged: {converged == 1}"
    )


@contextlib.contextmanager
def _peak_memory():
    """Largest sum of the resident memory of this process's descendants in MiB, looked at ten times a second."""
    import psutil

    peak, done, me = [0.0], threading.Event(), psutil.Process()

    def watch() -> None:
        while not done.wait(0.1):
            total = 0
            for child in me.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += child.memory_info().rss
            peak[0] = max(peak[0], total / 2**20)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--n-train", type=int, default=400)
    parser.add_argument("--n-test", type=int, default=200)
    parser.add_argument("--dense-points", type=int, default=6)
    parser.add_argument("--workflow", type=int, metavar="CORES", help="by snakemake on so many cores")
    arguments = parser.parse_args()
    if arguments.workflow:
        workflow(arguments.workflow)
        return

    dataset = image_like_dataset(arguments.n_train, arguments.n_test)
    temperature = np.logspace(-5, 3, 100)
    lambda1 = np.array([0.5, 1.0, 2.0, 4.0])
    count = max(arguments.points // (len(temperature) * len(lambda1)), 1)
    width = np.unique(np.round(np.logspace(1.3, 4.5, 3 * count)).astype(int))
    width = width[np.linspace(0, len(width) - 1, count).astype(int)]
    axes = {"temperature": temperature, "width": width, "lambda1": lambda1}
    n_points = len(temperature) * len(width) * len(lambda1)
    print(f"P = {dataset.n_train}, {dataset.n_test} test inputs, {n_points} grid points, one thread")

    spectrum = build_spectrum(dataset, "erf", 1.0)
    mesh = np.meshgrid(temperature, width.astype(float), lambda1, indexing="ij")
    points = Points(*(m.ravel() for m in mesh))
    cpu = time.process_time()
    solution = solve_order_parameter(spectrum, points)
    solve = (time.process_time() - cpu) / n_points
    print(f"order parameter alone: {1e6 * solve:.1f} us a point, all converged: {solution.converged.all()}")

    wall, cpu = time.perf_counter(), time.process_time()
    grid = solve_grid(dataset, "erf", **axes, approximations=["infinite_width", "proportional"])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    engine = cpu / n_points
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"solve_grid, both approximations, all variables and T*: {wall:.1f} s ({cpu:.1f} s of CPU)")
    print(f"  {1.0 / engine:.0f} points a second of CPU, {1e6 * engine:.1f} us a point")
    print(f"  peak memory {memory:.0f} MiB, converged {float(grid.converged.mean()):.6f}")

    rng = np.random.default_rng(1)
    picks = [tuple(rng.integers(0, len(axes[d])) for d in axes) for _ in range(arguments.dense_points)]
    cpu = time.process_time()
    dense = [dense_point(dataset, *(float(axes[d][i]) for d, i in zip(axes, p, strict=True))) for p in picks]
    per_point = (time.process_time() - cpu) / len(picks)
    print(f"dense implementation: {1.0 / per_point:.2f} points a second of CPU, {per_point:.3f} s a point")
    print(f"ratio: {per_point / engine:.0f}")
    note(
        f"theory, P = {dataset.n_train}, {n_points} points, all variables",
        "dense code, point by point", per_point / engine, "numbers, to rounding",
    )  # fmt: skip
    worst = max(_deviation(grid, axes, p, d) for p, d in zip(picks, dense, strict=True))
    print(f"largest relative difference between the two: {worst[0]:.1e} ({worst[1]})")


def _deviation(grid, axes, pick, dense) -> tuple[float, str]:
    at = grid.sel(approximation="proportional").isel(dict(zip(axes, pick, strict=True)))
    worst = (0.0, "")
    for key, expected in dense.items():
        name, *where = key.split()
        index = dict(zip(("split", "label"), where, strict=False))
        if "label" in index:
            index["label"] = int(index["label"])
        got = float(at[name].sel(index))
        worst = max(worst, (abs(got - expected) / max(abs(expected), 1e-12), key))
    return worst


if __name__ == "__main__":
    main()
