"""A sampling run as bytes, and back: what a point that was interrupted goes on from, to the same bits.

The bytes are a NumPy archive (.npz) of all arrays with a JSON text of the structure
around them; nothing in it is executed.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np

_SKELETON = "skeleton"


def dumps(tree: Any) -> bytes:
    """Nested dicts, lists, numbers, texts, None and arrays as bytes."""
    arrays: list[np.ndarray] = []

    def skeleton(node: Any) -> Any:
        if isinstance(node, dict):
            return {"dict": {key: skeleton(value) for key, value in node.items()}}
        if isinstance(node, list | tuple):
            return {"list": [skeleton(value) for value in node]}
        if node is None or isinstance(node, str | bool | int | float):
            return {"plain": node}
        arrays.append(np.asarray(node))
        return {"array": len(arrays) - 1}

    text = json.dumps(skeleton(tree))
    buffer = io.BytesIO()
    np.savez(buffer, **{_SKELETON: np.array(text)}, **{f"a{i}": a for i, a in enumerate(arrays)})  # type: ignore[arg-type]
    return buffer.getvalue()


def loads(data: bytes) -> Any:
    """What :func:`dumps` was given, tuples as lists; None where the bytes are damaged."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            stored = {name: archive[name] for name in archive.files}
        skeleton = json.loads(str(stored[_SKELETON]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None

    def tree(node: Any) -> Any:
        ((kind, value),) = node.items()
        if kind == "dict":
            return {key: tree(child) for key, child in value.items()}
        if kind == "list":
            return [tree(child) for child in value]
        return stored[f"a{value}"] if kind == "array" else value

    return tree(skeleton)
