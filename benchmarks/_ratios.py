"""How benchmarks hand their ratios to `peers.py`: a line of JSON each, in the file that ``PROPLIM_RATIOS`` names."""

from __future__ import annotations

import json
import os
from pathlib import Path

VARIABLE = "PROPLIM_RATIOS"


def note(what: str, peer: str, ratio: float, basis: str) -> None:
    """Keep one ratio of a benchmark; without the variable nothing happens.

    Parameters
    ----------
    what : str
        What of this package is compared, and at which size.
    peer : str
        What it is compared with.
    ratio : float
        Cost of the peer over ours.
    basis : str
        What of both is equal, and what was extrapolated.
    """
    file = os.environ.get(VARIABLE)
    if file:
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({"what": what, "peer": peer, "ratio": ratio, "basis": basis}) + "\n")
