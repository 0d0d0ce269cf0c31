"""Kernels of the infinitely wide network: averages over one hidden unit drawn from its prior."""

from proplim.kernels._averages import feature_covariance, mean_feature, mean_slope
from proplim.kernels._kernels import (
    feature_kernel,
    feature_kernel_diagonal,
    feature_mean,
    input_kernel,
    input_kernel_diagonal,
    stein_coefficients,
    stein_vectors,
)
from proplim.kernels._row_space import RowSpace, row_space

__all__ = [
    "RowSpace",
    "feature_covariance",
    "feature_kernel",
    "feature_kernel_diagonal",
    "feature_mean",
    "input_kernel",
    "input_kernel_diagonal",
    "mean_feature",
    "mean_slope",
    "row_space",
    "stein_coefficients",
    "stein_vectors",
]
