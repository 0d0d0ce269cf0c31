"""What the workflow costs beside the science: overhead per grid point, and predicted against measured jobs.

    python benchmarks/workflow.py                         # theory-only studies of 10, 100, 1000 and 10,000 points
    python benchmarks/workflow.py --run config.yaml       # a study run afresh, compiling too: where the time goes
    python benchmarks/workflow.py --study results/digits  # a study that has been run: predicted and measured jobs
    python benchmarks/workflow.py --calibrate             # single points: predicted and measured
    python benchmarks/workflow.py --compilation           # many jobs of one shape: first run, and other temperatures

Overhead is all the time that is not theory, sampling or dynamics: starts and imports, Snakemake, data, cubes, figures,
pages, cores without work, and the compilation of JAX programs, which is listed on its own. Wall times say something on
an idle machine only, processor times on any.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
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


def run(folder: Path, content: dict, cores: int = 1, **variables: str) -> tuple[float, float]:
    """Run a study, with environment `variables`; wall seconds, and processor seconds of all its processes."""
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "study.yaml"), "--cores", str(cores)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **variables}
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # modules are compiled once for all processes, as for a user
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, cpu


def science_by_stage(root: Path) -> dict[str, float]:
    """Stage -> processor seconds of its points, compilation too."""
    found: dict[str, float] = {}
    for path in sorted(root.glob("*/*/*.points")):
        found[path.parts[-3]] = found.get(path.parts[-3], 0.0) + _about(path)["cpu_seconds"]
    return found


def science_seconds(root: Path) -> tuple[float, float, float]:
    """Wall and processor seconds of theory, sampling and dynamics, and processor seconds of compilation among them.

    Compilation is measured by the clock; its processor time is the same share of the stage's.
    """
    wall = cpu = compiling = 0.0
    for about in (_about(path) for path in sorted(root.glob("*/*/*.points"))):
        seconds = sum(json.loads(about["block_seconds"]))
        share = min(1.0, about.get("compile_seconds", 0.0) / max(seconds, 1e-9))
        wall += seconds
        cpu += about["cpu_seconds"]
        compiling += share * about["cpu_seconds"]
    return wall, cpu, compiling


def rule_seconds(folder: Path) -> dict[str, tuple[int, float]]:
    """Rule -> number of jobs and their wall seconds together, as Snakemake has noted them."""
    jobs: dict[tuple[str, float], float] = {}  # each output of a job is noted by itself
    for file in (folder / ".snakemake/metadata").rglob("*"):
        if file.is_file():
            noted = json.loads(file.read_text())
            key = noted["rule"], noted["endtime"]
            jobs[key] = min(jobs.get(key, noted["starttime"]), noted["starttime"])
    found: dict[str, tuple[int, float]] = {}
    for (rule, end), start in sorted(jobs.items()):
        count, seconds = found.get(rule, (0, 0.0))
        found[rule] = count + 1, seconds + end - start
    return found


def processor_seconds(root: Path) -> dict[str, tuple[int, float]]:
    """Folder or file of logs -> number of jobs and their processor seconds together, as they say at their end."""
    found: dict[str, tuple[int, float]] = {}
    for log in sorted((root / "logs").rglob("*.log")):
        said = re.findall(r"^done after .* s, (.*) s of processor time$", log.read_text(), re.MULTILINE)
        kind = log.relative_to(root / "logs").parts[0].removesuffix(".log")
        count, seconds = found.get(kind, (0, 0.0))
        found[kind] = count + len(said), seconds + sum(map(float, said))
    return found


def decompose(configuration: Path, cores: int) -> None:
    """Run a study in a folder of its own, compiling everything, and print where its time goes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        content = yaml.safe_load(configuration.read_text())
        load = os.getloadavg()[0]
        wall, cpu = run(folder, content, cores, PROPLIM_CACHE=str(folder / "cache"), OMP_NUM_THREADS="1")
        root = folder / "results" / content["study"]
        _, science, compiling = science_seconds(root)
        stages = science_by_stage(root)
        rules, jobs = rule_seconds(folder), processor_seconds(root)
    print(f"{configuration}, {cores} cores, load of the machine before {load:.1f}")
    print(f"wall {wall:.1f} s; processor {cpu:.1f} s, {100 * cpu / wall / cores:.0f} % of the cores")
    rest = cpu - science
    for what, seconds in (
        ("theory, sampling, dynamics", science - compiling),
        ("compilation", compiling),
        ("everything else", rest),
    ):
        print(f"  {what:28} {seconds:8.1f} s {100 * seconds / cpu:6.1f} % of the processor time")
    over = rest + compiling
    print(
        f"overhead {100 * over / cpu:.1f} % of the processor time, {100 * rest / cpu:.1f} % without compilation"
    )
    print(
        f"overhead {100 * (1 - (science - compiling) / (cores * wall)):.1f} % of the wall time of all cores, "
        f"{100 * (1 - science / (cores * wall)):.1f} % without compilation (on an idle machine)"
    )
    print("everything else, by the processor:")
    own = {kind: (count, seconds - stages.get(kind, 0.0)) for kind, (count, seconds) in jobs.items()}
    for kind, (count, seconds) in own.items():
        print(
            f"  {kind:28} {count:4d} jobs {seconds:8.2f} s{' beside the science' if kind in stages else ''}"
        )
    print(f"  {'Snakemake, its report':28} {'':9} {rest - sum(s for _, s in own.values()):8.2f} s")
    print("everything, by the clock:")
    for rule, (count, seconds) in rules.items():
        print(f"  {rule:28} {count:4d} jobs {seconds:8.1f} s")


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
            science, science_cpu, _ = science_seconds(folder / "results/overhead")
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
    from proplim.study import Requests, plan_study

    cube = next(root.glob("*.nc"))
    with xr.open_dataset(cube) as opened:
        (root / ".benchmark.yaml").write_text(opened.attrs["configuration"])
    config = load_config(root / ".benchmark.yaml", data=False)
    (root / ".benchmark.yaml").unlink()
    os.chdir(root.resolve().parents[1])
    plan = plan_study(config)
    asks = Requests(plan)
    heads = (
        "points",
        "predicted s",
        "science s",
        "compiled s",
        "clock s",
        "asked min",
        "asked MB",
        "used MB",
    )
    print(
        f"{'stage':9} {heads[0]:>7}"
        + "".join(f" {h:>11}" for h in heads[1:5])
        + "".join(f" {h:>9}" for h in heads[5:7])
        + f" {heads[7]:>8}  job"
    )
    total, inside = 0.0, 0.0
    for stage, jobs in plan.jobs.items():
        for name, job in jobs.items():
            if not Path(plan.result(job)).exists():
                continue
            about = read_table(plan.result(job)).about
            inside += sum(json.loads(about["block_seconds"]))
            total += about["wall_time_seconds"]
            print(
                f"{stage:9} {job.n_points:7d} {asks.seconds(stage, name):11.1f} {about['cpu_seconds']:11.1f} "
                f"{about.get('compile_seconds', float('nan')):11.1f} {about['wall_time_seconds']:11.1f} "
                f"{asks.runtime_minutes(stage, name):9d} {asks.memory_mb(stage, name):9d} "
                f"{about.get('peak_memory_mb', float('nan')):8.0f}  {name}"
            )
    print(f"jobs {total:.1f} s, of which science {inside:.1f} s ({100 * inside / max(total, 1e-9):.0f} %)")


