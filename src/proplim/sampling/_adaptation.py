"""What is learned before the draws: the step size, and how a chain is brought to its temperature."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any

FIRST_STEP = 0.3
"""Step size to begin with."""
GAMMA, OFFSET, KAPPA = 0.2, 10.0, 0.75
"""Dual averaging: strength of the pull to the anchor, weight of the early history, decay of the average."""
LOG_STEP_RANGE = (-9.0, 0.5)
HOTTEST = 1.0
"""Temperature from which a chain is cooled, if its own is lower."""
COLDEST = 0.5
"""Temperature from which a chain with a heavy unit is heated, in units of its own."""
COOLING_SHARE = 0.6
"""Share of the warm-up in which the temperature moves."""
RENEWAL = 20
"""Trajectories after which the history of the step size is forgotten while the temperature moves."""


class StepSize(NamedTuple):
    """Dual averaging of the logarithm of the step size (Hoffman and Gelman 2014, section 3.2).

    Parameters
    ----------
    log_step : scalar
        Logarithm of the step to take next.
    error : scalar
        Running mean of the acceptance error.
    average : scalar
        Running mean of `log_step`: the step to keep.
    anchor : scalar
        What `log_step` is pulled to.
    """

    log_step: Array
    error: Array
    average: Array
    anchor: Array


def first_step(log_step: float = float(np.log(FIRST_STEP))) -> StepSize:
    """No history yet."""
    return StepSize(*map(np.float64, (log_step, 0.0, log_step, log_step)))


def renewed(step: StepSize, when: Array | bool) -> StepSize:
    """Forget the history of the step size, but start from where it is."""
    import jax.numpy as jnp

    fresh = StepSize(step.log_step, jnp.zeros(()), step.log_step, step.log_step)
    return StepSize(*(jnp.where(when, new, old) for new, old in zip(fresh, step, strict=True)))


def adapted(step: StepSize, acceptance: Array, target: Array, age: Array) -> StepSize:
    """Step size after a trajectory of that acceptance, the one number `age` (from 0) of its history."""
    import jax.numpy as jnp

    time = age + 1.0
    error = step.error + (target - acceptance - step.error) / (time + OFFSET)
    log_step = jnp.clip(step.anchor - error * jnp.sqrt(time) / GAMMA, *LOG_STEP_RANGE)
    weight = time**-KAPPA
    return StepSize(log_step, error, weight * log_step + (1.0 - weight) * step.average, step.anchor)


class Schedule(NamedTuple):
    """Warm-up of a chain, trajectory by trajectory.

    Parameters
    ----------
    temperatures : (count,) array
        Temperature of each trajectory.
    ages : (count,) array
        Age of the step size's history at each; 0 forgets what was before.
    """

    temperatures: np.ndarray
    ages: np.ndarray


def cooling(temperature: float, count: int) -> Schedule:
    """Warm-up from a draw of the prior.

    At low temperature a chain started from the prior fits the labels at once with weights that have learned
    nothing, and then takes hundreds of trajectories to learn. Three fifths of the warm-up therefore lower the
    temperature geometrically from max(T, 1) to T; the rest adapts the step at T.
    """
    return _moving(max(temperature, HOTTEST), temperature, count)


def trajectories_at_temperature(count: int) -> int:
    """Trajectories of a warm-up of that length in which the temperature is that of the point."""
    return count - max(int(COOLING_SHARE * count), 1)


def heating(temperature: float, count: int) -> Schedule:
    """Warm-up from a state with a heavy unit: from a temperature where it is more stable to that of the point."""
    return _moving(COLDEST * temperature, temperature, count)


def _moving(first: float, temperature: float, count: int) -> Schedule:
    """Temperatures from `first` to T, then at T."""
    moving = count - trajectories_at_temperature(count)
    index = np.arange(count)
    progress = np.minimum((index + 1.0) / moving, 1.0)
    temperatures = np.where(progress < 1.0, first * (temperature / first) ** progress, temperature)
    # while the temperature moves, the early history of the step size counts little
    ages = np.where(index < moving, index % RENEWAL, index - moving)
    return Schedule(temperatures, ages.astype(float))


SETTLED_Z = 3.0
"""Change of a mean between two windows, in standard errors, above which a chain is still on its way."""
BATCHES = 5
"""Batches of a window from whose means the standard error is found."""
ACCEPTANCE_RANGE = (0.5, 0.95)
"""Acceptance of a chain beyond which its step was adapted to where it no longer is."""


def is_settled(earlier: np.ndarray, later: np.ndarray) -> bool:
    """Whether the mean of a quantity is the same in two windows of a chain within `SETTLED_Z` errors.

    Windows of a single value say nothing of their error: the chain counts as on its way.
    """
    batches = min(BATCHES, len(earlier), len(later))
    if batches < 2:
        return False
    means = [np.array([part.mean() for part in np.array_split(w, batches)]) for w in (earlier, later)]
    error = np.sqrt(sum(m.var(ddof=1) / batches for m in means))
    return bool(abs(means[1].mean() - means[0].mean()) <= SETTLED_Z * error + 1e-12 * np.abs(means[0]).max())


def common_step(log_steps: np.ndarray, heavy: np.ndarray) -> float:
    """One step size for all chains, so that a chain with an unlucky adaptation does not lag behind.

    Parameters
    ----------
    log_steps : (chain,) array
    heavy : (chain,) array of bool
        Whether the chain has a heavy unit.

    Returns
    -------
    float
        Logarithm of the median step, or where chains are in different phases of the smaller of the two phases'
        medians: it serves a chain that changes phase.
    """
    return float(min(np.median(log_steps[heavy == phase]) for phase in np.unique(heavy)))
