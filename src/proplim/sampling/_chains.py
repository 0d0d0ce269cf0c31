"""Chains of one point: warmed up, then drawn from until the verdict is that it suffices."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from proplim.sampling import _kernel
from proplim.sampling._adaptation import cooling, first_step
from proplim.sampling._draw import UNITS
from proplim.sampling._estimates import Draws, add_functionals, statistics
from proplim.sampling._program import (
    BLOCK,
    Chain,
    Path,
    Stretch,
    draws_stretch,
    program,
    settled,
    warmup_stretch,
)
from proplim.sampling._random import Key, key_of
from proplim.sampling._stopping import judge, next_check, share_done
from proplim.sampling._target import Problem
from proplim.sampling._task import Standing, Task

Array = Any


class Outcome(NamedTuple):
    """What sampling a point gave.

    Parameters
    ----------
    draws : dict
        Observable to array (chain, draw, ...).
    table : dict
        Observable to array (statistic, ...).
    converged : bool
    reason : str
        Why not; empty where converged.
    attributes : dict
        How it was sampled.
    """

    draws: Draws
    table: dict[str, np.ndarray]
    converged: bool
    reason: str
    attributes: dict[str, Any]


class Engine(NamedTuple):
    """The compiled program of a point with all that it is given in every call.

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

    def advance(self, key: Key, chain: Chain, stretch: Stretch) -> tuple[Chain, tuple[Any, ...]]:
        """A stretch of trajectories; the rows that it did not use are cut off."""
        import jax

        chain, rows = jax.block_until_ready(self.run(self.problem, self.path, key, chain, stretch))
        count = int(stretch.trajectories)
        return chain, jax.tree.map(lambda values: np.asarray(values)[:count], rows)


def engine_of(task: Task) -> Engine:
    """Arrays of the point on the device, and its program."""
    import jax

    problem = task.problem()
    dtype = task.gradient_type(problem)
    problem = jax.device_put(problem)
    settings, width = task.settings, task.point.width
    path = Path(*map(np.float64, (settings.path_length, settings.jitter, settings.target_acceptance)))
    record = _kernel.empty_record(problem, task.activation, width, task.what)
    start = Chain(_kernel.empty_state(problem.inputs_train.shape[1], width, record), first_step())
    return Engine(program(task.activation, task.what, dtype), problem, path, start, np.dtype(dtype).name)


def sample_point(task: Task) -> Outcome:
    """Sample until every observable is known well enough, or the budget is spent.

    Raises
    ------
    FloatingPointError
        If an energy is not finite, or no trajectory is ever accepted.
    """
    engine, keys = engine_of(task), [key_of(seed) for seed in task.seeds]
    with ThreadPoolExecutor(min(task.threads, task.settings.chains)) as pool:
        chains, spent = _warmed(task, engine, keys, pool.map)
        return _drawn(task, engine, keys, chains, spent, pool.map)


def _warmed(
    task: Task, engine: Engine, keys: Sequence[Key], map_chains: Callable[..., Any]
) -> tuple[list[Chain], int]:
    """Chains at the temperature of the point with one step size for all, and the gradients spent."""
    schedule = cooling(task.point.temperature or np.nan, task.settings.warmup)

    def warm(key: Key) -> tuple[Chain, int]:
        chain, gradients = engine.start, 0
        for first in range(0, len(schedule.ages), BLOCK):
            stretch = warmup_stretch(schedule, first, opening=first == 0)
            chain, (_, info, _) = engine.advance(key, chain, stretch)
            gradients += int(info.gradients.sum())
        return settled(chain), gradients

    chains, gradients = zip(*map_chains(warm, keys), strict=True)
    # one step size for all chains, so that a chain with an unlucky adaptation does not lag behind
    log_step = np.median([np.asarray(chain.step.log_step) for chain in chains])
    if not all(np.isfinite(float(chain.state.log_likelihood)) for chain in chains):
        raise FloatingPointError("the log-likelihood is not finite after the warm-up")
    return [c._replace(step=c.step._replace(log_step=log_step)) for c in chains], sum(gradients)


def _drawn(
    task: Task,
    engine: Engine,
    keys: Sequence[Key],
    chains: list[Chain],
    warmup_gradients: int,
    map_chains: Callable[..., Any],
) -> Outcome:
    settings = task.settings
    blocks: list[tuple[Draws, _kernel.Info]] = []
    done, check = 0, settings.min_draws
    while True:
        stretch = draws_stretch(engine.problem.temperature, opening=done == 0)
        results = list(map_chains(partial(engine.advance, stretch=stretch), keys, chains))
        chains = [chain for chain, _ in results]
        blocks.append(_stacked([rows for _, rows in results]))
        done += BLOCK
        if done < min(check, settings.max_draws):
            task.report(Standing(done, np.nan, np.nan, done / max(check, 1)))
            continue
        draws, table = _estimated(task, [records for records, _ in blocks])
        verdict = judge(table, settings)
        task.report(Standing(done, verdict.ess, verdict.rhat, share_done(verdict)))
        if verdict.converged or done >= settings.max_draws:
            break
        check = next_check(done, verdict)
    infos = [info for _, info in blocks]
    acceptance = np.concatenate([info.acceptance for info in infos], axis=1)
    if not np.isfinite([float(c.state.log_likelihood) for c in chains]).all() or acceptance.max() == 0.0:
        raise FloatingPointError("no trajectory was accepted, or the energy is not finite")
    attributes = {
        "draws_per_chain": done,
        "warmup_per_chain": settings.warmup,
        "gradients": int(sum(info.gradients.sum() for info in infos)),
        "warmup_gradients": warmup_gradients,
        "step_size": float(np.exp(chains[0].step.log_step)),
        "acceptance": float(acceptance.mean()),
        "divergences": int(sum(info.diverged.sum() for info in infos)),
        "precision": engine.precision,
        "seeds": json.dumps({"chains": task.seeds}),
    }
    spent = f"budget of {done} draws a chain spent: ess {verdict.ess:.0f}, rhat {verdict.rhat:.4f}"
    return Outcome(draws, table, verdict.converged, "" if verdict.converged else spent, attributes)


def _stacked(rows: Sequence[tuple[Any, ...]]) -> tuple[Draws, _kernel.Info]:
    """Records and reports of a block of all chains, with axes (chain, draw)."""
    import jax

    records, infos, _ = jax.tree.map(lambda *values: np.stack(values), *rows)
    return records, infos


def _estimated(task: Task, blocks: Sequence[Draws]) -> tuple[Draws, dict[str, np.ndarray]]:
    """All draws so far with the functionals of the predictor, and the statistics of the cube's observables."""
    merged = {name: np.concatenate([block[name] for block in blocks], axis=1) for name in blocks[0]}
    draws = add_functionals(merged, task.dataset.y_train, task.dataset.y_test)
    names = [n for n in draws if n not in UNITS and n != "equipartition_defect"]
    return draws, {name: statistics(draws[name]) for name in names}
