"""Geometry of the class manifolds in feature space (docs/theory.md, section 4).

Written once and used by theory, sampling and dynamics alike: everything here is plain array arithmetic
that NumPy and JAX both understand.
"""

from proplim.geometry._manifolds import (
    LABELS,
    alignment,
    alignment_of_outputs,
    centroid_distance_sq,
    centroid_distance_sq_of_features,
    class_numbers,
    class_pairs,
    class_weights,
    class_weights_of_numbers,
    contrast,
    gyration_radius_sq,
    gyration_radius_sq_of_features,
    normalized_features,
    pair_contrasts,
    pair_distances_sq,
    pair_distances_sq_of_features,
    pair_members,
    pair_names,
)

__all__ = [
    "LABELS",
    "alignment",
    "alignment_of_outputs",
    "centroid_distance_sq",
    "centroid_distance_sq_of_features",
    "class_numbers",
    "class_pairs",
    "class_weights",
    "class_weights_of_numbers",
    "contrast",
    "gyration_radius_sq",
    "gyration_radius_sq_of_features",
    "normalized_features",
    "pair_contrasts",
    "pair_distances_sq",
    "pair_distances_sq_of_features",
    "pair_members",
    "pair_names",
]
