"""Posterior sampling of finite networks with the readout integrated out exactly (docs/sampler.md).

Names are imported on first use: a configuration needs the settings alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proplim._lazy import lazy_names

if TYPE_CHECKING:
    from proplim.sampling._posterior import PosteriorSample, Progress, sample_posterior, sample_temperatures
    from proplim.sampling._settings import SamplingSettings

_HOME = {
    **dict.fromkeys(("PosteriorSample", "Progress", "sample_posterior", "sample_temperatures"), "_posterior"),
    "SamplingSettings": "_settings",
}

__all__ = ["PosteriorSample", "Progress", "SamplingSettings", "sample_posterior", "sample_temperatures"]


__getattr__ = lazy_names(__name__, _HOME)
