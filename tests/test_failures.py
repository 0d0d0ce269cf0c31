"""A grid point that fails is NaN with a reason, takes nothing else with it, and is tried again by the next run."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from proplim.config import parse_config
from proplim.cube import read_netcdf
from proplim.errors import InvalidInput
from proplim.study import (
    collect_cube,
    convergence_summary,
    plan_as_started,
    plan_study,
    prepare_draw,
    run_job,
    save_plan,
    write_pages,
)

ROOT = Path(__file__).resolve().parents[1]
STUDY = {
    "study": "f",
    "datasets": [{"name": "g", "source": "gaussian", "n_features": 4, "n_test": 4}],
    "grid": {"n_train": [6], "width": [4, 5, 6], "temperature": [0.5, 1.0, 2.0, 4.0]},
    "sampling": {
        "grid": {"width": [5], "temperature": [0.5, 1.0]},
        "chains": 2,
        "target_ess": 20,
        "max_rhat": 2.0,
        "warmup": 20,
        "min_draws": 50,
        "keep_draws": False,
    },
    "dynamics": {"grid": {"width": [4, 5]}, "replicas": 1, "t_max": 0.1, "n_times": 3},
    "figures": {"enabled": False},
}


def run(stage: str, **changes) -> tuple[list[str], xr.Dataset]:
    """What a run of the workflow does for one stage: plan, note the plan, compute what is not there, collect."""
    config = parse_config({**STUDY, **changes})
    planned = plan_study(config)
    save_plan(planned)
    plan = plan_as_started(config)
    computed = []
    for file, draw in plan.draws.items():
        if not Path(file).exists():
            prepare_draw(plan, draw, file)
    for name in plan.jobs[stage]:
        job = plan.job(stage, name)
        if not Path(plan.result(job)).exists():
            run_job(plan, job, plan.result(job))
            computed.append(job)
    path = f"{plan.root}/{stage}.nc"
    collect_cube(plan, stage, plan.results(stage), path)
    cube = read_netcdf(path)
    return computed, cube.drop_attrs(deep=False).assign(reason=cube.reason)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


SINGULAR = np.linalg.LinAlgError("singular matrix")
FAILING = {
    # stage: (function, one of its points that fails)
    "theory": ("proplim.theory.solve_grid", {"width": 5, "temperature": 2.0}),
    "sampling": ("proplim.sampling.sample_posterior", {"width": 5, "temperature": 1.0}),
    "dynamics": ("proplim.dynamics.train", {"width": 5}),
}


def break_point(monkeypatch, stage: str, error: Exception = SINGULAR) -> None:
    """Make the computation of one point raise `error`."""
    where, point = FAILING[stage]
    module, name = where.rsplit(".", 1)
    real = getattr(sys.modules.get(module) or __import__(module, fromlist=[name]), name)

    def broken(*arguments, **keys):
        if all(value in np.atleast_1d(keys[d]) for d, value in point.items()):
            raise error
        return real(*arguments, **keys)

    monkeypatch.setattr(where, broken)


def split(cube: xr.Dataset, stage: str) -> tuple[xr.Dataset, xr.Dataset]:
    """The point that fails, and all others."""
    here = xr.ones_like(cube.reason, dtype=bool)
    for d, value in FAILING[stage][1].items():
        here = here & (cube[d] == value)
    values = cube[["centroid_distance_sq", "mse", "converged"]]
    return values.where(here, drop=True), values.where(~here)


@pytest.mark.parametrize(
    "stage", ["theory", *(pytest.param(s, marks=pytest.mark.slow) for s in ("sampling", "dynamics"))]
)
def test_only_what_failed_is_tried_again_and_the_rest_stays_to_the_bit(folder, monkeypatch, stage):
    with monkeypatch.context() as patch:
        break_point(patch, stage)
        first, cube = run(stage)
        kept = {
            p: (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.glob(f"results/f/{stage}/g/*.points")
        }
        lost, others = split(cube, stage)
        assert np.isnan(lost.centroid_distance_sq).all()
        assert (lost.converged == 0).all()
        assert json.loads(cube.reason.attrs["meanings"])[int(cube.reason.max())] == (
            "LinAlgError: singular matrix"
        )
        assert int((cube.reason > 0).sum()) == 1
        assert not np.isnan(others.centroid_distance_sq.sel(split="test")).all()
        # It fails for good: every run tries it once, and no file is left behind by the attempts.
        for _ in range(3):
            again, same = run(stage)
            assert sum(job.n_points for job in again) == 1
            xr.testing.assert_identical(same, cube)
            # A result, a note of what failed, and a list of files a job: those of attempts in vain do not pile up.
            assert len(list(folder.glob(f"results/f/{stage}/g/*"))) <= 3 * (len(first) + 1)
    mended, whole = run(stage)
    assert sum(job.n_points for job in mended) == 1
    assert (whole.reason == 0).all()
    assert not np.isnan(split(whole, stage)[0].centroid_distance_sq).any()
    xr.testing.assert_identical(split(whole, stage)[1], others)
    assert kept == {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in kept}
    assert run(stage)[0] == [], "nothing is left to be done"
    # The same study without any failure.
    (folder / "fresh").mkdir()
    monkeypatch.chdir(folder / "fresh")
    xr.testing.assert_identical(run(stage)[1], whole)


def test_a_job_all_of_whose_points_failed_is_tried_again_under_another_name(folder, monkeypatch):
    study = {"grid": {**STUDY["grid"], "width": [5], "temperature": [2.0]}, "sampling": {}, "dynamics": {}}
    with monkeypatch.context() as patch:
        break_point(patch, "theory")
        names = [run("theory", **study)[0][0].name for _ in range(4)]
        assert all(a != b for a, b in itertools.pairwise(names))
        assert len(list(folder.glob("results/f/theory/g/*.points"))) == 1
    _, cube = run("theory", **study)
    assert (cube.reason == 0).all()
    assert list(folder.glob("results/f/theory/g/*.failed")) == []
    assert run("theory", **study)[0] == []


def test_appending_to_the_grid_tries_again_in_the_same_run(folder, monkeypatch):
    with monkeypatch.context() as patch:
        break_point(patch, "theory")
        run("theory")
    more = {**STUDY["grid"], "width": [4, 5, 6, 7]}
    computed, cube = run("theory", grid=more)
    assert sum(job.n_points for job in computed) == 1 + 4
    assert (cube.reason == 0).all()


def test_an_input_that_is_not_allowed_is_an_answer_and_not_tried_again(folder, monkeypatch):
    break_point(monkeypatch, "dynamics", InvalidInput("learning_rate", 9.0, "below the limit of stability"))
    _, cube = run("dynamics")
    meanings = json.loads(cube.reason.attrs["meanings"])
    assert "learning_rate: 9.0 is not allowed" in meanings[int(cube.reason.max())]
    assert run("dynamics")[0] == []


@pytest.mark.parametrize("error", [MemoryError("no room"), OSError(5, "Input/output error")])
def test_trouble_with_the_machine_fails_the_job_and_leaves_no_result(folder, monkeypatch, error):
    break_point(monkeypatch, "theory", error)
    with pytest.raises(type(error)):
        run("theory")
    assert list(folder.glob("results/f/theory/g/*")) == []


def test_a_kernel_that_fails_is_not_searched_point_by_point(folder, monkeypatch):
    calls = []

    def broken(*arguments, **keys):
        calls.append(keys)
        raise np.linalg.LinAlgError("eigenvalues did not converge")

    monkeypatch.setattr("proplim.theory._solve.build_spectrum", broken)
    monkeypatch.setattr("proplim.theory.build_spectrum", broken)
    _, cube = run("theory")
    assert len(calls) == 2
    assert (cube.converged == 0).all()
    summary = convergence_summary(cube, "theory")
    assert summary["converged"] == 0
    assert "eigenvalues did not converge" in summary["short"][0]


def test_exact_of_networks_that_are_not_linear_falls_short_of_nothing(folder):
    """It is NaN there with converged = 0, as every value that is missing, but no point of the study is in trouble."""
    grid = {**STUDY["grid"], "activation": ["linear", "erf"]}
    _, cube = run("theory", grid=grid, theory={"approximations": ["proportional", "exact"]})
    exact = cube.converged.sel(approximation="exact")
    assert (exact.sel(activation="erf") == 0).all()
    summary = convergence_summary(cube, "theory")
    assert summary["converged"] == summary["points"] == cube.reason.size
    for activation, approximation in (("erf", "proportional"), ("linear", "exact")):
        cube.converged.loc[{"activation": activation, "approximation": approximation}] = 0
        short = convergence_summary(cube, "theory")["short"]
        assert any(f"activation = {activation}" in text and f"({approximation})" in text for text in short)


def test_without_peaks_everything_but_the_peaks_is_as_with_them(folder):
    _, full = run("theory")
    _, cube = run("theory", study="g", theory={"peaks": False})
    peaks = [name for name in cube.data_vars if str(name).startswith("peak_")]
    assert len(peaks) == 3
    assert all(cube[name].isnull().all() for name in peaks)
    xr.testing.assert_identical(cube.drop_vars(peaks), full.drop_vars(peaks))


def test_a_note_that_was_damaged_costs_the_retry_and_nothing_else(folder, monkeypatch):
    with monkeypatch.context() as patch:
        break_point(patch, "theory")
        _, cube = run("theory")
    (note,) = folder.glob("results/f/theory/g/*.failed")
    note.write_bytes(note.read_bytes()[:20])
    computed, same = run("theory")
    assert computed == []
    xr.testing.assert_identical(same, cube)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"version": 0}', bytes(range(256))])
def test_a_damaged_ledger_loses_nothing_that_was_computed(folder, capsys, damage):
    _, cube = run("theory")
    tables = {p: p.stat().st_mtime_ns for p in folder.glob("results/f/theory/g/*")}
    (folder / "results/f/jobs.json").write_bytes(damage)
    computed, same = run("theory")
    assert computed == []
    assert "jobs are planned afresh" in capsys.readouterr().err
    assert tables == {p: p.stat().st_mtime_ns for p in folder.glob("results/f/theory/g/*")}
    xr.testing.assert_identical(same, cube)


def test_prepared_data_that_were_damaged_or_lost_are_prepared_again(folder, capsys):
    _, cube = run("theory")
    (data,) = folder.glob("results/f/datasets/g/*.nc")
    before = data.read_bytes()
    plan = plan_study(parse_config(STUDY))
    (job,) = plan.jobs["theory"].values()
    for damage in (lambda: data.write_bytes(before[: len(before) // 2]), data.unlink):
        damage()
        run_job(plan, job, plan.result(job))
        assert "preparing it again" in capsys.readouterr().err
    collect_cube(plan, "theory", plan.results("theory"), "again.nc")
    xr.testing.assert_equal(read_netcdf("again.nc"), cube)


def test_the_report_names_what_failed_and_escapes_it(folder, monkeypatch):
    break_point(monkeypatch, "dynamics", ArithmeticError("0 < <b>1</b>"))
    run("dynamics")
    plan = plan_study(parse_config(STUDY))
    page = write_pages(plan, {"dynamics": "results/f/dynamics.nc"})[0].read_text()
    assert "dynamics: what fell short, and why" in page
    assert "width = 5: ArithmeticError: 0 &lt; &lt;b&gt;1" in page
    assert "width = 4" not in page


PLUGIN = """
from pathlib import Path
import proplim.theory

