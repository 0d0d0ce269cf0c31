"""Chains of one point, from both sides of a possible transition, until the verdict is that they suffice.

A run goes through stages, one step at a time: chains start and are brought to their temperature, adapt until they are
stationary, are weighed against each other where they are in two phases, and are drawn from. Every step is a function of
the run alone, so that a run can be stored between two steps and gone on with to the same bits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from proplim.sampling._adaptation import (
    ACCEPTANCE_RANGE,
    Schedule,
    common_step,
    cooling,
    heating,
    is_settled,
    trajectories_at_temperature,
)
from proplim.sampling._engine import Engine, Rows, engine_of
from proplim.sampling._estimates import Draws, error_of_weights, phase_means, statistics
from proplim.sampling._kept import DIAGNOSTICS, Kept
from proplim.sampling._phases import (
    Clusters,
    Partition,
    Phases,
    clusters_of,
    log_ratio,
    next_sweeps,
    partition,
    whole,
    windows_between,
)
from proplim.sampling._predictor import Targets
from proplim.sampling._program import BLOCK, Chain, draws_stretch, settled, warmup_stretch
from proplim.sampling._random import Key, key_of
from proplim.sampling._run import Run, from_bytes, to_bytes
from proplim.sampling._starts import HEAVY, kind_of_start, with_heavy_unit
from proplim.sampling._stopping import Verdict, judge, next_check, share_done
from proplim.sampling._task import Standing, Task
from proplim.seeds import canonical_json

MOST_SETTLING = 10
"""Blocks in which chains adapt on after the warm-up, until they are stationary."""
MOST_RESTARTS = 4
"""Times that chains are adapted anew, and their draws begun anew, after a change of phase."""
RECENT = 2
"""Blocks over which the acceptance of a chain is looked at."""
VISITS = 0.05
"""Share of the adaptation's last window that a chain may spend in the other phase and still count as in one of them."""
MIXING_ESS, MIXING_RHAT = 20.0, 1.1
"""Least ESS and largest R-hat of being in a phase at which visits of the chains say its weight."""
MOST_SWEEPS = 60
"""Sweeps between the two phases at most."""
WATCHED = ("log_likelihood", "heavy")
"""What has to be stationary before the step size is fixed."""


class Outcome(NamedTuple):
    """What sampling a point gave.

    Parameters
    ----------
    draws : dict
        Observable to array (chain, draw, ...).
    table : dict
        Observable to array (statistic, ...).
    reports : dict
        Reports of the trajectories by name, (chain, draw).
    starts : list of str
        Kind of start of each chain.
    parts : Partition
        Draws by phase.
    phase_means : dict
        Observable to its mean in each phase, (2, ...); empty where there is one phase.
    converged : bool
    reason : str
        Why not; empty where converged.
    attributes : dict
        How it was sampled.
    """

    draws: Draws
    table: dict[str, np.ndarray]
    reports: Draws
    starts: list[str]
    parts: Partition
    phase_means: dict[str, np.ndarray]
    converged: bool
    reason: str
    attributes: dict[str, Any]


Map = Callable[..., Any]


class Site(NamedTuple):
    """What the steps of a run share: the task, its program, keys, targets of each split, and a parallel map."""

    task: Task
    engine: Engine
    keys: list[Key]
    targets: dict[str, Targets]
    map: Map


def sample_point(task: Task) -> Outcome:
    """Sample until every observable is known well enough, or the budget is spent.

    Raises
    ------
    FloatingPointError
        If an energy is not finite, or no trajectory is ever accepted.
    """
    identity = canonical_json(
        [task.seeds, task.settings.model_dump(mode="json"), [v.name for v in task.what.observables]]
    )
    run = (from_bytes(task.resume, identity) if task.resume else None) or Run()
    saved = time.monotonic()
    with ThreadPoolExecutor(min(task.threads, task.settings.chains)) as pool:
        site = Site(task, engine_of(task), [key_of(seed) for seed in task.seeds], task.targets(), pool.map)
        while run.stage != "done":
            _STEPS[run.stage](site, run)
            if task.checkpoint and time.monotonic() - saved >= task.checkpoint_seconds:
                saved = time.monotonic()
                task.checkpoint(to_bytes(run, identity))
    return _outcome(site, run)


