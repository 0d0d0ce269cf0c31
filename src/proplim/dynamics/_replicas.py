"""Run the replicas of one grid point: prior draw, step, trajectory, and what is observed along it."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from proplim._cores import side_by_side, using_cores
from proplim.activations import Activation
from proplim.datasets import Dataset
from proplim.dynamics import _network
from proplim.dynamics._network import Frame, Parameters, Problem, Start
from proplim.dynamics._settings import DynamicsSettings
from proplim.dynamics.optimizers import OPTIMIZERS, Optimizer
from proplim.errors import InvalidInput, NumericalFailure
from proplim.schema import Point
from proplim.seeds import derive_seed

Record = dict[str, np.ndarray]
"""What is kept of one replica, by name; observables have a leading time axis."""
Look = Callable[[Problem, Start, Parameters, Activation], dict[str, Any]]
"""What is recorded at one time; ``mse`` (first entry: train) and ``tangent_kernel_max`` have to be in it."""
Reduce = Callable[[type[Optimizer], Record], Record]
"""Makes of a replica's record what is kept of it."""
Kept = MutableMapping[str, Record]
"""Records of finished replicas by a name that is the replica's own within a training."""

_HALVINGS = 8
"""How often an automatic step is halved before a replica counts as diverged."""
_SAFE_FRACTION = 0.95
"""An automatic step has to stay below this fraction of the stability limit at every recorded time."""
_DIVERGED = 1e3
"""A training error this many times the one at the start, or the labels' mean square, is a divergence."""


class Progress(NamedTuple):
    """How far a training is, at every recorded time."""

    optimizer: str
    replica: int
    time: float
    """Recorded time that this replica has reached."""
    done: float
    """Share of the whole training that is done, all optimizers and replicas."""
    seconds_left: float
    """Estimate for the rest."""


class _Clock:
    """Turns what the replicas have done into the progress of the whole training."""

    def __init__(self, trajectories: int, report: Callable[[Progress], None] | None) -> None:
        self._trajectories, self._report = trajectories, report
        self._shares: dict[str, float] = {}
        self._taken_over = 0
        self._started = clock.perf_counter()
        self._lock = Lock()

    def take_over(self, name: str) -> None:
        """Note that a replica was finished by an earlier training, at no cost."""
        self._shares[name] = 1.0
        self._taken_over += 1

    def say(self, name: str, optimizer: str, replica: int, time: float, share: float) -> None:
        """Report that `share` of the work on a replica is done."""
        if self._report is None:
            return
        with self._lock:
            self._shares[name] = share
            done = sum(self._shares.values())
            left = (self._trajectories - done) / (done - self._taken_over)
            seconds = (clock.perf_counter() - self._started) * left
            self._report(Progress(optimizer, replica, time, done / self._trajectories, seconds))


@dataclass(frozen=True)
class Training:
    """What all replicas of a grid point share.

    Parameters
    ----------
    dataset : Dataset
    activation : Activation
    point : Point
        Width and precisions of the prior.
    settings : DynamicsSettings
    signal : (N0,) array
        Direction u; of C outputs (N0, C).
    look : callable
        What is recorded.
    reduce : callable
        What is kept of it.
    """

    dataset: Dataset
    activation: Activation
    point: Point
    settings: DynamicsSettings
    signal: np.ndarray
    look: Look
    reduce: Reduce


def run_replicas(
    training: Training,
    *,
    threads: int = 1,
    progress: Callable[[Progress], None] | None = None,
    kept: Kept | None = None,
) -> list[list[Record]]:
    """Records of all replicas, optimizer by optimizer.

    Notes
    -----
    All optimizers start from the same draws of the prior, so that they can be compared replica by replica.
    A record holds besides ``learning_rate``, ``step_fraction`` and ``converged``, all over time, and ``reason``, a
    text; that of a replica that diverged is NaN with converged = 0 and the reason.
    """
    settings = training.settings
    names = [[f"{name}-{r}" for r in range(settings.replicas)] for name in settings.optimizers]
    watch = _Clock(len(names) * settings.replicas, progress)
    store: Kept = {} if kept is None else kept
    tasks: list[Callable[[], None]] = []
    for kind, own in zip((OPTIMIZERS.get(n, "optimizers") for n in settings.optimizers), names, strict=True):
        optimizer = kind.build(training.activation, settings, training.point)
        frame = _network.build_frame(
            training.dataset, training.signal, training.point.lambda0, kind=optimizer.frame
        )
        for replica, name in enumerate(own):
            if name in store:
                watch.take_over(name)
            else:
                tasks.append(partial(_finish, training, optimizer, frame, replica, watch, store, name))
    with using_cores(threads):
        side_by_side(lambda task: task(), tasks)
    return [[store[name] for name in own] for own in names]


