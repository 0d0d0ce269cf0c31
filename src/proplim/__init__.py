"""Feature learning in Bayesian one-hidden-layer networks in the proportional limit.

Stages, each usable on arrays without a workflow: ``datasets``, ``activations``, ``kernels``, ``theory``,
``sampling``, ``dynamics``, ``geometry``, ``cube``, ``figures``. The functions named in ``__all__`` are the usual
entry points. Everything is imported when first used: ``import proplim`` alone costs nothing.
"""

from __future__ import annotations

from proplim._lazy import lazy_names

__version__ = "0.2.0"

_STAGES = (
    "activations",
    "config",
    "cube",
    "datasets",
    "dynamics",
    "explore",
    "figures",
    "geometry",
    "kernels",
    "query",
    "sampling",
    "study",
    "theory",
)
_NAMES = {
    "Dataset": "datasets",
    "load_dataset": "datasets",
    "register_activation": "activations",
    "register_source": "datasets",
    "solve_grid": "theory",
    "sample_posterior": "sampling",
    "SamplingSettings": "sampling",
    "train": "dynamics",
    "DynamicsSettings": "dynamics",
    "load_config": "config",
}

__all__ = ["__version__", *_STAGES, *_NAMES]


__getattr__ = lazy_names(__name__, {**dict.fromkeys(_STAGES, ""), **_NAMES})


def __dir__() -> list[str]:
    return sorted(__all__)
