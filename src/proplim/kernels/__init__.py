"""Kernels of the infinitely wide network: averages over one hidden unit drawn from its prior."""

from proplim.kernels._kernels import (
    feature_kernel,
    feature_kernel_diagonal,
    feature_mean,
    input_kernel,
    input_kernel_diagonal,
    stein_coefficients,
    stein_vectors,
)

__all__ = [
    "feature_kernel",
    "feature_kernel_diagonal",
    "feature_mean",
    "input_kernel",
    "input_kernel_diagonal",
    "stein_coefficients",
    "stein_vectors",
]
