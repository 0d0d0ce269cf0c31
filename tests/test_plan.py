"""The plan of a study: every point in one job, jobs of the wanted size, finished jobs kept when the grid changes."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proplim.config import parse_config
from proplim.schema import Point
from proplim.study import (
    Plan,
    Requests,
    draws_file,
    kept_points,
    load_draw,
    plan_as_started,
    plan_study,
    prepare_draw,
    save_plan,
    stage_of,
)

GRID = {"n_train": [10, 20], "width": [5, 7, 9], "temperature": [0.1, 1.0, 10.0], "lambda1": [1.0, 2.0]}


def config(grid: dict | None = None, **changes):
    content = {
        "study": "s",
        "datasets": [{"name": "g", "source": "gaussian", "n_features": 5, "n_test": 4}],
        "grid": grid or GRID,
        "dynamics": {"n_times": 5},
    }
    return parse_config({**content, **changes})


def points(jobs) -> Counter:
    """How many jobs hold each point."""
    found: Counter = Counter()
    for job in jobs:
        for block in job.blocks:
            names = [*block.point, *block.axes]
            for values in itertools.product(*([v] for v in block.point.values()), *block.axes.values()):
                found[tuple(sorted(zip(names, values, strict=True)))] += 1
    return found


def wanted(plan: Plan, stage: str) -> set:
    axes = plan.config.axes(stage)
    return {tuple(sorted(zip(axes, values, strict=True))) for values in itertools.product(*axes.values())}


def finish(plan: Plan, stage: str, names) -> None:
    """Pretend that jobs are done."""
    for name in names:
        path = Path(plan.result(plan.jobs[stage][name]))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("seconds", [1e-6, 0.5, 20.0, 1e9])
def test_every_point_is_in_exactly_one_job(folder, seconds):
    plan = plan_study(config(jobs={"seconds_per_job": seconds}))
    for stage, jobs in plan.jobs.items():
        found = points(jobs.values())
        assert set(found) == wanted(plan, stage)
        assert set(found.values()) == {1}
        assert len(jobs) == len({job.name for job in jobs.values()})


def test_work_is_cut_by_its_cost(folder):
    def n_jobs(stage, **changes):
        return len(plan_study(config(**changes)).jobs[stage])

    assert n_jobs("sampling", jobs={"seconds_per_job": 1e9}) == 1
    assert n_jobs("sampling", jobs={"seconds_per_job": 1e-6}) == 36
    assert n_jobs("sampling", jobs={"seconds_per_job": 1e9, "points_per_job": 5}) >= 36 / 5
    assert (
        max(j.n_points for j in plan_study(config(jobs={"points_per_job": 5})).jobs["sampling"].values()) <= 5
    )
    for seconds in (20.0, 60.0):
        plan = plan_study(config(jobs={"seconds_per_job": seconds}))
        jobs = plan.jobs["sampling"]
        costs = [Requests(plan).seconds("sampling", name) for name in jobs]
        single = plan_study(config(jobs={"seconds_per_job": 1e-6}))
        dearest = max(Requests(single).seconds("sampling", name) for name in single.jobs["sampling"])
        assert max(costs) <= 1.5 * seconds + dearest


def test_a_thousand_small_kernels_share_jobs(folder):
    """1000 kernels of 10 temperatures each: seconds of theory, not a thousand jobs."""
    grid = {
        "n_train": [10],
        "width": [5],
        "temperature": {"logspace": [0.01, 10, 10]},
        "seed": list(range(1000)),
    }
    plan = plan_study(config(grid))
    assert len(plan.jobs["theory"]) <= 10
    assert sum(job.n_points for job in plan.jobs["theory"].values()) == 10_000
    assert len(plan.batches) <= 20
    assert sum(map(len, plan.batches)) == 1000


def test_a_million_points_of_one_kernel_are_split_and_planned_in_seconds(folder):
    grid = {
        "n_train": [100],
        "width": list(range(10, 1010, 10)),
        "temperature": {"logspace": [1e-4, 1e2, 1000]},
        "lambda1": {"linspace": [0.5, 5, 10]},
    }
    plan = plan_study(config(grid, sampling={"enabled": False}, dynamics={"enabled": False}))
    jobs = plan.jobs["theory"]
    assert sum(job.n_points for job in jobs.values()) == 1_000_000
    assert 5 <= len(jobs) <= 100
    # T* of a width and lambda1 is found once: temperatures stay together.
    assert all(len(block.axes["temperature"]) == 1000 for job in jobs.values() for block in job.blocks)


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": [0.01, 0.1, 0.5, 1.0, 10.0]},
        {"width": [3, 5, 7, 9, 11]},
        {"n_train": [10, 20, 30]},
        {"lambda1": [0.5, 1.0, 2.0]},
        {"seed": [0, 1]},
        {"activation": ["erf", "linear"]},
        {"lambda0": [1.0, 3.0]},
        {
            "temperature": [0.01, 0.1, 1.0, 10.0],
            "width": [5, 7, 8, 9],
            "n_train": [5, 10, 20],
            "lambda1": [1.0, 2.0, 4.0],
        },
    ],
    ids=lambda change: "+".join(change),
)
@pytest.mark.parametrize("stage", ["theory", "sampling", "dynamics"])
def test_appending_to_any_axis_leaves_finished_jobs_and_adds_only_what_is_new(folder, stage, change):
    before = plan_study(config(jobs={"seconds_per_job": 20.0}))
    save_plan(before)
    finish(before, stage, before.jobs[stage])
    # More data and another cut of the work: what is done stays done.
    after = plan_study(config({**GRID, **change}, jobs={"seconds_per_job": 33.0}))
    kept = set(before.jobs[stage])
    assert kept <= set(after.jobs[stage])
    assert all(after.jobs[stage][name] == before.jobs[stage][name] for name in kept)
    new = points(job for name, job in after.jobs[stage].items() if name not in kept)
    assert set(new) == wanted(after, stage) - wanted(before, stage)
    assert set(new.values()) <= {1}


def test_another_data_set_leaves_finished_jobs(folder):
    before = plan_study(config())
    save_plan(before)
    finish(before, "theory", before.jobs["theory"])
    more = [{"name": n, "source": "gaussian", "n_features": 5, "n_test": 4} for n in ("g", "h")]
    after = plan_study(config(datasets=more))
    assert set(before.jobs["theory"]) <= set(after.jobs["theory"])
    assert all(name.startswith("h/") for name in set(after.jobs["theory"]) - set(before.jobs["theory"]))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_history_of_grids_covers_every_point_once(tmp_path_factory, data):
    """Grids grow and shrink, some jobs finish, the cut of the work changes: finished points are never done again."""
    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("history"))
    try:
        done: set = set()
        for _ in range(3):
            some = {
                name: data.draw(st.lists(st.sampled_from(values), min_size=1, unique=True))
                for name, values in {**GRID, "temperature": [0.1, 0.2, 0.5, 1.0, 10.0]}.items()
            }
            size = data.draw(st.sampled_from([1e-6, 5.0, 1e9]))
            plan = plan_study(config(some, jobs={"seconds_per_job": size}))
            save_plan(plan)
            jobs = plan.jobs["sampling"]
            assert wanted(plan, "sampling") <= set(points(jobs.values()))
            open_jobs = [n for n, job in jobs.items() if not Path(plan.result(job)).exists()]
            assert not set(points(jobs[n] for n in open_jobs)) & done
            finished = data.draw(st.lists(st.sampled_from(open_jobs), unique=True)) if open_jobs else []
            finish(plan, "sampling", finished)
            done |= set(points(jobs[n] for n in finished))
    finally:
        os.chdir(here)


def test_a_run_under_way_keeps_its_jobs(folder):
    """Half done and started again: no job changes its name, and jobs on a cluster find the plan of the run."""
    plan = plan_study(config(jobs={"seconds_per_job": 10.0}))
    save_plan(plan)
    finish(plan, "sampling", list(plan.jobs["sampling"])[1::2])
    again = plan_study(config(jobs={"seconds_per_job": 10.0}))
    assert set(again.jobs["sampling"]) == set(plan.jobs["sampling"])
    inside = plan_as_started(config(jobs={"seconds_per_job": 99.0}))
    assert inside.jobs == plan.jobs


def test_changed_settings_are_other_jobs_and_a_job_of_other_settings_is_refused(folder):
    before = plan_study(config())
    save_plan(before)
    finish(before, "sampling", before.jobs["sampling"])
    changed = config(sampling={"target_ess": 123})
    assert not set(plan_study(changed).jobs["sampling"]) & set(before.jobs["sampling"])
    assert plan_study(changed).jobs["theory"] == before.jobs["theory"]
    with pytest.raises(RuntimeError, match="configuration has changed"):
        plan_as_started(changed).job("sampling", next(iter(before.jobs["sampling"])))


def test_theory_without_peaks_is_other_jobs_of_less_work(folder):
    """With the cavity, T* is most of the work of few temperatures; results with and without are kept apart."""
    kinds = ["proportional", "cavity"]
    grid = {**GRID, "temperature": [1.0]}
    with_peaks, without = (
        plan_study(config(grid=grid, theory={"approximations": kinds, "peaks": peaks}))
        for peaks in (True, False)
    )
    assert not set(with_peaks.jobs["theory"]) & set(without.jobs["theory"])
    cost = [
        sum(Requests(plan).seconds("theory", name) for name in plan.jobs["theory"])
        for plan in (with_peaks, without)
    ]
    assert cost[1] < cost[0] / 3
    assert list(plan_study(config(grid=grid, theory={"approximations": kinds})).jobs["theory"]) == list(
        with_peaks.jobs["theory"]
    )


def test_results_without_a_ledger_are_found_by_name(folder, capsys):
    plan = plan_study(config())
    save_plan(plan)
    finish(plan, "theory", plan.jobs["theory"])
    (Path(plan.root) / "jobs.json").write_text('{"version": 1, "gran')
    assert set(plan_study(config()).jobs["theory"]) == set(plan.jobs["theory"])
    assert "cannot be read" in capsys.readouterr().err


def test_requests_grow_with_the_work(folder):
    def ask(stage, **grid):
        plan = plan_study(config({**GRID, **grid}, jobs={"seconds_per_job": 1e9}))
        (name,) = plan.jobs[stage]
        return (
            Requests(plan).memory_mb(stage, name),
            Requests(plan).seconds(stage, name),
            Requests(plan).runtime_minutes(stage, name),
        )

    for stage in ("theory", "sampling", "dynamics"):
        small, large = ask(stage), ask(stage, n_train=[10, 2000])
        assert large[0] > small[0] > 300
        assert large[1] > small[1] > 0
        assert large[2] >= small[2] >= 5
        assert 60 * small[2] > 2 * small[1]
    assert ask("sampling", width=[5, 7, 9, 500])[1] > ask("sampling")[1]


def test_a_changed_plugin_makes_its_activation_new_and_leaves_the_others(tmp_path):
    plugin = tmp_path / "swish_for_plans.py"
    content = copy_of_plugin_study(plugin.name)
    names = {}
    for slope in (1, 2):
        plugin.write_text(
            "from proplim.activations import register_activation, names\n"
            "import jax.numpy as jnp\n"
            "if 'swish_for_plans' not in names():\n"
            f"    register_activation('swish_for_plans', lambda h: h / (1 + jnp.exp(-{slope} * h)))\n"
        )
        plan = plan_study(parse_config(content, folders=[tmp_path]), [tmp_path])
        names[slope] = {
            b.point["activation"]: b.kernel for j in plan.jobs["theory"].values() for b in j.blocks
        }
    assert names[1]["erf"] == names[2]["erf"]
    assert names[1]["swish_for_plans"] != names[2]["swish_for_plans"]


def copy_of_plugin_study(plugin: str) -> dict:
    return {
        "study": "plugged",
        "plugins": [plugin],
        "datasets": [{"name": "g", "source": "gaussian", "n_features": 4}],
        "grid": {
            "n_train": [8],
            "width": [6],
            "temperature": [1.0],
            "activation": ["erf", "swish_for_plans"],
        },
        "sampling": {"enabled": False},
        "dynamics": {"enabled": False},
    }


def test_sampled_points_of_an_unfinished_job_are_counted_one_by_one(folder):
    plan = plan_study(config(jobs={"seconds_per_job": 1e9}))
    (job,) = plan.jobs["sampling"].values()
    assert kept_points(plan, job) == 0
    for file, draw in plan.draws.items():
        prepare_draw(plan, draw, file)
    assert kept_points(plan, job) == 0
    block = job.blocks[0]
    identity = load_draw(plan.draw_of(block).file).identity
    for width, temperature in ((5, 0.1), (9, 10.0)):
        point = Point.of({**block.point, "width": width, "temperature": temperature, "lambda1": 2.0})
        stage = stage_of("sampling")
        file = draws_file(Path(plan.root), point, identity, stage, stage.settings(plan.config))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert kept_points(plan, job) == 2
    # Files of other settings are not this study's.
    assert (
        kept_points(plan_study(config(jobs={"seconds_per_job": 1e9}, sampling={"target_ess": 500})), job) == 0
    )


def test_a_program_is_paid_for_once_in_a_job(folder):
    """Two seeds of one P and N share what is compiled; two widths do not."""

    def seconds(**axes) -> float:
        axis = {name: values for name, values in axes.items() if name != "seed"}
        grid = {**GRID, "n_train": [10], "width": [5], **axis, "seed": axes.get("seed", [0])}
        plan = plan_study(config(grid, jobs={"seconds_per_job": 1e9}))
        (name,) = plan.jobs["sampling"]
        return Requests(plan).seconds("sampling", name) - stage_of("sampling").start_seconds

    compiling = stage_of("sampling").compile_seconds
    one = seconds()
    assert one > compiling
    assert seconds(seed=[0, 1]) == pytest.approx(2 * one - compiling)
    assert seconds(width=[5, 5 + 1]) > 2 * one - 0.1 * compiling