def _finish(
    training: Training,
    optimizer: Optimizer,
    frame: Frame,
    replica: int,
    watch: _Clock,
    store: Kept,
    name: str,
) -> None:
    """Draw a replica from the prior, run it, and keep what is kept of it."""
    who = {**training.point.identity(training.dataset.identity), "replica": replica}
    start = _network.draw_start(
        frame, training.dataset, training.signal, training.point, seed=derive_seed("dynamics", who)
    )
    noise = derive_seed("dynamics-noise", {**who, "optimizer": optimizer.name})
    settings = training.settings
    shares = optimizer.effort(settings.times)

    def say(index: int) -> None:
        time, share = float(settings.times[index]), float(shares[index])
        watch.say(name, optimizer.name, replica, time, share)

    record = run_replica(
        optimizer, frame.problem, start, settings.times, noise, training.look, say, settings.stop_error
    )
    store[name] = training.reduce(type(optimizer), record)


def run_replica(
    optimizer: Optimizer,
    problem: Problem,
    start: Start,
    times: np.ndarray,
    seed: int,
    look: Look,
    say: Callable[[int], None] = lambda index: None,
    stop_error: float = 0.0,
) -> Record:
    """Run one replica, with a halved step as long as an automatic one turns out too long.

    At the first of the `times` with a training error below `stop_error` the network is left as it is.

    Raises
    ------
    InvalidInput
        If a step that the user chose is above the stability limit.
    """
    limit = optimizer.step_limit(problem, start)
    automatic = optimizer.fixed_step is None
    step = optimizer.automatic_step(problem, start) if optimizer.fixed_step is None else optimizer.fixed_step
    if not automatic and step >= limit:
        raise InvalidInput(
            "learning_rate",
            step,
            f"{optimizer.name} is stable below {limit:.3g} = 2 / (largest eigenvalue of the tangent kernel) "
            f'with {problem.train.y.shape[0]} training inputs and width {start.readout.shape[0]}; or "auto"',
        )
    # A network that nothing limits does not move, and one step is as good as many.
    step = min(step, float(times[-1])) if automatic else step
    largest = 2.0 * _SAFE_FRACTION if automatic and np.isfinite(limit) else np.inf
    for _ in range(_HALVINGS if automatic else 1):
        record, reason = _record(optimizer, problem, start, times, step, seed, largest, look, say, stop_error)
        if not reason:
            break
        step /= 2
    if reason:
        record = {name: np.full_like(value, np.nan) for name, value in record.items()}
    # A method without steps of its own, or without a limit, takes no fraction of it.
    fraction = step / limit if step > 0 and np.isfinite(limit) else np.nan
    constants = {"learning_rate": step, "step_fraction": fraction, "converged": float(not reason)}
    return record | {k: np.full(len(times), v) for k, v in constants.items()} | {"reason": np.array(reason)}


def _record(
    optimizer: Optimizer,
    problem: Problem,
    start: Start,
    times: np.ndarray,
    step: float,
    seed: int,
    largest: float,
    look: Look,
    say: Callable[[int], None],
    stop_error: float,
) -> tuple[Record, str]:
    """Observables along one trajectory, and why it is none: the step times lambda_max has to stay below `largest`."""

    def seen(parameters: Parameters) -> Record:
        found = look(problem, start, parameters, optimizer.activation)
        return {name: np.asarray(value) for name, value in found.items()}

    first = seen(_network.origin(problem, start))
    largest_error = _DIVERGED * max(float(np.mean(problem.train.y**2)), float(first["mse"][0]))
    rows: list[Record] = []
    reason = ""
    try:
        for index, parameters in enumerate(optimizer.trajectory(problem, start, times, step, seed)):
            rows.append(seen(parameters))
            reason = _why_unstable(rows[-1], largest_error, step, largest)
            if reason:
                break
            if rows[-1]["mse"][0] < stop_error:
                rows += rows[-1:] * (len(times) - len(rows))
                say(len(times) - 1)
                break
            say(index)
    except NumericalFailure as failure:
        reason = str(failure)
    missing = {name: np.full_like(value, np.nan) for name, value in first.items()}
    rows += [missing] * (len(times) - len(rows))
    return {name: np.stack([row[name] for row in rows]) for name in first}, reason


def _why_unstable(row: Record, largest_error: float, step: float, largest: float) -> str:
    """What is wrong with a replica at one time; nothing if it is well."""
    error, stiffness = float(row["mse"][0]), float(row["tangent_kernel_max"])
    if not np.isfinite([error, stiffness]).all():
        return "the network is not finite"
    if error > largest_error:
        return f"the training error grew to {error:.1e}"
    if not step * stiffness < largest:
        return (
            f"the step {step:.1e} is beyond the stability limit {2.0 / stiffness:.1e} that training came to"
        )
    return ""
