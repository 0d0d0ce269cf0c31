"""Stragglers: the training inputs that are learned last, and what they do to the distance of the classes.

The rise of D(t) is the work of the inputs that are easily told apart; the fall after its maximum is
attributed to the few that are still misfit then (arXiv:2303.05161).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from proplim.activations import Activation
from proplim.datasets import Dataset
from proplim.dynamics._inversion import find_turn
from proplim.dynamics._network import Parameters, Problem, Start
from proplim.dynamics._observables import observe, observe_inputs
from proplim.dynamics._replicas import Kept, Progress, Record
from proplim.dynamics._settings import DynamicsSettings
from proplim.dynamics._train import axes_of, cube_of, network_point, run_point, stacked
from proplim.dynamics.optimizers import Optimizer
from proplim.errors import InvalidInput
from proplim.geometry import class_weights, contrast

_DIMS = {
    "margin": ("time", "train_index"),
    "motion_rise": ("train_index",),
    "motion_fall": ("train_index",),
    "drive_rise": ("train_index",),
    "drive_fall": ("train_index",),
    "inversion_margin": ("train_index",),
    "inversion_time": (),
}
_LONG_NAMES = {
    "margin": "margin y f of a training input",
    "motion_rise": "part of the rise of D that is the input's own motion in feature space",
    "motion_fall": "part of the fall of D that is the input's own motion in feature space",
    "drive_rise": "part of the rise of D that the input's gradient causes",
    "drive_fall": "part of the fall of D that the input's gradient causes",
    "inversion_margin": "margin y f of a training input at the maximum of D",
    "inversion_time": "recorded time of the first maximum of D, training inputs (NaN where it does not turn)",
}


def stragglers(
    dataset: Dataset,
    activation: str | Activation,
    *,
    width: int,
    lambda0: float = 1.0,
    lambda1: float = 1.0,
    settings: DynamicsSettings | None = None,
) -> xr.Dataset:
    """Attribute rise and fall of D(t) on the training inputs to single training inputs.

    For the same replicas as :func:`proplim.dynamics.train`; :func:`train_with_stragglers` trains once for
    both.

    Parameters
    ----------
    dataset, activation, width, lambda0, lambda1, settings
        As in :func:`proplim.dynamics.train`.

    Returns
    -------
    xarray.Dataset
        Dimensions (optimizer, replica[, time], train_index), coordinate ``label`` along train_index.

        margin : y f(x).
        motion_rise, motion_fall : with Delta the difference of the centroids, s/P_s the weight of an input
            in it, sum over the recorded intervals before the maximum (between it and the end of the fall) of
            (s/P_s) [sigma(h(x))]_now-then . (Delta_now + Delta_then) / N. Adds up over inputs to the rise
            (fall) of D without error. Negative values lower D.
        drive_rise, drive_fall : integral over the same times of the part of dD/dt that comes from the
            gradient of this input's own loss, under gradient flow (trapezoidal rule over the recorded times;
            adds up to the rise and fall within that rule's error; NaN for optimizers that do not follow the flow,
            such as adam).
        inversion_margin, inversion_time : at the recorded time of the first maximum of D.

        NaN where D does not turn (rise and fall have no border then), and for diverged replicas.

    Raises
    ------
    InvalidInput
        As :func:`train_with_stragglers`.

    Notes
    -----
    docs/dynamics.md, section 5.
    """
    return train_with_stragglers(
        dataset, activation, width=width, lambda0=lambda0, lambda1=lambda1, settings=settings
    )[1]


def train_with_stragglers(
    dataset: Dataset,
    activation: str | Activation,
    *,
    width: int,
    lambda0: float = 1.0,
    lambda1: float = 1.0,
    settings: DynamicsSettings | None = None,
    threads: int = 1,
    progress: Callable[[Progress], None] | None = None,
    kept: Kept | None = None,
) -> tuple[xr.Dataset, xr.Dataset]:
    """What :func:`proplim.dynamics.train` and :func:`stragglers` return, from one training.

    The first is the same to the bit as without the second.

    Raises
    ------
    InvalidInput
        As :func:`train`, and for three and more classes, between whose pairs there are many D.
    """
    settings = settings or DynamicsSettings()
    if dataset.n_outputs > 1:
        raise InvalidInput(
            "stragglers", True, "false: D is attributed to single inputs for two classes alone"
        )

    def reduce(optimizer: type[Optimizer], record: Record) -> Record:
        parts = _attribute(record, dataset.y_train, settings.times, driven=optimizer.follows_flow)
        return {k: v for k, v in record.items() if not k.startswith("input_")} | {
            f"input_{k}": v for k, v in parts.items()
        }

    point = network_point(activation, width, lambda0, lambda1)
    runs = run_point(
        dataset,
        activation,
        point,
        settings,
        look=_look,
        reduce=reduce,
        threads=threads,
        progress=progress,
        kept=kept,
    )
    table = xr.Dataset(
        {
            name: (
                ("optimizer", "replica", *dims),
                stacked(runs, f"input_{name}"),
                {"long_name": _LONG_NAMES[name], "units": "1"},
            )
            for name, dims in _DIMS.items()
        },
        coords={
            **axes_of(settings),
            "train_index": np.arange(dataset.n_train),
            "label": ("train_index", np.sign(dataset.y_train)),
        },
    )
    return cube_of(dataset, runs, settings), table


def _look(problem: Problem, start: Start, parameters: Parameters, activation: Activation) -> dict[str, Any]:
    """The observables of the cube, made by the same program, and what is needed of single inputs."""
    seen = observe(problem, start, parameters, activation)
    return seen | observe_inputs(problem, start, parameters, activation)


def _attribute(record: Record, y: np.ndarray, times: np.ndarray, *, driven: bool) -> Record:
    """Contributions of every training input, from what was seen of one replica along its trajectory."""
    difference = contrast(class_weights(y))
    features, distance = record["input_features"], record["centroid_distance_sq"][:, 0]
    margin = np.sign(y) * record["output_train"]
    turn = find_turn(distance)
    top, end = turn or (0, 0)

    centroids = difference @ features
    step = (features[1:] - features[:-1]) * difference[:, None]
    motion = np.einsum("tpn,tn->tp", step, centroids[1:] + centroids[:-1]) / features.shape[-1]
    drive = 0.5 * (record["input_drive"][1:] + record["input_drive"][:-1]) * np.diff(times)[:, None]
    if not driven:
        drive = np.full_like(drive, np.nan)
    none = np.full(len(y), np.nan)
    return {
        "margin": margin,
        "motion_rise": motion[:top].sum(0) if turn else none,
        "motion_fall": motion[top:end].sum(0) if turn else none,
        "drive_rise": drive[:top].sum(0) if turn else none,
        "drive_fall": drive[top:end].sum(0) if turn else none,
        "inversion_margin": margin[top] if turn else none,
        "inversion_time": np.asarray(times[top] if turn else np.nan),
    }
