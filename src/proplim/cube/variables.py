"""The variables of the cubes: names, dimensions beside the grid, meaning and units.

One table for all three cubes, so that a name means the same quantity everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

GRID_DIMS = ("dataset", "activation", "n_train", "width", "temperature", "lambda0", "lambda1", "seed")
APPROXIMATIONS = ("infinite_width", "proportional", "cavity", "exact")
STATISTICS = ("mean", "mcse", "ess", "rhat")
SPLITS = ("train", "test")
LABELS = (-1, 1)
STAGES = ("theory", "sampling", "dynamics")


@dataclass(frozen=True)
class Variable:
    """One quantity of the cubes.

    Parameters
    ----------
    name, long_name, units, symbol : str
        `symbol` is LaTeX for figures.
    dims : tuple of str
        Dimensions beside the grid and the stage's own (approximation, statistic, or optimizer,
        replica, time).
    stages : tuple of str
        Cubes that hold it.
    without : tuple of str
        Dimensions of its cubes that it does not have (the temperature of a peak has no temperature axis,
        the time of an inversion no time axis).
    """

    name: str
    long_name: str
    symbol: str
    dims: tuple[str, ...] = ()
    units: str = "1"
    stages: tuple[str, ...] = STAGES
    without: tuple[str, ...] = ()


_SPLIT = ("split",)
_THEORY = ("theory",)
_NO_TEMPERATURE = ("temperature",)
VARIABLES: dict[str, Variable] = {
    v.name: v
    for v in (
        Variable("order_parameter", "order parameter Q of the effective action", "Q", stages=("theory",)),
        Variable("free_energy", "free energy per hidden unit, S(Q)/2", "S(Q)/2", stages=("theory",)),
        Variable("readout_variance", "posterior second moment of the readout weights", r"\langle v^2\rangle"),
        Variable(
            "hidden_trace_shift",
            "posterior squared norm of the hidden weights of a unit minus its prior value N0/lambda0",
            r"\langle |w|^2\rangle - N_0/\lambda_0",
        ),
        Variable(
            "signal_variance",
            "posterior second moment of the hidden weights along the signal direction u",
            r"\langle (w\cdot u)^2\rangle",
        ),
        Variable(
            "readout_signal_covariance",
            "posterior covariance of readout weight and hidden weights along the signal direction u",
            r"\langle v\,(w\cdot u)\rangle",
        ),
        Variable(
            "centroid_distance_sq", "squared distance of the class centroids in feature space", "D", _SPLIT
        ),
        Variable(
            "gyration_radius_sq",
            "squared gyration radius of a class in feature space",
            "R_s^2",
            ("split", "label"),
        ),
        Variable(
            "mse", "mean squared error over the posterior and the inputs", r"\langle (y-f)^2\rangle", _SPLIT
        ),
        Variable("bias_sq", "squared bias of the posterior predictor", r"\mathrm{bias}^2", _SPLIT),
        Variable("predictive_variance", "variance of the posterior predictor", r"\mathrm{Var} f", _SPLIT),
        Variable("accuracy", "accuracy of the sign of the mean predictor", r"\mathrm{accuracy}", _SPLIT),
        Variable(
            "mse_label",
            "mean squared error on the inputs of a class",
            r"\langle (y-f)^2\rangle_s",
            ("split", "label"),
            stages=("dynamics",),
        ),
        Variable(
            "kernel_alignment",
            "alignment of the feature kernel with the labels",
            r"y^\top G y/(|y|^2\,\Vert G\Vert)",
            _SPLIT,
            stages=("dynamics",),
        ),
        Variable(
            "tangent_kernel_alignment",
            "alignment of the tangent kernel with the training labels",
            r"y^\top\Theta y/(|y|^2\,\Vert\Theta\Vert)",
            stages=("dynamics",),
        ),
        Variable(
            "tangent_kernel_max",
            "largest eigenvalue of the tangent kernel on the training inputs",
            r"\lambda_{\max}(\Theta)",
            stages=("dynamics",),
        ),
        Variable(
            "inversion_time",
            "time of the first maximum of the centroid distance (NaN where it does not turn)",
            r"t^*",
            _SPLIT,
            stages=("dynamics",),
            without=("time",),
        ),
        Variable(
            "inversion_mse",
            "training error at the first maximum of the centroid distance",
            r"\epsilon^*",
            _SPLIT,
            stages=("dynamics",),
            without=("time",),
        ),
        Variable(
            "inversion_height",
            "squared distance of the class centroids at its first maximum in time",
            r"D(t^*)",
            _SPLIT,
            stages=("dynamics",),
            without=("time",),
        ),
        Variable("learning_rate", "step of the optimizer in units of time", r"\eta", stages=("dynamics",)),
        Variable(
            "free_energy_temperature_derivative",
            "derivative of the free energy per hidden unit with respect to temperature",
            r"\partial_T S/2",
            stages=_THEORY,
        ),
        Variable(
            "mean_energy",
            "posterior mean of half the sum of squared training errors, per hidden unit",
            r"\langle E\rangle/N",
            stages=_THEORY,
        ),
        Variable(
            "mean_energy_temperature_derivative",
            "derivative of the mean energy per hidden unit with respect to temperature",
            r"\partial_T\langle E\rangle/N",
            stages=_THEORY,
        ),
        Variable(
            "stationarity_residual",
            "evidence: derivative of the action with respect to ln Q at the solution",
            r"|dS/d\ln Q|",
            stages=_THEORY,
        ),
        Variable(
            "stationary_points",
            "evidence: number of stationary points of the action in ln Q",
            r"n_\mathrm{stationary}",
            stages=_THEORY,
        ),
        Variable(
            "action_gap",
            "evidence: action of the second lowest minimum minus that of the global one (NaN: only one)",
            r"\Delta S",
            stages=_THEORY,
        ),
        Variable(
            "peak_temperature",
            "temperature T* of the largest squared distance of the class centroids (NaN: no peak)",
            "T^*",
            _SPLIT,
            stages=_THEORY,
            without=_NO_TEMPERATURE,
        ),
        Variable(
            "peak_height_over_prior",
            "squared distance of the class centroids at T* divided by its value in the prior",
            r"D(T^*)/D(T\to\infty)",
            _SPLIT,
            stages=_THEORY,
            without=_NO_TEMPERATURE,
        ),
        Variable(
            "peak_height_over_low_temperature",
            "squared distance of the class centroids at T* divided by its low-temperature value",
            r"D(T^*)/D(T\to 0)",
            _SPLIT,
            stages=_THEORY,
            without=_NO_TEMPERATURE,
        ),
        Variable(
            "converged", "1 where the result meets its convergence criteria, else 0", r"\mathrm{converged}"
        ),
    )
}


def variables_of(stage: str) -> list[Variable]:
    """Variables that the cube of `stage` holds, in the order of the table."""
    return [v for v in VARIABLES.values() if stage in v.stages]
