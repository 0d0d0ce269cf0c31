"""Posterior sampling of finite networks with the readout integrated out exactly (docs/sampler.md)."""

from proplim.sampling._posterior import PosteriorSample, Progress, sample_posterior, sample_temperatures
from proplim.sampling._settings import SamplingSettings

__all__ = ["PosteriorSample", "Progress", "SamplingSettings", "sample_posterior", "sample_temperatures"]