real = proplim.theory.solve_grid


def solve_grid(*arguments, **keys):
    if 2.0 in keys["temperature"] and not Path("mended").exists():
        raise ArithmeticError("overflow of an invented kind")
    return real(*arguments, **keys)


proplim.theory.solve_grid = solve_grid
"""


@pytest.mark.slow
def test_the_workflow_tries_again_what_failed_and_then_has_nothing_to_do(folder):
    only_theory = {"sampling": {"enabled": False}, "dynamics": {"enabled": False}, "plugins": ["break.py"]}
    (folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, **only_theory}))
    (folder / "break.py").write_text(PLUGIN)

    def snakemake() -> str:
        done = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "snakemake",
                    "-s",
                    str(ROOT / "Snakefile"),
                    "--directory",
                    str(folder),
                ),
                *("--configfile", str(folder / "study.yaml"), "--cores", "2"),
            ],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stderr

    said = snakemake()
    assert "theory: 9 of 12 grid points converged" in said
    assert "temperature = 2.0: ArithmeticError: overflow of an invented kind" in said
    assert "3 grid point(s) failed; the same command tries them again" in said
    before = read_netcdf(folder / "results/f/theory.nc")
    tables = {p: p.stat().st_mtime_ns for p in folder.glob("results/f/theory/g/*.points")}
    (folder / "mended").touch()
    said = snakemake()
    assert "theory: 12 of 12 grid points converged" in said
    assert "failed" not in said
    assert tables == {p: p.stat().st_mtime_ns for p in tables}
    after = read_netcdf(folder / "results/f/theory.nc")
    assert (after.reason == 0).all()
    fine = (before.reason == 0).all(["width"]).squeeze(drop=True)
    xr.testing.assert_identical(
        after.isel(temperature=fine.values)[["mse", "order_parameter"]].drop_attrs(),
        before.isel(temperature=fine.values)[["mse", "order_parameter"]].drop_attrs(),
    )
    assert "Nothing to be done" in snakemake()