def _start(site: Site, run: Run) -> None:
    """Draw all chains from the prior, and put a heavy unit into some."""
    count, temperature = site.task.settings.chains, site.task.temperature
    stretch = warmup_stretch(Schedule(np.array([temperature]), np.zeros(1)), 0, opening=True)
    stretch = stretch._replace(trajectories=0)
    run.members = list(range(count))
    run.chains = [
        c for c, _ in site.map(lambda key: site.engine.advance(key, site.engine.start, stretch), site.keys)
    ]
    for index, chain in enumerate(run.chains):
        if kind_of_start(index, count) == HEAVY:
            hidden = with_heavy_unit(site.engine.problem, chain.state.hidden)
            state = chain.state._replace(hidden=hidden, temperature=np.float64(np.nan))
            run.chains[index] = chain._replace(state=state)
    run.stage = "warm-up"


def _warm_up(site: Site, run: Run) -> None:
    """A block of the warm-up; at its end a chain is at its temperature."""
    settings, temperature = site.task.settings, site.task.temperature
    schedules = [
        (heating if kind_of_start(m, settings.chains) == HEAVY else cooling)(temperature, settings.warmup)
        for m in run.members
    ]
    _adapt(site, run, schedules, run.position)
    run.position += BLOCK
    if run.position >= settings.warmup:
        last = trajectories_at_temperature(settings.warmup)
        tails = [np.concatenate([r[name] for r in run.reports], axis=1)[:, -last:] for name in WATCHED]
        halves = zip(*(np.array_split(tail, 2, axis=1) for tail in tails), strict=True)
        run.reports = [dict(zip(WATCHED, half, strict=True)) for half in halves]
        run.stage, run.position = "settling", 0


def _adapt(site: Site, run: Run, schedules: Sequence[Schedule], first: int) -> None:
    """A block of all chains in which the step size is learned."""

    def block(key: Key, chain: Chain, schedule: Schedule) -> tuple[Chain, Rows]:
        return site.engine.advance(key, chain, warmup_stretch(schedule, first, opening=False))

    results = list(site.map(block, _keys(site, run), run.chains, schedules))
    run.chains = [chain for chain, _ in results]
    run.gradients["warmup"] += sum(int(rows[1].gradients.sum()) for _, rows in results)
    run.reports.append({n: np.stack([getattr(rows[1], n) for _, rows in results]) for n in WATCHED})
    if not all(np.isfinite(float(chain.state.log_likelihood)) for chain in run.chains):
        raise FloatingPointError("the log-likelihood is not finite in the warm-up")


def _settle(site: Site, run: Run) -> None:
    """Adapt on while a chain's energy or heavy readout is still on its way; then fix the step size."""
    moving = len(run.reports) < 2 or any(
        not is_settled(earlier, later)
        for name in run.reports[-1]
        for earlier, later in zip(run.reports[-2][name], run.reports[-1][name], strict=True)
    )
    if moving and run.position < MOST_SETTLING:
        age = run.position * BLOCK + (
            0 if run.restarts else trajectories_at_temperature(site.task.settings.warmup)
        )
        schedule = Schedule(np.full(BLOCK, site.task.temperature), age + np.arange(float(BLOCK)))
        _adapt(site, run, [schedule] * len(run.chains), 0)
        run.reports, run.position = run.reports[-2:], run.position + 1
        return
    heavy = np.concatenate([report["heavy"] for report in run.reports[-2:]], axis=1)
    clusters = clusters_of(heavy)
    latest = run.reports[-1]["heavy"]
    share = (latest > clusters.threshold).mean(1) if clusters else np.zeros(len(heavy))
    above = share > 0.5
    log_step = common_step(_adapted_steps(run), above)
    _fix_step(run, log_step if run.restarts == 0 else min(log_step, run.log_step))
    apart = above.any() and not above.all() and (np.minimum(share, 1.0 - share) < VISITS).all()
    if apart and clusters is not None and run.phases is None:
        run.phases = Phases(clusters.threshold, windows_between(clusters, site.task.point.width), np.zeros(0))
    run.stage = "weighing" if run.phases is not None and not len(run.phases.ratios) else "drawing"
    run.reports, run.kept, run.check = [], Kept(), site.task.settings.min_draws


