"""Grid points that failed: noted beside a job's result, so that the next run tries them again, and them alone.

A point fails by an error while it is computed. One that gave an answer which does not meet its convergence
criteria has not failed: computing it again would give the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from proplim.cube._files import whole_file
from proplim.study._packing import Block

SUFFIX = ".failed"


def note_failures(result: Path, blocks: Sequence[Block]) -> None:
    """Keep the points of a job that failed in a file beside its `result`; no file if there are none.

    Called before the result is written: a note without a result means nothing.
    """
    note = result.with_suffix(SUFFIX)
    if not blocks:
        note.unlink(missing_ok=True)
        return
    content = [[block.kernel, dict(block.point), dict(block.axes)] for block in blocks]
    with whole_file(note) as temporary:
        Path(temporary).write_text(json.dumps(content), encoding="utf-8")


def read_failures(result: Path) -> list[Block]:
    """Points of a job that failed; none where the note cannot be understood: the cube then still says so."""
    try:
        content = json.loads(result.with_suffix(SUFFIX).read_text(encoding="utf-8"))
        return [Block(kernel, point, axes) for kernel, point, axes in content]
    except (OSError, ValueError, TypeError):
        return []
