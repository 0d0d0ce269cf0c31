"""The table of axes: every axis enters what depends on it, and two ways to write a value are one value."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from proplim.config import parse_config
from proplim.errors import InvalidInput
from proplim.schema import (
    AXES,
    POINT_AXES,
    STAGES,
    Point,
    axes_of,
    grid_dims,
    job_axes,
    kernel_axes,
    same_value,
)
from proplim.study import Plan, Workspace, plan_study, stage_of
from proplim.study._identity import point_hash

DATA = [{"name": n, "source": "gaussian", "n_features": 4, "n_test": 4} for n in ("g", "h")]
OTHER = {
    "dataset": "h",
    "activation": "linear",
    "n_train": 7,
    "width": 6,
    "temperature": 2.0,
    "lambda0": 3.0,
    "lambda1": 3.0,
    "seed": 1,
}
ONE = {"dataset": "g", "activation": "erf", "n_train": 6, "width": 5, "temperature": 1.0}
ONE |= {"lambda0": 1.0, "lambda1": 1.0, "seed": 0}


def plan_of(point: dict) -> Plan:
    """The plan of a study of one point."""
    name = point["dataset"]
    grid = {key: [value] for key, value in point.items() if key != "dataset"}
    # The other data set differs by its features, as data sets are told apart by what they hold.
    data = {**DATA[0], "name": name, "n_features": 4 if name == "g" else 5}
    return plan_study(parse_config({"study": "one", "datasets": [data], "grid": grid}))


def test_the_test_knows_another_value_of_every_axis():
    assert set(OTHER) == set(ONE) == set(POINT_AXES)
    assert all(not same_value(name, ONE[name], OTHER[name]) for name in POINT_AXES)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("axis", list(POINT_AXES))
def test_every_axis_enters_every_hash_of_every_stage_that_has_it(tmp_path, monkeypatch, stage, axis):
    monkeypatch.chdir(tmp_path)
    changed = {**ONE, axis: OTHER[axis]}
    one, other = plan_of(ONE), plan_of(changed)
    differs = axis in grid_dims(stage)
    assert (set(one.jobs[stage]) != set(other.jobs[stage])) == differs
    assert (one.grid_hash(stage) != other.grid_hash(stage)) == differs
    settings = stage_of(stage).settings(one.config)

    def named(point: dict) -> str:
        here = Point.of({k: v for k, v in point.items() if k in grid_dims(stage)})
        return point_hash(stage_of(stage), here, f"data {point['dataset']}", settings)

    assert (named(ONE) != named(changed)) == differs


@pytest.mark.parametrize("stage", STAGES)
def test_an_axis_decides_either_a_kernel_or_a_point_of_it(stage):
    kernel, inner = kernel_axes(stage), job_axes(stage)
    assert not set(kernel) & set(inner)
    assert set(kernel) | set(inner) == set(grid_dims(stage)) == {axis.name for axis in axes_of(stage)}


def test_an_axis_at_its_neutral_value_leaves_hashes_and_seeds_as_they_were_before_there_was_the_axis(
    monkeypatch,
):
    point = Point.of(ONE)
    before = point.identity("data")
    monkeypatch.setitem(AXES, "lambda1", dataclasses.replace(AXES["lambda1"], neutral=1.0))
    assert point.identity("data") == {k: v for k, v in before.items() if k != "lambda1"}
    assert Point.of({**ONE, "lambda1": 2.0}).identity("data") == {**before, "lambda1": 2.0}


def test_a_value_is_one_value_after_a_trip_through_text_and_arithmetic():
    assert same_value("temperature", 0.1 + 0.2, "0.3")
    assert same_value("temperature", np.float64(1e-3), 10 ** (-3.0))
    assert not same_value("temperature", 0.1, 0.1 * (1 + 1e-9))
    assert same_value("width", np.int64(60), "60")
    found = AXES["temperature"].find([0.1, 0.30000000000000004, 1.0], 0.3)
    assert found.tolist() == [1]
    assert AXES["temperature"].find([0.1], "warm").tolist() == []


@pytest.mark.parametrize(
    ("axis", "value"),
    [
        ("temperature", 0.0),
        ("temperature", np.inf),
        ("width", 0),
        ("width", 2.5),
        ("width", True),
        ("lambda1", -1),
    ],
)
def test_a_value_outside_an_axis_is_named(axis, value):
    with pytest.raises(InvalidInput) as error:
        AXES[axis].check(value)
    assert error.value.key == axis
    AXES[axis].check(ONE[axis])


def test_a_plan_is_a_function_of_what_was_found_and_looks_at_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = plan_of(ONE).config
    empty = Workspace(tmp_path / "nowhere", (), finished={s: frozenset() for s in STAGES}, sources={"g": ()})
    plan = Plan(config, empty)
    (name,) = plan.jobs["sampling"]
    done = dataclasses.replace(empty, finished={s: frozenset(plan.jobs[s]) for s in STAGES})
    assert plan.open_points() == 3
    assert Plan(config, done).open_points() == 0
    assert Plan(config, done).jobs["sampling"][name] == plan.jobs["sampling"][name]
    assert not list(tmp_path.iterdir())
