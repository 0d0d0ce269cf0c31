"""The notebooks of the gallery run as they stand, and what they show is what they compute."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from _documents import ROOT, site_module

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
LARGEST = 1_000_000
"""Bytes of a notebook with its outputs."""
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
TOLERANCE = {"rel": 0.05, "abs": 0.03}
"""How far a printed number may be from the one kept: sampled ones move with a machine's rounding."""


@pytest.fixture(scope="module")
def notebooks():
    pytest.importorskip("nbclient", reason="nbclient is not installed: make env-docs")
    return site_module("notebooks")


def printed(notebook) -> list[str]:
    """What the cells print, one text a cell."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(o.get("text", "") for o in cell.outputs) for cell in cells]


def pictures(notebook) -> int:
    return sum("image/png" in o.get("data", {}) for c in notebook.cells for o in c.get("outputs", []))


def test_there_are_three():
    assert {path.stem for path in NOTEBOOKS} == {"condensed_phase", "own_data", "paper_figures"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_runs_and_shows_what_it_computes(path: Path, notebooks, tmp_path, monkeypatch):
    import nbformat

    assert path.stat().st_size < LARGEST
    kept = nbformat.read(path, as_version=4)
    assert pictures(kept) >= 1
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    folder = tmp_path / "a folder"
    folder.mkdir()
    now = notebooks.execute(path, folder)
    assert pictures(now) == pictures(kept)
    for before, after in zip(printed(kept), printed(now), strict=True):
        assert NUMBER.sub("#", after).split() == NUMBER.sub("#", before).split()
        assert [float(n) for n in NUMBER.findall(after)] == pytest.approx(
            [float(n) for n in NUMBER.findall(before)], **TOLERANCE
        )


def test_pages_have_code_text_and_pictures(notebooks):
    import nbformat

    notebook = nbformat.v4.new_notebook()
    shown = nbformat.v4.new_output("display_data", data={"image/png": "aGVsbG8=", "text/plain": "<Figure>"})
    said = nbformat.v4.new_output("stream", text="0.5\n")
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# Title"),
        nbformat.v4.new_code_cell("print(0.5)", outputs=[said, shown]),
    ]
    text, files = notebooks.to_markdown(notebook, "page")
    assert files == {"page_1.png": b"hello"}
    assert text.startswith("# Title\n\n```python\nprint(0.5)\n```\n\n```text\n0.5\n```\n\n![")
    assert "<Figure>" not in text
    assert "(page.ipynb)" in text
