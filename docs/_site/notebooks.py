"""Notebooks of the site: shown as they were executed, and executed anew by ``python docs/_site/notebooks.py``.

A notebook docs/notebooks/NAME.ipynb, with its outputs, becomes the page notebooks/NAME.html; nothing is computed when
the site is built.
"""

from __future__ import annotations

import base64
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
SECONDS = 300
"""Longest time of a cell."""


def on_files(files: Any, *, config: Any, **_: Any) -> None:
    """Add a page for every notebook, and its pictures."""
    from mkdocs.structure.files import File

    for path in sorted(FOLDER.glob("*.ipynb")):
        text, pictures = to_markdown(nbformat.read(path, as_version=4), path.stem)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        for name, picture in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=picture))


def to_markdown(notebook: Any, name: str) -> tuple[str, dict[str, bytes]]:
    """A notebook as a page, and the pictures that it shows."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                picture = f"{name}_{len(pictures) + 1}.png"
                pictures[picture] = base64.b64decode(data["image/png"])
                parts.append(f"![Output of the cell above]({picture})")
            else:
                text = output.get("text") or data.get("text/plain", "")
                parts.append(f"```text\n{text.rstrip()}\n```")
    parts.append(f"[This page as a notebook]({name}.ipynb){{ download }}")
    return "\n\n".join(parts) + "\n", pictures


def execute(path: Path, folder: Path) -> Any:
    """A notebook, executed in a folder by the Python that runs this.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        With the traceback of the cell.
    """
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    commands = str(Path(sys.executable).parent)
    before = dict(os.environ)
    os.environ["PATH"] = os.pathsep.join([commands, before.get("PATH", "")])
    try:
        NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": str(folder)}}).execute()
    finally:
        os.environ["PATH"] = before.get("PATH", "")
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def main() -> None:
    """Execute the notebooks that are named, or all."""
    for path in [Path(word) for word in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(execute(path, Path(folder)), path)


if __name__ == "__main__":
    main()
