"""What the documentation site needs beside its plugins; formulas are in equations.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_ROLE = re.compile(
    r":(?:class|func|mod|data|meth|attr):(?=<(?:code|a|span|autoref))|:(?:class|func|mod|data):`~?"
)

_SHIM = re.compile(r'<script src="https://unpkg\.com/iframe-worker/shim"></script>')
_WORKER = Path(__file__).with_name("worker.js")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Show CONTRIBUTING.md, which lies beside README.md, as a page of the site."""
    if page.file.src_uri != "contributing.md":
        return markdown
    text = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.replace("](docs/", "](")


def on_page_content(content: str, **_: Any) -> str:
    """Drop the role names in front of names in docstrings."""
    return _ROLE.sub("", content)


def on_post_page(output: str, **_: Any) -> str:
    """Take the stand-in for workers on pages opened from the disk from here instead of from the network."""
    return _without_shim(output)


def on_post_template(output_content: str, **_: Any) -> str:
    """The same in pages that have no Markdown, such as 404.html."""
    return _without_shim(output_content)


def _without_shim(output: str) -> str:
    return _SHIM.sub(lambda _: f"<script>{_WORKER.read_text(encoding='utf-8')}</script>", output)
