"""Two phases: found from both sides, weighed by sweeps, and never taken for one."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pytest
from scipy import stats
from scipy.special import logit

from conftest import gaussian_dataset
from proplim.datasets import Dataset, load_dataset
from proplim.sampling import (
    SamplingSettings,
    _adaptation,
    _engine,
    _estimates,
    _phases,
    _posterior,
    _predictor,
    _program,
    _random,
    _starts,
    sample_posterior,
    sample_temperatures,
)
from proplim.sampling._adaptation import common_step, is_settled


def double_well(rng: np.random.Generator, share: float, shape: tuple[int, int]) -> np.ndarray:
    """Draws of a mixture of N(0, 0.05^2) and, with that share, N(1, 0.1^2)."""
    heavy = rng.random(shape) < share
    return np.where(heavy, rng.normal(1.0, 0.1, shape), rng.normal(0.0, 0.05, shape))


def test_clusters_are_found_where_there_are_two():
    rng = np.random.default_rng(0)
    found = _phases.clusters_of(double_well(rng, 0.3, (4, 200)))
    assert found is not None
    np.testing.assert_allclose(found.means, [0.0, 1.0], atol=0.03)
    assert 0.2 < found.threshold < 0.8
    for one in (rng.normal(size=(4, 200)), rng.random((4, 200)), rng.exponential(size=(4, 50))):
        assert _phases.clusters_of(one) is None


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_sweep_gives_the_weight_of_a_known_double_well(share):
    """Exact draws in the windows of a mixture of two Gaussians: ln ratio within four errors (6e-5 a false alarm)."""
    rng = np.random.default_rng(1)
    windows = _phases.Windows(np.linspace(-0.2, 1.3, 31), 20.0**2)
    grid = np.linspace(-1.0, 2.0, 60001)
    density = (1 - share) * stats.norm.pdf(grid, 0, 0.05) + share * stats.norm.pdf(grid, 1, 0.1)
    found = []
    for _ in range(30):
        values = []
        for centre in windows.centres:
            held = density * np.exp(-0.5 * windows.strength * (grid - centre) ** 2)
            values.append(np.interp(rng.random(60), np.cumsum(held) / held.sum(), grid))
        found.append(_phases.log_ratio(np.array(values), windows, 0.5))
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - logit(share)) < 4 * error
    assert error < 0.2
    down = windows._replace(centres=windows.centres[::-1])
    assert _phases.log_ratio(np.array(values)[::-1], down, 0.5) == pytest.approx(found[-1], abs=1e-4)


@pytest.mark.slow
def test_one_sided_starts_are_wrong_on_a_double_well_and_weighed_phases_are_right():
    """Chains that never pass between two wells agree on a wrong mean by themselves; with the weights they are right.

    400 repetitions; the true mean is within 1.96 errors in 95 % of them, with a binomial error of 1.1 %: five of
    them on either side (6e-7 a false alarm).
    """
    rng, share, covered = np.random.default_rng(2), 0.7, []
    for _ in range(400):
        cold = rng.normal(0.0, 0.05, (4, 300))
        one_sided = _estimates.statistics(cold)
        assert one_sided[3] < 1.02  # they agree
        assert abs(one_sided[0] - share) > 100 * one_sided[1]  # and are wrong
        both = np.concatenate([cold[:2], rng.normal(1.0, 0.1, (2, 300))])
        assert _estimates.statistics(both)[3] > 1.5  # both kinds of starts disagree
        windows = _phases.Windows(np.zeros(1), 1.0)
        phases = _phases.Phases(0.5, windows, logit(share) + rng.normal(0.0, 0.5, 20))
        mean, mcse, ess, rhat = _estimates.statistics(both, _phases.partition(phases, both))
        assert rhat < 1.02  # within the phases they agree
        assert ess == pytest.approx((share * (1 - share) + 0.008) / mcse**2, rel=0.15)
        covered.append(abs(mean - share) < 1.96 * mcse)
    assert abs(np.mean(covered) - 0.95) < 5 * 0.011


def test_statistics_of_two_phases_are_those_of_one_where_there_is_one():
    values = np.random.default_rng(3).normal(size=(4, 100, 2))
    parts = _phases.whole(4, 100)
    np.testing.assert_array_equal(_estimates.statistics(values, parts), _estimates.statistics(values))


def test_functionals_of_the_predictor_do_not_depend_on_how_draws_of_one_phase_were_stored():
    """Where the other phase was left out, or its weight is that of the visits, all draws count alike."""
    rng = np.random.default_rng(0)
    y, predictor = np.sign(rng.normal(size=5)), rng.normal(size=(4, 60, 5))
    targets = _predictor.Targets(y)
    reference = _predictor.reference_of(predictor, targets)
    one = _phases.whole(4, 60)
    expected = _predictor.functionals(
        _predictor.reduced(predictor, reference, one.heavy), reference, targets, one
    )
    mean = predictor.mean((0, 1))
    assert expected[0].mean() == pytest.approx(((y - mean) ** 2).mean(), abs=0.02)
    for share in (0.3, 1.0):
        heavy = rng.random((4, 60)) < share
        stored = _predictor.reduced(predictor, reference, heavy)
        for found, value in zip(
            _predictor.functionals(stored, reference, targets, one), expected, strict=True
        ):
            np.testing.assert_allclose(found.mean(), value.mean(), atol=1e-12)
            # of single draws the part that takes the batch's mean differs by what the batches are
            np.testing.assert_allclose(found, value, atol=0.1 if share < 1 else 1e-12)


def test_a_phase_is_left_out_only_if_its_weight_is_surely_small():
    windows = _phases.Windows(np.zeros(1), 1.0)
    sure, unsure = (_phases.Phases(0.5, windows, np.array(r)) for r in ([-20.0, -21.0], [-9.0, -3.0]))
    assert sure.only == 0
    assert unsure.only is None
    assert _phases.Phases(0.5, windows, np.array([20.0, 21.0])).only == 1


@pytest.mark.parametrize(("ratio", "only"), [(12.0, 1), (8.0, None), (-12.0, None)])
def test_the_first_sweep_upwards_speaks_against_the_lower_phase_alone(ratio, only):
    windows = _phases.Windows(np.zeros(1), 1.0)
    assert _phases.Phases(0.5, windows, np.array([ratio])).only == only
    assert _phases.Phases(0.5, windows, np.array([-12.0, -13.0])).only == 0
    assert [_phases.next_sweeps(done) for done in (0, 1, 2, 4)] == [[0], [1], [2, 3], [4, 5]]


def test_a_chain_on_its_way_is_not_settled():
    rng = np.random.default_rng(4)
    still = rng.normal(size=(2, 50))
    assert is_settled(*still)
    assert not is_settled(still[0], still[1] + 2.0)


def test_one_step_serves_both_phases():
    steps = np.log([0.3, 0.28, 0.1, 0.12])
    assert np.exp(common_step(steps, np.array([False, False, True, True]))) == pytest.approx(
        np.sqrt(0.1 * 0.12)
    )
    assert np.exp(common_step(steps, np.zeros(4, bool))) == pytest.approx(np.sqrt(0.28 * 0.12))


def coexisting() -> Dataset:
    """Labels along one direction of many inputs: few units, a heavy one at low temperature."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 20))
    y = np.sign(x @ rng.standard_normal(20))
    return Dataset(x, y, x[:4], y[:4])


