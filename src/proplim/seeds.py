"""Random seeds derived from what a grid point is, never from where it stands in a grid."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def canonical_json(value: Any) -> str:
    """Serialise to JSON with sorted keys and shortest round-trip floats, so equal values give equal text.

    Integral floats and NumPy scalars are normalised first: 1, 1.0 and np.float64(1) are one value.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def content_hash(value: Any, length: int = 12) -> str:
    """Hexadecimal SHA-256 prefix of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def derive_seed(stage: str, parameters: Mapping[str, Any]) -> int:
    """Return a 63-bit seed that depends on `stage` and `parameters` only.

    The same point gets the same seed in every grid, in every chunking and on every machine.
    """
    digest = hashlib.sha256(f"{stage}\n{canonical_json(dict(parameters))}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(v) for v in value.tolist()]
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