def compiled_study(name: str, temperatures: list[float]) -> dict:
    """One shape, a job for every point."""
    return {
        "study": name,
        "datasets": [{"name": "digits-3v8", "source": "digits", "classes": [3, 8], "n_test": 100}],
        "grid": {"n_train": [60], "width": [60], "temperature": temperatures},
        "theory": {"enabled": False},
        "sampling": {"target_ess": 50},
        "figures": {"enabled": False},
        "jobs": {"points_per_job": 1},
    }


def compilation() -> None:
    """Print what jobs of one shape compile: in a first run, and in a second one of other temperatures."""
    with tempfile.TemporaryDirectory() as place:
        folder, kept = Path(place), Path(place) / "cache"
        known = 0
        for name, temperatures in (("first", [0.1, 0.2, 0.5, 1.0]), ("second", [0.15, 0.3, 0.7, 2.0])):
            _, cpu = run(folder, compiled_study(name, temperatures), 1, PROPLIM_CACHE=str(kept))
            programs = sum(file.is_file() for file in kept.rglob("*"))
            print(
                f"{name} run, {len(temperatures)} sampling jobs and a dynamics job: {cpu:.1f} s of processor time, "
                f"{programs - known} programs compiled, {_megabytes(kept):.1f} MB kept"
            )
            known = programs
            for path in sorted(
                (folder / "results" / name).glob("*/*/*.points"), key=lambda file: file.stat().st_mtime
            ):
                about = _about(path)
                print(
                    f"  {path.parts[-3]:9} {about['compile_seconds']:5.1f} s of tracing, compiling and loading"
                )


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*")) / 1e6