@pytest.mark.slow
def test_half_of_the_chains_start_with_a_heavy_unit():
    kinds = [_starts.kind_of_start(c, 5) for c in range(5)]
    assert kinds == [_starts.PRIOR] * 3 + [_starts.HEAVY] * 2
    assert _starts.kind_of_start(1, 2) == _starts.HEAVY
    settings = SamplingSettings(min_draws=50, max_draws=50, chains=3)
    sample = sample_posterior(coexisting(), "erf", width=20, temperature=0.05, settings=settings)
    assert sample.sample_stats.start.values.tolist() == [_starts.PRIOR, _starts.PRIOR, _starts.HEAVY]


def test_sample_stats_tell_of_every_draw():
    settings = SamplingSettings(min_draws=100, max_draws=100)
    sample = sample_posterior(gaussian_dataset(6, 4, 6), "erf", width=5, temperature=0.3, settings=settings)
    found = sample.sample_stats
    assert found.acceptance_rate.dims == found.n_steps.dims == ("chain", "draw")
    assert float(found.acceptance_rate.mean()) == pytest.approx(sample.summary.attrs["acceptance"])
    assert int(found.n_steps.sum()) == sample.summary.attrs["gradients"]
    assert not found.diverging.any()
    assert np.isfinite(found.energy).all()
    assert np.allclose(found.step_size, sample.summary.attrs["step_size"])
    assert (found.draw_weight == 1).all()
    assert set(sample.groups()) == {"posterior", "sample_stats"}


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_goes_on_from_a_checkpoint_to_the_same_bits(threads):
    """Every checkpoint of a run, among them one before the first draw; damaged and foreign ones are ignored."""
    data, kept = gaussian_dataset(6, 4, 6), []
    settings = SamplingSettings(warmup=60, min_draws=100, max_draws=200, target_ess=1e5)
    point = {"width": 5, "temperature": 0.3, "settings": settings, "threads": threads}
    whole = sample_posterior(data, "erf", checkpoint=kept.append, checkpoint_seconds=0.0, **point)
    assert len(kept) > 5
    for data_of_checkpoint in (kept[0], kept[2], kept[-2], kept[-2][:100], b""):
        again = sample_posterior(data, "erf", resume=data_of_checkpoint, **point)
        assert again.summary.identical(whole.summary)
        assert again.draws.identical(whole.draws)
        assert again.sample_stats.identical(whole.sample_stats)
    other = sample_posterior(data, "erf", resume=kept[-2], **(point | {"temperature": 0.5}))
    alone = sample_posterior(data, "erf", **(point | {"temperature": 0.5}))
    assert other.summary.identical(alone.summary)
    assert json.loads(whole.summary.attrs["seeds"])


