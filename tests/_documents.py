"""The examples in README.md and docs/: where they stand and what they need."""

from __future__ import annotations

import importlib.util
import re
import shlex
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)[^\n]*\n(?P<text>.*?)^(?P=indent)```\s*$", re.DOTALL | re.MULTILINE
)


class Block(NamedTuple):
    """A fenced block of a page; `line` is that of its first line of text."""

    language: str
    text: str
    line: int


def site_module(name: str) -> ModuleType:
    """A file of docs/_site, which makes the site and is in no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/_site/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages() -> list[Path]:
    """README.md, CONTRIBUTING.md and every page of docs/."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, *languages: str) -> list[Block]:
    """Fenced blocks of a page in one of the languages, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(m["language"], m["text"], text[: m.start("text")].count("\n") + 1)
        for m in _FENCE.finditer(text)
        if m["language"] in languages
    ]


def titled(page: Path) -> dict[str, str]:
    """Blocks of a page that stand for a file: its name, given as the block's title, and its text."""
    found = re.finditer(
        r"^```python title=\"(?P<name>[^\"]+)\"\n(?P<text>.*?)^```\s*$",
        page.read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return {m["name"]: m["text"] for m in found}


def name_of(page: Path) -> str:
    """Path of a page from the root, to name a test."""
    return page.relative_to(ROOT).as_posix()


def commands(page: Path) -> list[str]:
    """Lines of shell blocks (fenced or indented) and of inline code that call `proplim` on something."""
    text = page.read_text(encoding="utf-8")
    lines = [line for b in blocks(page, "sh", "bash", "shell", "console") for line in b.text.splitlines()]
    lines += re.findall(r"^ {4}(proplim .*)$", text, re.MULTILINE)
    # `proplim check` in a sentence is the name of a command, not a call
    lines += [code for code in re.findall(r"`(proplim [^`]*)`", text) if re.search(r"[./]| --dataset", code)]
    found = [line.strip().removeprefix("$ ") for line in lines]
    return list(dict.fromkeys(line for line in found if line.startswith("proplim ")))


def arguments(command: str) -> list[str]:
    """Words after `proplim`, up to a comment, a pipe or a redirection."""
    words = shlex.split(command, comments=True)[1:]
    stop = next((i for i, word in enumerate(words) if word in ("|", ">", ">>", "&&", "2>")), len(words))
    return words[:stop]
