"""Large studies: many files, large cubes, and values that do not depend on how the work was cut."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from proplim.cube import (
    DamagedFile,
    assemble_cube,
    point_table,
    read_netcdf,
    read_table,
    write_cube,
    write_table,
)
from proplim.cube._assemble import CHUNK, chunk_shape
from proplim.observables import variables_of

ROOT = Path(__file__).resolve().parents[1]
POINT = {"dataset": "a", "activation": "erf", "n_train": 10, "lambda0": 1.0, "seed": 0}
OWN = {"approximation": ["infinite_width", "proportional"]}


def theory_block(width: list, temperature: list, lambda1: list, only: tuple[str, ...] = ()) -> xr.Dataset:
    """A result that tells its points apart, with every variable of the theory, or some."""
    axes = {"width": width, "temperature": temperature, "lambda1": lambda1}
    w, t, k = np.meshgrid(*axes.values(), indexing="ij")
    base = (w + 1e-3 * np.log(t) + 1e-6 * k) * np.ones((2, 1, 1, 1)) + np.arange(2).reshape(2, 1, 1, 1)
    data = {}
    for v in (v for v in variables_of("theory") if not only or v.name in only):
        dims = [d for d in ("approximation", *axes) if d not in v.without]
        values = base[:, :, 0] if "temperature" in v.without else base
        extra = (2,) * len(v.dims)
        values = np.broadcast_to(values.reshape(*values.shape, *(1,) * len(extra)), (*values.shape, *extra))
        data[v.name] = ((*dims, *v.dims), np.ones(values.shape) if v.name == "converged" else values)
    return xr.Dataset(data, coords={**axes, **OWN, "split": ["train", "test"], "label": [-1, 1]})


def axes_of(width: list, temperature: list, lambda1: list) -> dict:
    one = {name: [value] for name, value in POINT.items()}
    every = {**one, "width": width, "temperature": temperature, "lambda1": lambda1}
    names = ("dataset", "activation", "n_train", "width", "temperature", "lambda0", "lambda1", "seed")
    return {name: every[name] for name in names}


def test_a_cube_on_disk_is_the_one_in_memory_however_little_memory_it_gets(tmp_path):
    width, temperature, lambda1 = [5, 6, 7], [0.1, 1.0], [1.0, 2.0]
    tables = [point_table([(POINT, theory_block([w], temperature, lambda1))], "theory") for w in width]
    paths = [write_table(table, tmp_path / f"{i}.points") for i, table in enumerate(tables)]
    axes = axes_of(width, temperature, lambda1)
    expected = assemble_cube("theory", axes, OWN, tables)
    for memory in (2**30, 1000, 1):
        written = read_netcdf(write_cube(tmp_path / "cube.nc", "theory", axes, OWN, paths, {}, memory=memory))
        xr.testing.assert_equal(expected, written)
        for name in expected.variables:
            assert written[name].attrs == expected[name].attrs
            assert written[name].dtype == expected[name].dtype or expected[name].dtype.kind == "U"


def test_damaged_tables_are_known_and_made_again(tmp_path):
    axes = axes_of([5], [0.1, 1.0], [1.0])
    table = point_table([(POINT, theory_block([5], [0.1, 1.0], [1.0]))], "theory")
    path = write_table(table, tmp_path / "t.points")
    raw = path.read_bytes()
    for broken in (b"", raw[:40], raw[:-1], raw[:-9] + b"x" + raw[-8:], raw[:300] + b"x" + raw[301:]):
        path.write_bytes(broken)
        with pytest.raises(DamagedFile, match=r"t\.points"):
            read_table(path)
        again: list[Path] = []

        def repair(damaged: Path, again: list[Path] = again) -> None:
            again.append(damaged)
            damaged.write_bytes(raw)

        cube = read_netcdf(write_cube(tmp_path / "c.nc", "theory", axes, OWN, [path], {}, repair=repair))
        assert again == [path]
        assert (cube.converged == 1).all()


def test_chunks_are_about_a_megabyte_and_hold_whole_curves():
    dims = ("width", "temperature", "lambda1", "approximation", "split")
    assert chunk_shape(dims, (100, 1000, 10, 2, 2))[1:] == [1000, 1, 2, 2]
    for shape in ((100, 1000, 10, 2, 2), (3, 7, 1, 1, 1), (1, 10**6, 1, 2, 2), (10**5, 4, 5, 2, 2)):
        chunk = chunk_shape(dims, shape)
        assert np.prod(chunk) <= CHUNK
        assert all(1 <= c <= n for c, n in zip(chunk, shape, strict=True))
        assert np.prod(chunk) > CHUNK / 4 or chunk == list(shape)


@pytest.mark.slow
def test_a_thousand_files_are_collected_at_once(tmp_path):
    """Share of 10,000 files in a minute, with room for a loaded machine: a thousand in ten seconds."""
    width, temperature = list(range(1, 41)), [float(t) for t in np.geomspace(0.01, 10, 25)]
    paths = []
    for w in width:
        whole = theory_block([w], temperature, [1.0])
        for t in temperature:
            path = tmp_path / f"{w}-{t:.4g}.points"
            paths.append(write_table(point_table([(POINT, whole.sel(temperature=[t]))], "theory"), path))
    started = time.process_time()
    axes = axes_of(width, temperature, [1.0])
    write_cube(tmp_path / "cube.nc", "theory", axes, OWN, paths, {})
    seconds = time.process_time() - started
    cube = read_netcdf(tmp_path / "cube.nc")
    assert (cube.converged == 1).all()
    assert float(
        cube.mse.sel(width=17, temperature=temperature[3], split="test").isel(approximation=1).item()
    ) == (17 + 1e-3 * np.log(temperature[3]) + 1e-6 + 1)
    assert seconds < 10


MILLION = """
import resource, sys, time
from pathlib import Path
import numpy as np
sys.path[:0] = [{tests!r}]
from test_scale import OWN, POINT, axes_of, theory_block
from proplim.cube import point_table, write_cube, write_table
folder = Path({folder!r})
width, temperature = [10 * i for i in range(1, 101)], [float(t) for t in np.geomspace(1e-3, 1e2, 1000)]
lambda1 = [float(v) for v in range(1, 11)]
paths = []
for i in range(0, 100, 5):
    some = ("centroid_distance_sq", "gyration_radius_sq", "converged")
    table = point_table([(POINT, theory_block(width[i:i + 5], temperature, lambda1, some))], "theory")
    paths.append(write_table(table, folder / f"{{i}}.points"))
    del table
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_cube(folder / "cube.nc", "theory", axes_of(width, temperature, lambda1), OWN, paths, {{}}, memory=2**27)
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_a_million_points_make_one_cube_that_opens_lazily(tmp_path):
    script = MILLION.format(tests=str(ROOT / "tests"), folder=str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    before_kb, peak_kb = map(int, done.stdout.split())
    started, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with xr.open_dataset(tmp_path / "cube.nc") as cube:
        assert cube.sizes["temperature"] * cube.sizes["width"] * cube.sizes["lambda1"] == 1_000_000
        here = cube.centroid_distance_sq.sel(
            width=500, lambda1=3.0, approximation="proportional", split="train"
        )
        curve = here.isel(dataset=0, activation=0, n_train=0, lambda0=0, seed=0).load()
        size = sum(variable.nbytes for variable in cube.data_vars.values())
    assert time.process_time() - started < 1.0
    # An eighth of a gigabyte of the cube at a time, and a quarter of that for tables.
    assert size > 400e6
    assert 1024 * (peak_kb - before_kb) < 0.75 * size, (before_kb, peak_kb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 200_000
    np.testing.assert_array_equal(curve, 500 + 1e-3 * np.log(curve.temperature) + 3e-6 + 1)


STUDY = {
    "study": "s",
    "datasets": [{"name": "g", "source": "gaussian", "n_features": 6, "n_test": 4}],
    "sampling": {"chains": 2, "target_ess": 50, "max_rhat": 1.5},
    "dynamics": {"replicas": 2, "t_max": 1.0, "n_times": 5},
    "figures": {"enabled": False},
}


def snakemake(folder: Path, content: dict, *arguments: str) -> str:
    """Run a study in `folder`; what Snakemake said."""
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, **content}))
    command = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "study.yaml"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr + done.stdout


