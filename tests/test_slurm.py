"""A study on a real SLURM cluster of one node, through the profile, with everything going wrong that can.

Skipped, with the reason, where SLURM is not installed or the tests do not run as root.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import xarray as xr
import yaml

import slurm_cluster

ROOT = Path(__file__).resolve().parents[1]
STUDY = {
    "study": "s",
    "plugins": ["fail.py"],
    "datasets": [{"name": "g", "source": "gaussian", "n_features": 6, "n_test": 4}],
    "grid": {"n_train": [8], "width": [5], "temperature": [0.1, 0.5, 1.0]},
    "sampling": {"chains": 2, "target_ess": 60, "max_rhat": 1.2},
    "dynamics": {"replicas": 2, "t_max": 1.0, "n_times": 5},
    "figures": {"enabled": False},
    "jobs": {"seconds_per_job": 1000},
}
# Every job of the dynamics fails on the cluster until the cause is mended.
PLUGIN = """\
import os, sys
from pathlib import Path
if "SLURM_JOB_ID" in os.environ and "train_dynamics" in " ".join(sys.argv) and not Path("mended").exists():
    raise RuntimeError("not mended")
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    reason = slurm_cluster.why_not()
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    try:
        yield {**os.environ, **slurm_cluster.start(folder), "PYTHONPATH": str(ROOT / "src")}
    finally:
        slurm_cluster.stop(folder)


def write(folder: Path) -> None:
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (folder / "fail.py").write_text(PLUGIN)


def command(folder: Path, *arguments: str) -> list[str]:
    start = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder)]
    return [*start, "--configfile", str(folder / "study.yaml"), *arguments]


def on_cluster(folder: Path) -> list[str]:
    profile = ["--profile", str(ROOT / "workflow/profiles/slurm"), "--latency-wait", "5"]
    # This cluster has no accounts and no accounting, and jobs of seconds.
    local = ["--slurm-no-account", "--slurm-status-command", "squeue"]
    return command(folder, *profile, *local, "--slurm-init-seconds-before-status-checks", "2")


def ask(environment: dict, *arguments: str) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, env=environment, check=True).stdout


def jobs(environment: dict) -> list[list[str]]:
    """Number, state, memory, time limit and comment of every job."""
    return [
        line.split("|")
        for line in ask(environment, "squeue", "-h", "-t", "all", "-o", "%i|%T|%m|%l|%k").splitlines()
    ]


def wait_for(condition, what: str, seconds: float = 300):
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, f"waited {seconds} s in vain for {what}"
        time.sleep(0.2)
    return found


def cubes(folder: Path) -> dict[str, xr.Dataset]:
    return {
        s: xr.open_dataset(folder / f"results/s/{s}.nc").load() for s in ("theory", "sampling", "dynamics")
    }


@pytest.mark.slow
def test_a_study_on_slurm_survives_everything_and_equals_the_local_one(cluster, tmp_path):
    """scancel of a running job, a drained node, a failing job: the study resumes, and is the local one to the bit."""
    local, remote = tmp_path / "local", tmp_path / "remote"
    for folder in (local, remote):
        folder.mkdir()
        write(folder)
    log = (remote / "log").open("w")
    first = subprocess.Popen(on_cluster(remote), env=cluster, stdout=log, stderr=log)
    try:
        # A sampling job is killed when it has one point and is at the next.
        draws = remote / "results/s/draws/g"
        wait_for(lambda: list(draws.glob("*.nc")), "a sampled point")
        kept = {path: path.stat().st_mtime_ns for path in draws.glob("*.nc")}
        running = [j for j in jobs(cluster) if j[1] == "RUNNING" and "sample_sampling" in j[4]]
        ask(cluster, "scancel", running[0][0])
        # The node is set to drain, with jobs still in the queue, and comes back.
        node = ask(cluster, "sinfo", "-h", "-o", "%n").strip()
        ask(cluster, "scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
        wait_for(lambda: "drain" in ask(cluster, "sinfo", "-h", "-o", "%T"), "the node to drain", 20)
        time.sleep(3)
        ask(cluster, "scontrol", "update", f"nodename={node}", "state=resume")
        assert first.wait(900) != 0, "a failing job is no success"
    finally:
        first.kill()
    history = {
        state: [j for j in jobs(cluster) if j[1] == state] for state in ("CANCELLED", "FAILED", "COMPLETED")
    }
    assert any("sample_sampling" in j[4] for j in history["CANCELLED"])
    failed = [j for j in history["FAILED"] if "train_dynamics" in j[4]]
    # Tried three times, each with more memory and time than before.
    assert len(failed) == 3
    memory = sorted(int(j[2].removesuffix("M")) for j in failed)
    assert memory[0] < memory[1] < memory[2]
    # The rest of the study was not held up, and what was sampled before the kill was not sampled again.
    for stage in ("theory", "sampling"):
        assert (remote / f"results/s/{stage}.nc").exists()
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())

    # The cube of training was written of what was there, and is the one that the second run completes.
    partial = remote / "results/s/dynamics.nc"
    before = {
        p: p.stat().st_mtime_ns
        for p in (remote / "results").rglob("*")
        if p.suffix in (".nc", ".points") and p != partial
    }
    (remote / "mended").touch()
    subprocess.run(on_cluster(remote), env=cluster, check=True, capture_output=True, timeout=900)
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())

    subprocess.run(command(local, "--cores", "2"), env=cluster, check=True, capture_output=True, timeout=900)
    here, there = cubes(local), cubes(remote)
    for stage, cube in here.items():
        assert int(cube.converged.sum()) > 0
        xr.testing.assert_equal(cube, there[stage])
        assert cube.attrs["content_sha256"] == there[stage].attrs["content_sha256"]