@pytest.mark.shared
@pytest.mark.slow
def test_sweeps_weigh_the_phases_as_chains_do_that_pass_between_them(shared_dir):
    """MNIST 4 against 9, P = 100, N = 50, T = 0.065: 8 sweeps against 6000 draws of chains that visit both phases.

    Measured: visits 3.11 +- 0.17, sweeps 3.39 +- 0.36 for ln of the ratio; within four combined errors (6e-5).
    """
    temperature = 0.065
    folder = shared_dir / "data" / "mnist"
    data = load_dataset("mnist", classes=(4, 9), n_train=100, n_test=20, root=folder)
    settings = SamplingSettings(min_draws=1500, max_draws=1500, target_acceptance=0.9)
    sample = sample_posterior(data, "erf", width=50, temperature=temperature, settings=settings)
    heavy = sample.sample_stats.heavy_readout.values
    assert sample.sample_stats.acceptance_rate.values.mean(1).min() > 0.7
    threshold = 0.5
    share, error, ess, rhat = _estimates.statistics((heavy > threshold).astype(float))
    assert ess > 100
    assert rhat < 1.05
    clusters = _phases.Clusters(np.array([0.35, 0.8]), np.array([0.04, 0.08]), threshold)
    windows = _phases.windows_between(clusters, 50)
    network = {"width": 50, "lambda0": 1.0, "lambda1": 1.0}
    (task,) = _posterior._tasks(data, "erf", network, [temperature], settings, 1, None)
    engine = _engine.engine_of(task)
    schedule, ratios = _adaptation.heating(temperature, 100), []
    for sweep in range(8):
        key = _random.key_of(task.sweep_seed(1000 + sweep))
        options = {"activation": task.activation, "dtype": np.float32, "width": 50}
        start = partial(_starts.with_heavy_unit, engine.problem)
        chain, _ = _program.warm_up(engine.problem, engine.path, key, schedule, start=start, **options)
        order = windows if sweep % 2 else windows._replace(centres=windows.centres[::-1])
        values, _ = engine.sweep(_random.key_of(task.sweep_seed(sweep)), chain, order)
        ratios.append(_phases.log_ratio(values, order, threshold))
    phases = _phases.Phases(threshold, windows, np.array(ratios))
    error_of_visits = error / (share * (1 - share))
    assert abs(phases.ratio - logit(share)) < 4 * np.hypot(phases.error, error_of_visits)
    assert np.hypot(phases.error, error_of_visits) < 1.0


@pytest.mark.shared
@pytest.mark.slow
def test_every_chain_moves_on_both_sides_of_the_transition(shared_dir):
    """MNIST 4 against 9, P = 100, N = 50, across T_c = 0.06: acceptance of single chains, and a sound predictor."""
    data = load_dataset("mnist", classes=(4, 9), n_train=100, n_test=20, root=shared_dir / "data" / "mnist")
    settings, shares = SamplingSettings(target_ess=100), []
    for sample in sample_temperatures(
        data, "erf", width=50, temperatures=[0.3, 0.1, 0.05, 0.02], settings=settings
    ):
        assert bool(sample.summary.converged)
        acceptance = sample.sample_stats.acceptance_rate.mean("draw").values
        assert ((acceptance > 0.5) & (acceptance < 0.9)).all(), acceptance
        mean = sample.summary.sel(statistic="mean")
        assert (mean.predictive_variance > 0).all()
        assert (mean.bias_sq < 1).all()
        shares.append(float(mean.heavy_unit_share))
    assert shares[0] < 0.2
    assert shares[-1] > 0.4
