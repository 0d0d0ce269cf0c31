"""Nothing is lost: whatever stops a run, the next one resumes, and its cubes are those of an uninterrupted run."""

from __future__ import annotations

import contextlib
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

from proplim.cube import content_checksum

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
STUDY = {
    "study": "f",
    "datasets": [{"name": "g", "source": "gaussian", "n_features": 6, "n_test": 4}],
    "grid": {"n_train": [8], "width": [6], "temperature": [0.5, 1.0, 2.0]},
    "sampling": {"chains": 2, "target_ess": 60, "max_rhat": 1.5, "min_draws": 100},
    "dynamics": {"replicas": 1, "t_max": 0.1, "n_times": 3},
    "figures": {"enabled": False},
}


def command(folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--directory", str(folder)),
        *("--configfile", str(folder / "study.yaml"), "--cores", "2", "--rerun-incomplete"),
    ]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def start(folder: Path) -> subprocess.Popen:
    """Start a run in a process group of its own."""
    folder.mkdir(exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return subprocess.Popen(
        command(folder),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
    )


def finish(folder: Path) -> str:
    """Run to the end, past a lock that a killed run left behind as a user would."""
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    if list((folder / ".snakemake/locks").glob("*")):
        subprocess.run([*command(folder), "--unlock"], env=environment(), capture_output=True, check=False)
    done = subprocess.run(command(folder), env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def checksums(folder: Path) -> dict[str, str]:
    result = {}
    for stage in ("theory", "sampling", "dynamics"):
        with xr.open_dataset(folder / f"results/f/{stage}.nc") as cube:
            result[stage] = content_checksum(cube.load())
    return result


def listed(folder: Path) -> list[str]:
    """Names of the files of draws that the study's list declares."""
    return [Path(name).name for name in (folder / "results/f/draws/index.txt").read_text().split()]


def wait_for(folder: Path, pattern: str, process: subprocess.Popen, timeout: float = 120.0) -> None:
    end = time.monotonic() + timeout
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.stdout.read()[-3000:]
        assert time.monotonic() < end, f"no {pattern} within {timeout} s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("whole") / "w"
    folder.mkdir()
    finish(folder)
    return folder, checksums(folder)


@pytest.mark.parametrize(
    "moment", ["results/f/datasets/g/*.nc", "results/f/draws/g/*.nc"], ids=["early", "late"]
)
def test_sigkill_of_the_whole_process_tree(uninterrupted, tmp_path, moment):
    folder = tmp_path / "killed"
    process = start(folder)
    wait_for(folder, moment, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p: p.stat().st_mtime_ns for p in folder.glob("results/f/draws/g/*.nc")}
    finish(folder)
    assert checksums(folder) == uninterrupted[1]
    assert kept == {p: p.stat().st_mtime_ns for p in kept}, "finished points were computed again"
    assert listed(folder) == sorted(p.name for p in folder.glob("results/f/draws/g/*.nc"))


def test_control_c_twice(uninterrupted, tmp_path):
    folder = tmp_path / "interrupted"
    process = start(folder)
    wait_for(folder, "results/f/theory/g/*.points", process)
    for _ in range(2):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.3)
    process.communicate(timeout=300)
    finish(folder)
    assert checksums(folder) == uninterrupted[1]


def test_a_damaged_intermediate_file_is_found_and_made_again(uninterrupted, tmp_path):
    folder = tmp_path / "damaged"
    folder.mkdir()
    subprocess.run(["cp", "-a", f"{uninterrupted[0]}/.", str(folder)], check=True)
    for stage in ("theory", "sampling", "dynamics"):
        (path,) = folder.glob(f"results/f/{stage}/g/*.points")
        raw = bytearray(path.read_bytes())
        if stage == "theory":
            raw = raw[: len(raw) // 2]
        elif stage == "dynamics":
            raw = bytearray()
        else:
            middle = raw.rfind(np.float64(1.0).tobytes())
            raw[middle : middle + 8] = np.float64(7.0).tobytes()
        path.write_bytes(raw)
        (folder / f"results/f/{stage}.nc").unlink()
    said = finish(folder)
    assert said.count("computing it again") == 3
    assert checksums(folder) == uninterrupted[1]


def test_damaged_draws_and_data_are_found_and_made_again(uninterrupted, tmp_path):
    folder = tmp_path / "damaged"
    folder.mkdir()
    subprocess.run(["cp", "-a", f"{uninterrupted[0]}/.", str(folder)], check=True)
    (result,) = folder.glob("results/f/sampling/g/*.points")
    result.unlink()
    draws = sorted(folder.glob("results/f/draws/g/*.nc"))
    draws[0].write_bytes(draws[0].read_bytes()[:1000])
    whole = {p: p.stat().st_mtime_ns for p in draws[1:]}
    (data,) = folder.glob("results/f/datasets/g/*.nc")
    stamp = data.stat()
    data.write_bytes(data.read_bytes()[:-100])
    os.utime(data, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    finish(folder)
    # The job ran again, and with it went what its rule declares; the draws of its other points did not.
    assert whole == {p: p.stat().st_mtime_ns for p in whole}
    assert listed(folder) == [p.name for p in draws]
    assert checksums(folder) == uninterrupted[1]


def test_a_full_disk(uninterrupted, tmp_path):
    """On a file system of 400 kB the run fails with the system's own word; with room it resumes."""
    folder = tmp_path / "full"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a small file system needs root and mount(2)")
    try:
        process = start(folder)
        output, _ = process.communicate(timeout=300)
        assert process.returncode != 0
        assert "No space left on device" in output or "NetCDF: HDF error" in output
        subprocess.run(["mount", "-o", "remount,size=200m", str(folder)], check=True)
        finish(folder)
        assert checksums(folder) == uninterrupted[1]
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_worker_that_runs_out_of_memory(uninterrupted, tmp_path):
    """Workers get an address space too small for JAX; with the limit gone the study resumes."""
    folder = tmp_path / "oom"
    folder.mkdir()
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    limited = subprocess.run(
        ["bash", "-c", 'ulimit -v 900000; exec "$@"', "bash", *command(folder)],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert limited.returncode != 0
    finish(folder)
    assert checksums(folder) == uninterrupted[1]


def test_a_read_only_results_folder_is_one_error_and_nothing_is_lost(uninterrupted, tmp_path):
    folder = tmp_path / "readonly"
    folder.mkdir()
    subprocess.run(["cp", "-a", f"{uninterrupted[0]}/.", str(folder)], check=True)
    before = {p: p.read_bytes() for p in folder.glob("results/**/*.nc")}
    results = folder / "results"
    made = subprocess.run(["mount", "--bind", str(results), str(results)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("a read-only mount needs root and mount(2)")
    try:
        (results / "f/theory.nc").unlink()
        subprocess.run(["mount", "-o", "remount,ro,bind", str(results)], check=True)
        done = subprocess.run(command(folder), env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode != 0
        # Snakemake looks first whether outputs that it is to replace can be written.
        assert "Write-protected output files" in done.stderr or "Read-only file system" in done.stderr
    finally:
        subprocess.run(["umount", "-l", str(results)], check=False)
    after = {p: p.read_bytes() for p in folder.glob("results/**/*.nc")}
    assert after == {p: raw for p, raw in before.items() if p.name != "theory.nc" or p.parent.name != "f"}
    finish(folder)
    assert checksums(folder) == uninterrupted[1]
