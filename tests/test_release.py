"""A release: one version everywhere, and a source archive from which the wheel is built, installed and used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import xarray as xr
import yaml

import proplim
from _documents import ROOT


def test_version_and_date_agree():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    latest = re.search(r"^## (\S+) \(([\d-]+)\)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert project["version"] == proplim.__version__ == citation["version"] == latest[1]
    assert str(citation["date-released"]) == latest[2]


def run(*command: str | Path, cwd: Path) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """A folder with an environment of its own, the source archive in dist/, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("release") / "ein Ordner"
    run(sys.executable, "-m", "venv", folder / "env", cwd=ROOT)
    python = folder / "env" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "setuptools>=77", "wheel", cwd=folder)
    build = "import sys; from setuptools import build_meta as b; print(getattr(b, 'build_' + sys.argv[1])(sys.argv[2]))"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    copy = folder / "tracked"
    for name in filter(None, files.stdout.split("\0")):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    archive = run(python, "-c", build, "sdist", folder / "dist", cwd=copy).split()[-1]
    with tarfile.open(folder / "dist" / archive) as source:
        source.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    run(python, "-c", build, "wheel", folder / "dist", cwd=unpacked)
    (wheel,) = (folder / "dist").glob("*.whl")
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = (folder / "env").glob("lib/python*/site-packages")
    # The pinned dependencies are those of this environment; an editable install of its own is not seen.
    (packages / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    return folder


@pytest.mark.slow
def test_source_archive_has_what_a_checkout_needs(release):
    (archive,) = (release / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as source:
        names = {name.split("/", 1)[-1] for name in source.getnames()}
    for file in ("Snakefile", "Makefile", "config.yaml", "requirements.txt", "Containerfile", "CITATION.cff"):
        assert file in names, file
    for folder in ("workflow/rules", "workflow/envs", "profiles", "studies", "src/proplim", "config"):
        assert any(name.startswith(f"{folder}/") for name in names), folder


@pytest.mark.slow
def test_wheel_has_the_workflow_and_no_tests(release):
    (wheel,) = (release / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for part in ("workflow/Snakefile", "workflow/envs/proplim.yaml", "cli/study.yaml", "py.typed"):
        assert f"proplim/{part}" in names, part
    assert not [name for name in names if name.startswith(("tests/", "docs/", "benchmarks/"))]


@pytest.mark.slow
def test_installed_wheel_writes_and_runs_a_study(release, tmp_path):
    folder = tmp_path / "meine Studie ü"
    folder.mkdir()
    command = release / "env" / "bin" / "proplim"
    assert run(command, "--version", cwd=folder).split()[-1] == proplim.__version__
    run(command, "init", "first", cwd=folder)
    written = yaml.safe_load((folder / "first.yaml").read_text())
    small = {
        **written,
        "grid": {"n_train": [12], "width": [8], "temperature": [0.1, 1.0]},
        "theory": {"approximations": ["infinite_width", "proportional"]},
        "sampling": {"enabled": False},
        "dynamics": {"replicas": 2, "t_max": 1.0, "n_times": 5},
        "figures": {"enabled": False},
    }
    (folder / "first.yaml").write_text(yaml.safe_dump(small))
    run(command, "check", "first.yaml", cwd=folder)
    run(command, "run", "first.yaml", "--cores", "2", cwd=folder)
    with xr.open_dataset(folder / "results" / "first" / "theory.nc") as cube:
        assert cube.proplim_version == proplim.__version__
        assert bool((cube.converged == 1).all())
    assert (folder / "results" / "first" / "report.html").is_file()
