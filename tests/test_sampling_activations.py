"""Sampling with activations that are not erf: the equipartition identity holds for every one of them."""

from __future__ import annotations

import pytest
from arviz_stats.base import array_stats

from conftest import gaussian_dataset
from proplim.sampling import SamplingSettings, sample_posterior


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_equipartition(activation):
    # lambda1 <|v|^2>/N = 1 + <(y - f).f>/(T N) exactly (docs/theory.md, eq. 10.1); four standard errors, the error
    # measured with the effective sample size: false-alarm rate 6e-5 for each activation, the seed is fixed.
    settings = SamplingSettings(chains=2, target_ess=200, max_rhat=1.05)
    sample = sample_posterior(
        gaussian_dataset(10, 4),
        activation,
        width=6,
        temperature=0.3,
        lambda0=0.7,
        lambda1=1.6,
        settings=settings,
    )
    assert float(sample.summary.converged) == 1
    defect = sample.draws.equipartition_defect
    error = float(array_stats.mcse(defect.values, chain_axis=0, draw_axis=1))
    assert abs(float(defect.mean())) < 4 * error
    assert error < 0.2 * float(sample.summary.readout_variance.sel(statistic="mean"))
