"""Finished replicas are kept on disk while their point is not; a training that was stopped goes on to the same bits."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from proplim.config import parse_config
from proplim.cube import read_table
from proplim.study import plan_study, prepare_draw, run_job, save_plan
from proplim.study._replicas import ReplicaFolder

STUDY = {
    "study": "kept",
    "datasets": [{"name": "g", "source": "gaussian", "n_features": 4, "n_test": 4}],
    "grid": {"n_train": [6], "width": [4], "temperature": [1.0]},
    "theory": {"enabled": False},
    "sampling": {"enabled": False},
    "dynamics": {"replicas": 3, "t_max": 1.0, "n_times": 4},
}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = plan_study(parse_config(STUDY))
    save_plan(plan)
    for file, draw in plan.draws.items():
        prepare_draw(plan, draw, file)
    return plan


class Killed(BaseException):
    """Ends a job as a signal does."""


def test_a_training_that_is_killed_goes_on_from_its_finished_replicas_to_the_same_bits(plan, monkeypatch):
    (job,) = plan.jobs["dynamics"].values()
    run_job(plan, job, "whole.points")
    keep, started = ReplicaFolder.__setitem__, []

    def dies_after_two(self, name, record):
        if len(started) == 2:
            raise Killed
        started.append(name)
        keep(self, name, record)

    monkeypatch.setattr(ReplicaFolder, "__setitem__", dies_after_two)
    with pytest.raises(Killed):
        run_job(plan, job, "stopped.points")
    assert len(list(Path("results/kept/replicas/g").glob("*/*.npz"))) == 2
    computed = []
    monkeypatch.setattr(
        ReplicaFolder, "__setitem__", lambda self, n, r: (computed.append(n), keep(self, n, r))[1]
    )
    run_job(plan, job, "stopped.points")
    assert len(computed) == 1
    one, other = (read_table(name).records for name in ("whole.points", "stopped.points"))
    assert one.tobytes() == other.tobytes()
    assert not list(Path("results/kept/replicas").rglob("*.npz"))


def test_a_damaged_replica_is_trained_again(tmp_path):
    kept = ReplicaFolder(tmp_path / "point")
    kept["gradient_flow-0"] = {"mse": np.arange(3.0), "reason": "a text"}
    assert kept["gradient_flow-0"]["reason"] == "a text"
    np.testing.assert_array_equal(kept["gradient_flow-0"]["mse"], np.arange(3.0))
    (file,) = (tmp_path / "point").iterdir()
    file.write_bytes(file.read_bytes()[:50])
    assert "gradient_flow-0" not in kept


def test_files_that_a_killed_job_never_finished_are_swept_away_and_young_ones_left(plan):
    root = Path(plan.root)
    old, young = root / ".theory.nc.abc.part", root / "draws" / ".x.nc.def.part"
    young.parent.mkdir()
    old.touch()
    young.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    save_plan(plan)
    assert not old.exists()
    assert young.exists()
