"""What a job says on standard error: how far it is, and how long it will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from proplim.schema import Point

SILENCE = 30.0
"""Seconds after which a point that is not done says how far it is."""


def say(text: str) -> None:
    """One line on standard error."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Progress of a job.

    Parameters
    ----------
    stage : str
    n_points : int
        Points of the job.
    """

    def __init__(self, stage: str, n_points: int) -> None:
        self.stage, self.n_points, self.done, self.started = stage, n_points, 0, time.perf_counter()

    def step(self, what: str, points: int = 1) -> None:
        """Say that more points are done, and how long the others will take."""
        self.done += points
        left = (time.perf_counter() - self.started) / self.done * (self.n_points - self.done)
        say(f"{self.stage}: {self.done} of {self.n_points} points done ({what}), about {left:.0f} s left")

    def within(self, point: Point, describe: Callable[[Any], str]) -> Callable[[Any], None]:
        """Callback for a point that takes long: says now and then how far it is.

        Parameters
        ----------
        point : Point
        describe : callable
            The state of the computation, which the callback is given, in words. It has ``seconds_left``.
        """
        last = time.perf_counter()

        def report(now: Any) -> None:
            nonlocal last
            if time.perf_counter() - last > SILENCE:
                last = time.perf_counter()
                left = f", about {now.seconds_left:.0f} s left for it" if now.seconds_left >= 0 else ""
                say(f"{self.stage}: {point.label(('width', 'temperature'))}: {describe(now)}{left}")

        return report
