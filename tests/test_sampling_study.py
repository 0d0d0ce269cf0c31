"""A sampled point within a study: its draws for ArviZ, and its checkpoints after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

from proplim.config import parse_config
from proplim.cube import read_table
from proplim.study import plan_study, prepare_draw, run_job, save_plan
from proplim.study.stages import sampling

STUDY = {
    "study": "kept",
    "datasets": [{"name": "g", "source": "gaussian", "n_features": 4, "n_test": 4}],
    "grid": {"n_train": [6], "width": [4], "temperature": [0.3]},
    "theory": {"enabled": False},
    "sampling": {"chains": 2, "min_draws": 100, "max_draws": 100},
    "dynamics": {"enabled": False},
}
JOB = """
import sys, yaml
from proplim.config import parse_config
from proplim.study import plan_study, run_job
from proplim.study.stages import sampling
sampling.CHECKPOINT_SECONDS = 0.0
plan = plan_study(parse_config(yaml.safe_load(sys.argv[1])))
(job,) = plan.jobs["sampling"].values()
run_job(plan, job, "killed.points")
"""
"""A job whose checkpoint is renewed after every step."""
LARGE_POINT = """
from pathlib import Path
import numpy as np
from proplim.datasets import Dataset
from proplim.sampling import SamplingSettings, sample_posterior
rng = np.random.default_rng(0)
x, y = rng.normal(size=(2, 1000, 200)), np.resize([-1.0, 1.0], 1000)
data = Dataset(x[0], y, x[1], y, "large")
settings = SamplingSettings(warmup=20, min_draws=50, max_draws=50)
sample = sample_posterior(data, "erf", width=50, temperature=1.0, settings=settings)
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(sample.draws.sizes["draw"], int(status["VmHWM"].split()[0]) // 1024)
"""
"""Draws, and the most memory of the process in MB, of a point with P = P_test = 1000."""
LONG_AGO = 7200
"""Seconds after which a file belongs to no job that runs."""


def prepared(study):
    """Plan of a study whose data sets are there."""
    plan = plan_study(parse_config(study))
    save_plan(plan)
    for file, draw in plan.draws.items():
        prepare_draw(plan, draw, file)
    return plan


def of_sampling(plan):
    (job,) = plan.jobs["sampling"].values()
    return job


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_point_whose_job_was_killed_goes_on_to_the_same_bits(folder, monkeypatch):
    study = {**STUDY, "sampling": {"chains": 2, "min_draws": 5000, "max_draws": 5000}}
    plan = prepared(study)
    process = subprocess.Popen([sys.executable, "-c", JOB, yaml.safe_dump(study)])
    try:
        deadline, seen = time.monotonic() + 60, set()
        while len(seen) < 20:  # a checkpoint is another file each time
            assert time.monotonic() < deadline
            assert process.poll() is None, "the job was to be killed before its end"
            seen.update(file.stat().st_mtime_ns for file in Path("results").rglob("g/*.checkpoint"))
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    finally:
        process.kill()
    (checkpoint,) = Path("results").rglob("*.checkpoint")
    draws = checkpoint.with_suffix(".nc")
    assert not draws.exists()
    found = []
    read = sampling.read_checkpoint
    monkeypatch.setattr(sampling, "read_checkpoint", lambda file: (found.append(read(file)), found[-1])[1])
    run_job(plan, of_sampling(plan), "killed.points")
    assert found[0]
    assert not checkpoint.exists()
    resumed = {group: xr.load_dataset(draws, group=group) for group in ("posterior", "sample_stats")}
    draws.unlink()
    run_job(plan, of_sampling(plan), "whole.points")
    assert found[1] is None
    one, other = (read_table(name).records for name in ("whole.points", "killed.points"))
    assert one.tobytes() == other.tobytes()
    for group, kept in resumed.items():
        assert kept.identical(xr.load_dataset(draws, group=group))


def test_checkpoints_that_no_job_goes_on_from_are_swept_away(folder):
    plan = prepared(STUDY)
    run_job(plan, of_sampling(plan), "done.points")
    (draws,) = Path(plan.root, "draws", "g").glob("*.nc")
    of_done = draws.with_suffix(".checkpoint")
    of_done.write_bytes(b"left by a job that was killed between two files")
    other = prepared({**STUDY, "sampling": {**STUDY["sampling"], "min_draws": 50}})
    changed = draws.with_name(draws.name.replace(draws.stem[-12:], "0" * 12)).with_suffix(".checkpoint")
    changed.write_bytes(b"of settings that have changed")
    elsewhere = draws.parent.with_name("h") / changed.name
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(b"of a data set that the study no longer has")
    save_plan(other)
    assert of_done.exists(), "a young file may be under way"
    for file in (of_done, changed, elsewhere):
        os.utime(file, (time.time() - LONG_AGO,) * 2)
    draws.rename("draws.nc")
    save_plan(plan)
    assert of_done.exists(), "its point is not done"
    assert not changed.exists()
    assert not elsewhere.exists()
    Path("draws.nc").rename(draws)
    save_plan(plan)
    assert not of_done.exists()


def test_checkpoints_stay_while_it_is_not_known_whose_they_are(folder):
    plan = prepared(STUDY)
    for file in plan.draws:
        Path(file).unlink()
    checkpoint = Path(plan.root, "draws", "g", "x.checkpoint")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    os.utime(checkpoint, (time.time() - LONG_AGO,) * 2)
    save_plan(plan)
    assert checkpoint.exists()


def test_draws_are_laid_out_as_arviz_does(folder):
    """ArviZ itself has opened, summarised and plotted such a file; what it goes by are these names and axes."""
    plan = prepared(STUDY)
    run_job(plan, of_sampling(plan), "done.points")
    (draws,) = Path(plan.root, "draws", "g").glob("*.nc")
    tree = xr.open_datatree(draws)
    assert set(tree.children) == {"posterior", "sample_stats"}
    assert tree.attrs["draws_per_chain"] == 100
    for values in tree["posterior"].data_vars.values():
        assert values.dims[:2] == ("chain", "draw")
    stats = tree["sample_stats"]
    for name in ("acceptance_rate", "diverging", "energy", "step_size", "n_steps"):
        assert stats[name].dims == ("chain", "draw")
        assert np.isfinite(stats[name]).all()
    assert set(stats["start"].values) == {"prior", "heavy unit"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc says how much memory was taken")
def test_a_point_of_a_thousand_inputs_takes_less_than_500_mb(folder):
    """Where the program is compiled already; its compilation takes 240 MB more, whatever the size of the point."""
    environment = {**os.environ, "PROPLIM_CACHE": str(folder)}
    command = [sys.executable, "-c", LARGE_POINT]
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    )
    assert first[0] == second[0] == "50"
    assert int(second[1]) < 500
