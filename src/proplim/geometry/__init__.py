"""Geometry of the two class manifolds in feature space (docs/theory.md, section 4).

Written once and used by theory, sampling and dynamics alike: everything here is plain array arithmetic
that NumPy and JAX both understand.
"""

from proplim.geometry._manifolds import (
    LABELS,
    alignment,
    centroid_distance_sq,
    centroid_distance_sq_of_features,
    class_weights,
    contrast,
    gyration_radius_sq,
    gyration_radius_sq_of_features,
)

__all__ = [
    "LABELS",
    "alignment",
    "centroid_distance_sq",
    "centroid_distance_sq_of_features",
    "class_weights",
    "contrast",
    "gyration_radius_sq",
    "gyration_radius_sq_of_features",
]