def _about(path: Path) -> dict:
    from proplim.cube import read_table

    return read_table(path).about


def calibrate() -> None:
    """Print predicted and measured processor seconds of single points, without compilation."""
    from proplim.study import stage_of
    from proplim.study._costs import block_seconds, kernel_seconds

    print(f"{'stage':24} {'P':>5} {'N':>5} {'T':>7} {'predicted s':>12} {'measured s':>11} {'ratio':>6}")
    for label, stage, size, axes, config, compute in _cases():
        compute()  # what is compiled or imported on the way is not counted
        used = time.process_time()
        compute()
        used = time.process_time() - used
        shared = kernel_seconds(size) if stage == "theory" else 0.0
        predicted = shared + float(block_seconds(stage_of(stage), size, axes, config).sum())
        print(
            f"{label:24} {size.n_train:5d} {axes['width'][0]:5d} {axes['temperature'][0]:7g} "
            f"{predicted:12.4f} {used:11.4f} {used / predicted:6.2f}",
            flush=True,
        )


def _cases() -> Iterator[tuple]:
    """Label, stage, size, axes, configuration and the computation of points that are fast to measure."""
    import proplim
    from proplim.config import parse_config
    from proplim.schema import Size

    digits = {"name": "digits-3v8", "source": "digits", "classes": [3, 8], "n_test": 100}
    for n in (60, 240):
        data = proplim.load_dataset("digits", n, classes=(3, 8), n_test=100)
        size = Size(n, 100, 64)

        def study(n: int = n, **changes: object) -> object:
            grid = {"n_train": [n], "width": [120], "temperature": [1.0]}
            return parse_config({"study": "costs", "datasets": [digits], "grid": grid, **changes})

        for name, activation, count in (
            ("infinite_width", "erf", 1000),
            ("proportional", "erf", 1000),
            ("cavity", "erf", 1),
            ("exact", "linear", 10),
        ):
            axes = {"width": [120], "temperature": np.geomspace(0.01, 10, count).tolist(), "lambda1": [1.0]}
            solve = partial(proplim.solve_grid, data, activation, **axes, lambda0=1.0, approximations=[name])
            yield f"theory {name}", "theory", size, axes, study(theory={"approximations": [name]}), solve
        network = {"width": 120, "lambda0": 1.0, "lambda1": 1.0}
        config = study()
        axes = {"width": [120], "temperature": [float("nan")], "lambda1": [1.0]}
        train = partial(proplim.train, data, "erf", **network, settings=config.dynamics.settings)
        yield "dynamics", "dynamics", size, axes, config, train
        for temperature in (0.01, 0.1, 1.0):
            axes = {"width": [120], "temperature": [temperature], "lambda1": [1.0]}
            sample = partial(proplim.sample_posterior, data, "erf", **network, temperature=temperature)
            settings = config.sampling.settings
            yield "sampling", "sampling", size, axes, config, partial(sample, settings=settings)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--study", type=Path, help="results folder of a study that has been run")
    parser.add_argument("--run", type=Path, help="configuration of a study to run and to take apart")
    parser.add_argument("--cores", type=int, default=2, help="cores of --run")
    parser.add_argument("--calibrate", action="store_true", help="single points: predicted and measured")
    parser.add_argument("--compilation", action="store_true", help="what jobs of one shape compile")
    parser.add_argument("--figures", action="store_true", help="draw figures too")
    arguments = parser.parse_args()
    if arguments.study:
        measured(arguments.study)
    elif arguments.run:
        decompose(arguments.run, arguments.cores)
    elif arguments.calibrate:
        calibrate()
    elif arguments.compilation:
        compilation()
    else:
        overhead(arguments.figures)
