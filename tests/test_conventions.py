"""What users of Snakemake expect of a workflow: its format, a log of every job, environments, deployment."""

from __future__ import annotations

import gc
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from _documents import ROOT
from proplim.study._process import COLLECT_AFTER

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
TINY = {
    "study": "tiny",
    "datasets": [{"name": "digits-3v8", "source": "digits", "classes": [3, 8], "n_test": 10}],
    "grid": {"n_train": [12], "width": [8], "temperature": [0.1, 1.0]},
    "sampling": {"enabled": False},
    "dynamics": {"enabled": False},
    "figures": {"enabled": False},
}


def call(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


def pins(lines: list[str]) -> set[str]:
    return {line.strip() for line in lines if "==" in line}


def test_rules_are_formatted():
    pytest.importorskip("snakefmt", reason="snakefmt is not installed: make env-test")
    done = call("snakefmt.snakefmt", "--check", "Snakefile", "workflow")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_snakemake_finds_nothing_to_mend():
    """Among others, that every rule has a log and an environment."""
    done = call("snakemake", "--lint", "text")
    assert done.returncode == 0, done.stderr
    assert "your workflow is in a good condition" in done.stderr


def test_conda_environment_has_the_pins_of_requirements():
    environment = yaml.safe_load((ROOT / "workflow/envs/proplim.yaml").read_text())
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pins(pip) == pins((ROOT / "requirements.txt").read_text().splitlines())
    assert "pip" in environment["dependencies"]


def test_container_installs_the_pins_and_names_no_registry():
    lines = (ROOT / "Containerfile").read_text().splitlines()
    (base,) = [line.split()[1] for line in lines if line.startswith("FROM")]
    assert "/" not in base
    assert any("requirements.txt" in line for line in lines if line.startswith("RUN"))
    assert ".git" in (ROOT / ".dockerignore").read_text().split()
    # A user whom the image does not know has no name to be looked up, and Snakemake asks for one.
    assert {"USER", "HOME"} <= {
        word.split("=")[0] for line in lines if line.startswith("ENV") for word in line.split()
    }


JOB = """
import os, subprocess, sys
from proplim.study import job_log
with job_log(sys.argv[1]):
    print("from Python")
    print("progress", file=sys.stderr)
    os.write(1, b"from a library\\n")
    subprocess.run([sys.executable, "-c", "print('from a worker')"], check=True)
    {end}
print("afterwards")
"""
WRITTEN = ("from Python", "progress", "from a library", "from a worker")


def log_of(folder: Path, end: str) -> tuple[str, subprocess.CompletedProcess]:
    """Log of a small job, and what it showed."""
    log = folder / "lög folder" / "job.log"
    command = [sys.executable, "-c", JOB.format(end=end), str(log)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    return log.read_text(), done


def test_log_holds_what_a_job_and_its_processes_write(tmp_path):
    text, shown = log_of(tmp_path, "pass")
    assert shown.returncode == 0
    for line in WRITTEN:
        assert line in text
        assert line in shown.stderr
    assert re.search(r"^done after \d+\.\d s, \d+\.\d\d s of processor time$", text, re.MULTILINE)
    assert "afterwards" not in text
    assert shown.stdout == "afterwards\n"


JOB_PROCESS = """
import atexit, sys
from proplim import study
atexit.register(print, "at exit")
with study.job_process(sys.argv[1]):
    print("from the job")
    {end}
print("afterwards")
"""


def test_process_of_a_job_ends_with_it(tmp_path):
    """What is registered for the end of the process is called, and what was printed is not lost."""
    log = tmp_path / "job.log"
    command = [sys.executable, "-c", JOB_PROCESS.format(end="pass"), str(log)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout == "at exit\n"
    assert done.stderr == "from the job\n"
    assert re.search(r"^done after", log.read_text(), re.MULTILINE)


def test_process_of_a_job_looks_for_objects_of_no_use_rarely_until_it_computes(tmp_path):
    end = "print(gc.get_threshold()[0]); study.collect_as_usual(); print(*gc.get_threshold(), gc.isenabled())"
    command = [sys.executable, "-c", f"import gc\n{JOB_PROCESS.format(end=end)}", str(tmp_path / "job.log")]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    _, rarely, usual = done.stderr.splitlines()
    assert int(rarely) == COLLECT_AFTER
    assert usual.split() == [*map(str, gc.get_threshold()), "True"]


def test_process_of_a_failed_job_fails(tmp_path):
    log = tmp_path / "job.log"
    command = [sys.executable, "-c", JOB_PROCESS.format(end="raise ValueError('the reason')"), str(log)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ValueError: the reason" in done.stderr
    assert "failed after" in log.read_text()


def test_log_of_a_failed_job_ends_with_its_traceback(tmp_path):
    text, shown = log_of(tmp_path, "raise ValueError('the reason')")
    assert shown.returncode != 0
    assert all(line in text for line in WRITTEN)
    assert text.index("from a worker") < text.index("Traceback") < text.index("ValueError: the reason")
    assert "failed after" in text
    assert shown.stderr.count("ValueError: the reason") == 1


def deployed(folder: Path) -> Path:
    """A folder as snakedeploy leaves it: configuration, profiles, and a Snakefile that uses this workflow as a module.

    snakedeploy itself is taken where it is installed.
    """
    if program := shutil.which("snakedeploy"):
        subprocess.run(
            [program, "deploy-workflow", str(ROOT), str(folder), "--branch", "main", "--name", "proplim"],
            check=True,
        )
    else:
        shutil.copytree(ROOT / "config", folder / "config")
        shutil.copytree(ROOT / "profiles", folder / "profiles")
        (folder / "workflow").mkdir()
        (folder / "workflow" / "Snakefile").write_text(
            'configfile: "config/config.yaml"\n'
            'module proplim:\n    snakefile:\n        "workflow/Snakefile"\n    config:\n        config\n'
            "use rule * from proplim\n"
        )
    (folder / "workflow" / "workflow").symlink_to(ROOT / "workflow")
    return folder


def handlers() -> str:
    """The lines that config/README.md tells a user to add."""
    text = (ROOT / "config/README.md").read_text()
    return re.search(r"```text\n(onstart:.*?)```", text, re.DOTALL)[1]


@pytest.mark.slow
def test_deployed_workflow_runs(tmp_path):
    folder = deployed(tmp_path / "my stüdy")
    default = yaml.safe_load((folder / "config" / "config.yaml").read_text())
    assert default == yaml.safe_load((ROOT / "config.yaml").read_text())
    done = call("snakemake", "--cores", "1", "-n", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(TINY))
    with (folder / "workflow" / "Snakefile").open("a") as stream:
        stream.write("\n" + handlers())
    done = call("snakemake", "--cores", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    results = folder / "results" / "tiny"
    assert (results / "theory.nc").is_file()
    assert (results / "report.html").is_file()
    logs = sorted((results / "logs").rglob("*.log"))
    assert len(logs) >= 4
    assert all("done after" in log.read_text() for log in logs)
    assert any("points done" in log.read_text() for log in logs)


@pytest.mark.slow
def test_log_of_a_job_that_fails_says_why(tmp_path):
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({**TINY, "plugins": ["broken.py"]}))
    (tmp_path / "broken.py").write_text(
        "import sys\nif any('scripts' in word for word in sys.argv):\n    raise RuntimeError('broken here')\n"
    )
    command = ["-s", str(ROOT / "Snakefile"), "--configfile", "my.yaml", "--cores", "1", "--retries", "0"]
    done = call("snakemake", *command, cwd=tmp_path)
    assert done.returncode != 0
    logs = list((tmp_path / "results" / "tiny" / "logs").rglob("*.log"))
    assert any("broken here" in log.read_text() and "failed after" in log.read_text() for log in logs)
