"""The documentation site builds without a warning, and is read without a network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from _documents import ROOT, pages

# What a browser fetches by itself when it opens a page: not where a reader may click.
FETCHED = re.compile(r'<(?:script|img|iframe|source|link)\b[^>]*\b(?:src|href)="?((?:https?:)?//[^"\s>]+)')
NOT_FETCHED = re.compile(r'<link\b[^>]*\brel="?(?:canonical|next|prev)\b[^>]*>')


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built with warnings as errors."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: make env-docs")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


@pytest.mark.slow
def test_every_page_is_in_the_site(site):
    built = {p.relative_to(site).with_suffix("").as_posix() for p in site.rglob("*.html")}
    written = {p.relative_to(ROOT / "docs").with_suffix("").as_posix() for p in (ROOT / "docs").rglob("*.md")}
    assert written
    assert written <= built


@pytest.mark.slow
def test_nothing_is_fetched_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = NOT_FETCHED.sub("", page.read_text(encoding="utf-8"))
        assert not FETCHED.findall(text), page
    for style in site.rglob("*.css"):
        assert not re.findall(
            r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")
        ), style


@pytest.mark.slow
def test_formulas_are_drawn_without_a_script(site):
    text = "".join(p.read_text(encoding="utf-8") for p in site.rglob("*.html"))
    assert "arithmatex" not in text
    assert text.count("<math") > 40
    assert "\\langle" not in re.sub(r"<pre.*?</pre>|<code.*?</code>", "", text, flags=re.DOTALL)


@pytest.mark.slow
def test_docstrings_are_in_the_api_pages(site):
    text = (site / "api" / "theory.html").read_text(encoding="utf-8")
    assert "Solve the theory on the full product of widths, temperatures and lambda1" in text
    assert ":class:" not in text
    assert ":func:" not in text


def test_pages_name_no_machine():
    for page in pages():
        assert not re.findall(r"/(?:home|root|work|tmp|Users)/\w+", page.read_text(encoding="utf-8")), page


def test_workflow_of_github_runs_what_ci_runs():
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    runs = [step.get("run", "") for job in steps.values() for step in job["steps"]]
    assert any(".ci/run" in run for run in runs)
    assert any("make docs" in run for run in runs)


@pytest.mark.parametrize("study", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.stem)
def test_ready_studies_are_valid_and_described(study):
    from proplim.config import load_config

    config = load_config(study, data=False)
    assert config.study == study.stem
    described = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    assert f"studies/{study.name}" in described
    assert f"## {study.stem}\n" in described
