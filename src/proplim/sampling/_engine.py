"""The compiled program of a point with all that it is given in every call."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from proplim.sampling._adaptation import Schedule, first_step
from proplim.sampling._kernel import empty_record, empty_state
from proplim.sampling._phases import WINDOW_DRAWS, WINDOW_SETTLING, Windows
from proplim.sampling._program import Chain, Path, Stretch, draws_stretch, program, warmup_stretch
from proplim.sampling._random import Key
from proplim.sampling._target import Bias, Problem
from proplim.sampling._task import Task

AGE_IN_SWEEP = 20.0
"""Age of the step size's history at the first trajectory of a window: it moves, but slowly."""

Rows = tuple[dict[str, np.ndarray], Any, np.ndarray]


class Engine(NamedTuple):
    """What chains of a point are moved by.

    Parameters
    ----------
    run : callable
        :func:`proplim.sampling._program.advance`, compiled.
    problem : Problem
    path : Path
    start : Chain
        No chain yet: its first move draws it from the prior.
    precision : str
        Of the gradients along trajectories.
    """

    run: Any
    problem: Problem
    path: Path
    start: Chain
    precision: str

    def advance(self, key: Key, chain: Chain, stretch: Stretch) -> tuple[Chain, Rows]:
        """A stretch of trajectories; the rows that it did not use are cut off."""
        import jax

        chain, rows = jax.block_until_ready(self.run(self.problem, self.path, key, chain, stretch))
        count = int(stretch.trajectories)
        return chain, jax.tree.map(lambda values: np.asarray(values)[:count], rows)

    def sweep(self, key: Key, chain: Chain, windows: Windows) -> tuple[np.ndarray, int]:
        """Move the heavy readout through the windows in their order.

        Returns
        -------
        values : (K, draws) array
            Heavy readouts of the draws in each window.
        gradients : int
            Gradients spent.
        """
        temperature = float(self.problem.temperature)
        schedule = Schedule(
            np.full(WINDOW_SETTLING, temperature), AGE_IN_SWEEP + np.arange(float(WINDOW_SETTLING))
        )
        chain = chain._replace(state=chain.state._replace(record={}))
        values, gradients = [], 0
        for centre in windows.centres:
            spring = Bias(np.float64(windows.strength), np.float64(centre))
            held = self._replace(problem=self.problem._replace(bias=spring))
            for stretch in (
                warmup_stretch(schedule, 0, opening=False),
                draws_stretch(temperature, opening=False, count=WINDOW_DRAWS),
            ):
                # the density has moved with the spring: energy and gradient are computed anew
                stale = chain.state._replace(temperature=np.float64(np.nan))
                chain, (_, info, _) = held.advance(key, chain._replace(state=stale), stretch)
                gradients += int(info.gradients.sum())
            values.append(info.heavy)
        return np.stack(values), gradients


def engine_of(task: Task) -> Engine:
    """Arrays of the point on the device, and its program."""
    import jax

    problem = task.problem()
    dtype = task.gradient_type(problem)
    problem = jax.device_put(problem)
    settings, width = task.settings, task.point.width
    path = Path(*map(np.float64, (settings.path_length, settings.jitter, settings.target_acceptance)))
    record = empty_record(problem, task.activation, width, task.what)
    start = Chain(empty_state(problem, width, record), first_step())
    return Engine(program(task.activation, task.what, dtype), problem, path, start, np.dtype(dtype).name)