def _weigh(site: Site, run: Run) -> None:
    """A round of sweeps between the phases; chains of a phase without weight are left out."""
    assert run.phases is not None
    phases, count = run.phases, len(run.phases.ratios)
    heavy = np.array([float(chain.state.heavy) for chain in run.chains])
    # upwards from a chain without a heavy unit if there is one, else from the lightest; downwards alike
    sides = [np.flatnonzero((heavy > phases.threshold) == side) for side in (False, True)]
    extreme = (int(np.argmin(heavy)), int(np.argmax(heavy)))

    def sweep(number: int) -> tuple[float, int]:
        pair, down = divmod(number, 2)
        side = sides[down]
        start = int(side[pair % len(side)]) if len(side) else extreme[down]
        windows = _reversed(phases.windows) if down else phases.windows
        values, gradients = site.engine.sweep(
            key_of(site.task.sweep_seed(number)), run.chains[start], windows
        )
        return log_ratio(values, windows, phases.threshold), gradients

    found = list(site.map(sweep, next_sweeps(count)))
    run.gradients["sweeps"] += sum(gradients for _, gradients in found)
    run.phases = phases._replace(ratios=np.append(phases.ratios, [ratio for ratio, _ in found]))
    if run.phases.only is not None:
        run.stage = "drawing"
        _leave_out(site, run, heavy)
    elif len(run.phases.ratios) > 1:
        run.stage = "drawing"


def _leave_out(site: Site, run: Run, heavy: np.ndarray) -> None:
    """Go on with the chains of the only phase, at a step that suits them."""
    assert run.phases is not None
    left = [i for i, h in enumerate(heavy) if (h > run.phases.threshold) == bool(run.phases.only)]
    if not left or len(left) == len(run.chains):
        return
    run.members = [run.members[i] for i in left]
    run.chains = [run.chains[i] for i in left]
    if run.restarts == 0:
        _fix_step(run, float(np.median(_adapted_steps(run))))
    run.kept, run.check = Kept(), site.task.settings.min_draws


def _adapted_steps(run: Run) -> np.ndarray:
    """Logarithm of the step that each chain has adapted to."""
    return np.array([float(chain.step.average) for chain in run.chains])


def _fix_step(run: Run, log_step: float) -> None:
    """One step for the draws of all chains."""
    run.log_step = log_step
    run.chains = [_with_step(chain, log_step) for chain in run.chains]


def _reversed(windows: Any) -> Any:
    return windows._replace(centres=windows.centres[::-1])


def _draw(site: Site, run: Run) -> None:
    """A block of draws, and at a check the verdict."""
    settings, kept = site.task.settings, run.kept
    stretch = draws_stretch(site.engine.problem.temperature, opening=kept.draws == 0)
    results = list(site.map(partial(site.engine.advance, stretch=stretch), _keys(site, run), run.chains))
    run.chains = [chain for chain, _ in results]
    threshold = run.phases.threshold if run.phases is not None else np.inf
    kept.add([rows for _, rows in results], site.targets, threshold)
    done = kept.draws
    if _misses_its_step(run) and done < settings.max_draws:
        run.restarts += 1
        run.stage, run.position = "settling", 0
        # the block with the wrong step is the earlier window, so that chains adapt for one block at least
        run.reports = [{name: kept.report(name)[:, -BLOCK:] for name in WATCHED}]
        return
    if done < min(run.check, settings.max_draws):
        site.task.report(Standing(done, np.nan, np.nan, done / max(run.check, 1)))
        return
    parts, draws, table, verdict = _estimated(site, run)
    site.task.report(Standing(done, verdict.ess, verdict.rhat, share_done(verdict)))
    if verdict.converged or done >= settings.max_draws:
        run.stage = "done"
    elif run.phases is None and (clusters := _unmixed(kept)) is not None:
        run.phases = Phases(clusters.threshold, windows_between(clusters, site.task.point.width), np.zeros(0))
        run.kept, run.check, run.stage = Kept(), settings.min_draws, "weighing"
    elif (
        _weights_limit(draws, table, parts, verdict)
        and run.phases is not None
        and len(run.phases.ratios) < MOST_SWEEPS
    ):
        run.stage = "weighing"
    else:
        run.check = next_check(done, verdict)


def _misses_its_step(run: Run) -> bool:
    """Whether the acceptance of a chain says that its step was adapted to where it no longer is."""
    if run.restarts >= MOST_RESTARTS or len(run.kept.reports) < RECENT:
        return False
    recent = np.concatenate([r["acceptance"] for r in run.kept.reports[-RECENT:]], axis=1).mean(1)
    return bool((recent < ACCEPTANCE_RANGE[0]).any())


def _weights_limit(draws: Draws, table: Draws, parts: Partition, verdict: Verdict) -> bool:
    """Whether it is the weights of the phases that leave the worst ESS too small."""
    for name, row in table.items():
        error, ess = row[1], row[2]
        worst = np.nan_to_num(ess, nan=np.inf) <= verdict.ess * (1 + 1e-9)
        if worst.any() and (error_of_weights(draws[name], parts)[worst] > np.sqrt(0.5) * error[worst]).any():
            return True
    return False


