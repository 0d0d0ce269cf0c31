"""Results at any time: cubes of what is there, marked as partial, and completed by what is computed later."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from proplim.cli import main
from proplim.config import parse_config
from proplim.cube import PARTIAL, read_netcdf
from proplim.explore._data import pack_cubes
from proplim.figures import FIGURES
from proplim.figures._style import Style
from proplim.study import (
    collect_cube,
    plan_as_started,
    plan_study,
    prepare_draw,
    publish,
    run_job,
    save_plan,
    write_pages,
)

STUDY = {
    "study": "p",
    "datasets": [{"name": "g", "source": "gaussian", "n_features": 4, "n_test": 4}],
    "grid": {"n_train": [4, 6], "width": [3, 5], "temperature": [0.5, 2.0]},
    "theory": {"peaks": False},
    "sampling": {
        "grid": {"n_train": [4], "width": [3]},
        **{"chains": 2, "target_ess": 20, "max_rhat": 2.0, "warmup": 20, "min_draws": 50},
    },
    "dynamics": {"enabled": False},
    "figures": {"enabled": False},
    "jobs": {"points_per_job": 4},
}


def compute(content: dict, keep: float = 1.0, stages: tuple[str, ...] = ("theory", "sampling")) -> list[Path]:
    """A run that is killed after a share `keep` of the jobs of every stage; returns their results."""
    config = parse_config(content)
    save_plan(plan_study(config))
    plan = plan_as_started(config)
    for file, draw in plan.draws.items():
        if not Path(file).exists():
            prepare_draw(plan, draw, file)
    results = []
    for stage in stages:
        jobs = list(plan.jobs[stage].values())
        for job in jobs[: round(keep * len(jobs))]:
            if not Path(plan.result(job)).exists():
                run_job(plan, job, plan.result(job))
            results.append(Path(plan.result(job)))
    return results


def cube(stage: str) -> xr.Dataset:
    return read_netcdf(f"results/p/{stage}.nc")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_points_that_are_there_have_their_values_and_the_others_say_why_not(folder):
    results = compute(STUDY, keep=0.5, stages=("theory",))
    assert publish(parse_config(STUDY))
    theory = cube("theory")
    missing = theory.reason != 0
    assert theory.attrs[PARTIAL] == f"{int(missing.sum())} of 8 grid points are not computed"
    assert 0 < int(missing.sum()) < 8
    assert json.loads(theory.reason.attrs["meanings"])[int(theory.reason.max())] == "not computed"
    assert (theory.converged.where(missing).fillna(0) == 0).all()
    assert theory.mse.where(missing).isnull().all()
    assert not theory.mse.where(~missing, 0.0).isnull().any()
    assert cube("sampling").attrs[PARTIAL] == "2 of 2 grid points are not computed"
    assert cube("sampling").converged.sum() == 0
    oldest = min(r.stat().st_mtime for r in results)
    assert Path("results/p/theory.nc").stat().st_mtime < oldest, "the workflow will collect it again"
    # A later run completes them: what was partial is what it would have been at once.
    compute(STUDY, stages=("theory",))
    plan = plan_as_started(parse_config(STUDY))
    collect_cube(plan, "theory", plan.results("theory"), "whole.nc")
    whole = read_netcdf("whole.nc")
    assert PARTIAL not in whole.attrs
    xr.testing.assert_equal(theory.mse, whole.mse.where(~missing))
    assert publish(parse_config(STUDY))
    xr.testing.assert_equal(cube("theory"), whole)
    assert PARTIAL not in cube("theory").attrs


def test_sampled_points_of_a_job_that_was_killed_count(folder):
    compute(STUDY, stages=("sampling",))
    (result,) = Path("results/p/sampling/g").glob("*.points")
    result.unlink()
    kept = sorted(Path("results/p/draws/g").glob("*.nc"))
    assert len(kept) == 2
    kept[0].unlink()
    assert publish(parse_config(STUDY))
    sampling = cube("sampling")
    assert sampling.attrs[PARTIAL] == "1 of 2 grid points are not computed"
    there = sampling.centroid_distance_sq.sel(statistic="mean", split="train").squeeze()
    assert int(there.notnull().sum()) == 1
    compute(STUDY, stages=("sampling",))
    plan = plan_as_started(parse_config(STUDY))
    collect_cube(plan, "sampling", plan.results("sampling"), "whole.nc")
    whole = read_netcdf("whole.nc").centroid_distance_sq.sel(statistic="mean", split="train").squeeze()
    xr.testing.assert_equal(there, whole.where(there.notnull()))


def test_results_of_other_settings_and_damaged_ones_are_left_out(folder):
    results = compute(STUDY, stages=("theory",))
    assert publish(parse_config(STUDY))
    assert not publish(parse_config({**STUDY, "theory": {"peaks": True}})), "another study's numbers"
    results[0].write_bytes(results[0].read_bytes()[:-3])
    assert publish(parse_config(STUDY))
    assert PARTIAL in cube("theory").attrs
    # More of the grid is asked for than was: what is there stays.
    more = {**STUDY, "grid": {**STUDY["grid"], "temperature": [0.5, 2.0, 4.0]}}
    assert publish(parse_config(more))
    assert int((cube("theory").reason == 0).sum()) == 8 - _points_of(results[0])
    assert cube("theory").sizes["temperature"] == 3


def _points_of(result: Path) -> int:
    plan = plan_as_started(parse_config(STUDY))
    return next(job.n_points for job in plan.jobs["theory"].values() if plan.result(job) == str(result))


def test_a_point_that_failed_says_its_own_reason(folder, monkeypatch):
    import proplim.theory

    def broken(*arguments, **keys):
        raise ArithmeticError("overflow of an invented kind")

    with monkeypatch.context() as patch:
        patch.setattr(proplim.theory, "solve_grid", broken)
        compute(STUDY, keep=0.5, stages=("theory",))
    assert publish(parse_config(STUDY))
    theory = cube("theory")
    meanings = json.loads(theory.reason.attrs["meanings"])
    assert {meanings[int(code)] for code in np.unique(theory.reason)} == {
        "not computed",
        "ArithmeticError: overflow of an invented kind",
    }


def test_everything_drawn_from_a_partial_cube_says_so(folder):
    compute(STUDY, keep=0.5, stages=("theory",))
    publish(parse_config(STUDY))
    cubes = {"theory": cube("theory")}
    missing = f"theory: {cubes['theory'].attrs[PARTIAL]}"
    _, page = next(iter(FIGURES.get("class_distance").draw(cubes, Style())))
    assert f"partial, {missing}" in page._supxlabel.get_text().replace("\n", "   ·   ")
    assert any(note.startswith(missing) for note in pack_cubes(cubes, 10**6)["notes"])
    plan = plan_study(parse_config(STUDY))
    text = write_pages(plan, {"theory": "results/p/theory.nc"})[0].read_text()
    assert "Partial results." in text
    assert missing in text


def test_without_any_result_there_is_nothing_to_collect(folder, capsys):
    import yaml

    Path("p.yaml").write_text(yaml.safe_dump(STUDY))
    with pytest.raises(SystemExit) as stopped:
        main(["collect", "p.yaml", "--directory", str(folder)])
    assert stopped.value.code == 2
    assert "a folder in which results/p has results" in capsys.readouterr().err
    assert not os.path.exists("results/p/theory.nc")


def test_figures_that_cannot_be_drawn_leave_no_folder_that_passes_for_them(folder, monkeypatch):
    """Snakemake takes a folder that is there and young for finished; the old one stays until a whole one is drawn."""
    compute(STUDY)
    config = parse_config({**STUDY, "figures": {"formats": ["png"]}})

    def fails(cubes: object, target: str | Path, **options: object) -> None:
        Path(target).mkdir(parents=True)
        Path(target, "half.png").touch()
        raise ValueError("no")

    with monkeypatch.context() as patched:
        patched.setattr("proplim.study._partial.draw_study", fails)
        with pytest.raises(ValueError, match="no"):
            publish(config)
    assert not Path("results/p/figures").exists()
    assert publish(config)
    drawn = sorted(file.name for file in Path("results/p/figures").iterdir())
    assert any(name.endswith(".png") for name in drawn)
    with monkeypatch.context() as patched:
        patched.setattr("proplim.study._partial.draw_study", fails)
        with pytest.raises(ValueError, match="no"):
            publish(config)
    assert sorted(file.name for file in Path("results/p/figures").iterdir()) == drawn
    assert not list(Path("results/p").glob(".figures*"))
