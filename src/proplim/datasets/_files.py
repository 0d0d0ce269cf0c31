"""The user's files: where they lie and what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

HASH_LENGTH = 16


def resolve_path(path: str | Path, folders: Sequence[Path]) -> Path:
    """Absolute path of a file or folder of the configuration: the first of `folders` that has it wins."""
    candidates = [folder / Path(path).expanduser() for folder in folders]
    return next((c for c in candidates if c.exists()), candidates[0]).resolve()


def file_hash(path: Path) -> str:
    """Content hash of a file: what it is, wherever it lies."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:HASH_LENGTH]


def md5(path: Path) -> str:
    """MD5 checksum of a file, as collections publish it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