def _unmixed(kept: Kept) -> Clusters | None:
    """The two phases between which chains pass too rarely for the draws to say their weights; None without any."""
    heavy = kept.report("heavy")
    clusters = clusters_of(heavy)
    return None if clusters is None or _mixes(heavy > clusters.threshold) else clusters


def _mixes(above: np.ndarray) -> bool:
    """Whether chains have passed between two phases, (chain, draw), often enough to weigh them by their visits."""
    _, _, ess, rhat = statistics(above.astype(float))
    return bool(ess >= MIXING_ESS and rhat < MIXING_RHAT)


Estimate = tuple[Partition, Draws, dict[str, np.ndarray], Verdict]


def _estimated(site: Site, run: Run) -> Estimate:
    """Draws by phase, all draws so far, the statistics of the cube's observables and the verdict on them.

    Of two phases the weights come from sweeps, or from the visits of chains that pass between them often: whichever
    gives the larger worst ESS.
    """
    heavy = run.kept.report("heavy")
    one = whole(*heavy.shape)
    if run.phases is None or run.phases.only is not None or not len(run.phases.ratios):
        return _estimate(site, run, one)
    weighed = _estimate(site, run, partition(run.phases, heavy))
    if not _mixes(heavy > run.phases.threshold):
        return weighed
    visited = _estimate(site, run, one)
    return visited if visited[-1].ess >= weighed[-1].ess else weighed


def _estimate(site: Site, run: Run, parts: Partition) -> Estimate:
    draws = run.kept.observed(site.targets, parts)
    table = {name: statistics(draws[name], parts) for name in draws if name not in DIAGNOSTICS}
    return parts, draws, table, judge(table, site.task.settings)


def _outcome(site: Site, run: Run) -> Outcome:
    task, kept = site.task, run.kept
    parts, draws, table, verdict = _estimated(site, run)
    acceptance = kept.report("acceptance")
    if not np.isfinite([float(c.state.log_likelihood) for c in run.chains]).all() or acceptance.max() == 0.0:
        raise FloatingPointError("no trajectory was accepted, or the energy is not finite")
    two = bool(parts.heavy.any() and not parts.heavy.all())
    attributes: dict[str, Any] = {
        "draws_per_chain": kept.draws,
        "warmup_per_chain": task.settings.warmup,
        "gradients": int(kept.report("gradients").sum()),
        "warmup_gradients": run.gradients["warmup"],
        "sweep_gradients": run.gradients["sweeps"],
        "restarts": run.restarts,
        "step_size": float(np.exp(run.log_step)),
        "acceptance": float(acceptance.mean()),
        "divergences": int(kept.report("diverged").sum()),
        "precision": site.engine.precision,
        "seeds": json.dumps({"chains": task.seeds}),
    }
    if run.phases is not None:
        attributes["phases"] = canonical_json(
            {
                "threshold": float(run.phases.threshold),
                "ln_ratio": run.phases.ratio,
                "ln_ratio_error": run.phases.error,
                "sweeps": len(run.phases.ratios),
                "weight_with_heavy_unit": float(run.phases.weights[1]),
                "left_out": run.phases.only is not None,
            }
        )
    reason = ""
    if not verdict.converged:
        reason = f"budget of {kept.draws} draws a chain spent: ess {verdict.ess:.0f}, rhat {verdict.rhat:.4f}"
        if run.phases is not None and run.phases.only is None:
            parts = partition(run.phases, kept.report("heavy"))
            reason = f"two phases, {_weight_of(parts)} with a heavy unit; {reason}"
    return Outcome(
        draws,
        table,
        {name: kept.report(name) for name in kept.reports[0]},
        [kind_of_start(m, task.settings.chains) for m in run.members],
        parts,
        {name: phase_means(draws[name], parts) for name in table} if two else {},
        verdict.converged,
        reason,
        attributes,
    )


def _weight_of(parts: Partition) -> str:
    return f"{parts.weights[1]:.3f} +- {parts.weight_error:.3f}"


def _keys(site: Site, run: Run) -> list[Key]:
    return [site.keys[m] for m in run.members]


def _with_step(chain: Chain, log_step: float) -> Chain:
    chain = settled(chain)
    return chain._replace(step=chain.step._replace(log_step=np.float64(log_step)))


_STEPS: dict[str, Callable[[Site, Run], None]] = {
    "start": _start,
    "warm-up": _warm_up,
    "settling": _settle,
    "weighing": _weigh,
    "drawing": _draw,
}