IN_ONE_PROCESS = """
from proplim.config import load_config
from proplim.study import collect_cube, plan_study, prepare_draw, run_job, save_plan
plan = plan_study(load_config("study.yaml"))
for file, draw in plan.draws.items():
    prepare_draw(plan, draw, file)
for stage, jobs in plan.jobs.items():
    for job in jobs.values():
        run_job(plan, job, plan.result(job), threads=1)
    collect_cube(plan, stage, plan.results(stage), f"{plan.root}/{stage}.nc")
"""


def in_one_process(folder: Path, content: dict) -> None:
    """Make the cubes of a study without Snakemake, all jobs one after the other in one process."""
    folder.mkdir()
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, **content}))
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", IN_ONE_PROCESS]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def results(folder: Path) -> dict[Path, int]:
    """Time of change of every result that costs something."""
    kept = [*folder.glob("results/s/*/*/*.points"), *folder.glob("results/s/d*/*/*.nc")]
    return {path: path.stat().st_mtime_ns for path in kept}


@pytest.mark.slow
def test_values_depend_neither_on_the_cut_nor_on_cores_nor_on_the_rest_of_the_grid(tmp_path):
    """A study grown in two steps, first point by point, is the one made in one process on two cores, to the bit."""
    small = {"n_train": [8], "width": [5], "temperature": [0.3, 2.0]}
    large = {"n_train": [8, 12], "width": [5, 6], "temperature": [0.1, 0.3, 2.0], "lambda1": [1.0, 2.0]}
    sampled = {"width": [5], "lambda1": [1.0], "n_train": [8]}
    trained = {"lambda1": [1.0], "n_train": [8]}
    step, whole = tmp_path / "step", tmp_path / "whole"
    grown = {
        "grid": large,
        "sampling": {**STUDY["sampling"], "grid": sampled},
        "dynamics": {**STUDY["dynamics"], "grid": trained},
    }
    singly = {"seconds_per_job": 1e-6, "points_per_job": 1}
    snakemake(step, {"grid": small, "jobs": singly}, "--cores", "1")
    before = results(step)
    assert len([p for p in before if p.suffix == ".points"]) == 2 + 2 + 1

    # What is finished is not computed again, whatever the new cut of the work is.
    said = snakemake(step, {**grown, "jobs": {"seconds_per_job": 100}}, "--cores", "1")
    done = set(re.findall(r"(?:Solving the theory|Sampling posteriors|Training networks): g, (\S+)", said))
    assert done
    assert not done & {path.stem for path in before}
    assert {path: when for path, when in results(step).items() if path in before} == before

    # Figure options are nobody else's business.
    figures = {"enabled": False, "dpi": 99}
    assert "Nothing to be done" in snakemake(step, {**grown, "figures": figures}, "--cores", "1")

    in_one_process(whole, {**grown, "jobs": {"seconds_per_job": 1e9, "threads": 2}})
    assert len(list(whole.glob("results/s/*/*/*.points"))) == 3
    for stage in ("theory", "sampling", "dynamics"):
        first, second = (read_netcdf(folder / f"results/s/{stage}.nc") for folder in (step, whole))
        assert int(first.converged.sum()) > 0
        xr.testing.assert_equal(first, second)
        assert first.attrs["content_sha256"] == second.attrs["content_sha256"]

    # A smaller grid again: only the cube is made anew, from what is there.
    kept = results(step)
    off = {"enabled": False}
    snakemake(
        step, {"grid": {**small, "temperature": [0.3]}, "sampling": off, "dynamics": off}, "--cores", "1"
    )
    assert results(step) == kept
    assert read_netcdf(step / "results/s/theory.nc").sizes["temperature"] == 1
