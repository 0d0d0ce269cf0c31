"""What the workflow costs beside the science: overhead per grid point, and predicted against measured jobs.

    python benchmarks/workflow.py                         # theory-only studies of 10, 100, 1000 and 10,000 points
    python benchmarks/workflow.py --study results/digits  # a study that has been run: overhead, predicted and measured

Overhead is the time of `snakemake --cores 1` less what jobs spent in theory, sampling and dynamics; wall time on an
idle machine, processor time on any.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
SIZES = {10: (10, 1), 100: (100, 1), 1000: (100, 10), 10_000: (1000, 10)}
TARGET_MS = 5.0


def study(n_temperatures: int, n_widths: int, figures: bool) -> dict:
    """A theory-only study of that many points on one data set."""
    return {
        "study": "overhead",
        "datasets": [{"name": "g", "source": "gaussian", "n_features": 20, "n_test": 20}],
        "grid": {
            "n_train": [60],
            "width": [20 * (i + 1) for i in range(n_widths)],
            "temperature": {"logspace": [1e-3, 1e2, n_temperatures]},
        },
        "sampling": {"enabled": False},
        "dynamics": {"enabled": False},
        "figures": {"enabled": figures, "formats": ["png"]},
    }


def run(folder: Path, content: dict, cores: int = 1) -> tuple[float, float]:
    """Run a study; wall seconds, and processor seconds of all its processes."""
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "study.yaml"), "--cores", str(cores)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu


def science_seconds(root: Path) -> tuple[float, float]:
    """Wall and processor seconds spent in theory, sampling and dynamics, from the results of the jobs."""
    from proplim.cube import read_table

    about = [read_table(path).about for path in sorted(root.glob("*/*/*.points"))]
    return sum(sum(json.loads(a["block_seconds"])) for a in about), sum(a["cpu_seconds"] for a in about)


def overhead(figures: bool) -> None:
    """Print overhead per point of theory-only studies."""
    print("                 wall                          processor")
    print(
        f"{'points':>7} {'all s':>8} {'science s':>9} {'ms/point':>9} {'all s':>8} {'science s':>9} {'ms/point':>9}"
    )
    for n, (temperatures, widths) in SIZES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            wall, cpu = run(folder, study(temperatures, widths, figures))
            science, science_cpu = science_seconds(folder / "results/overhead")
        each, each_cpu = 1e3 * (wall - science) / n, 1e3 * (cpu - science_cpu) / n
        verdict = (
            "" if n < 10_000 else f"   target < {TARGET_MS:g}: {'met' if each < TARGET_MS else 'missed'}"
        )
        line = f"{n:7d} {wall:8.1f} {science:9.2f} {each:9.2f} {cpu:8.1f} {science_cpu:9.2f} {each_cpu:9.2f}{verdict}"
        print(line, flush=True)


def measured(root: Path) -> None:
    """Print predicted and measured seconds and memory of the jobs of a study, and its overhead."""
    import xarray as xr

    from proplim.config import load_config
    from proplim.cube import read_table
    from proplim.study import Plan

    cube = next(root.glob("*.nc"))
    with xr.open_dataset(cube) as opened:
        (root / ".benchmark.yaml").write_text(opened.attrs["configuration"])
    config = load_config(root / ".benchmark.yaml", data=False)
    (root / ".benchmark.yaml").unlink()
    os.chdir(root.resolve().parents[1])
    plan = Plan(config)
    heads = ("points", "predicted s", "measured s", "asked min", "asked MB", "used MB")
    heads = ("points", "predicted s", "measured s", "asked min", "asked MB", "used MB")
    print(
        f"{'stage':9} {heads[0]:>7} {heads[1]:>11} {heads[2]:>11} {heads[3]:>9} {heads[4]:>9} {heads[5]:>8}  job"
    )
    total, inside = 0.0, 0.0
    for stage, jobs in plan.jobs.items():
        for name, job in jobs.items():
            benchmark = Path(plan.root) / "benchmarks" / stage / f"{name}.tsv"
            if not benchmark.exists():
                continue
            row = next(csv.DictReader(benchmark.open(), delimiter="\t"))
            inside += sum(json.loads(read_table(plan.result(job)).about["block_seconds"]))
            total += float(row["s"])
            used = row["max_rss"] if row["max_rss"] not in ("NA", "-") else "nan"
            print(
                f"{stage:9} {job.n_points:7d} {plan.seconds(stage, name):11.1f} {float(row['s']):11.1f} "
                f"{plan.runtime_minutes(stage, name):9d} {plan.memory_mb(stage, name):9d} {float(used):8.0f}  {name}"
            )
    print(f"jobs {total:.1f} s, of which science {inside:.1f} s ({100 * inside / max(total, 1e-9):.0f} %)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", type=Path, help="results folder of a study that has been run")
    parser.add_argument("--figures", action="store_true", help="draw figures too")
    arguments = parser.parse_args()
    if arguments.study:
        measured(arguments.study)
    else:
        overhead(arguments.figures)
