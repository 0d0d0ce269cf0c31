"""What every stage has in common: the axes of the grid, the point, and how settings are declared.

Nothing here knows a stage. Everything that is derived from an axis (dimensions, hashes, seeds, labels, the keys
of a configuration, the order of figures) is derived from the one table in ``_axes.py``.
"""

from proplim.schema._axes import (
    AXES,
    POINT_AXES,
    SIGNIFICANT_DIGITS,
    SLICED,
    SPLITS,
    STAGES,
    STATISTICS,
    Axis,
    Point,
    Replaces,
    alternatives_to,
    axes_of,
    coded_axes,
    dims_in_chunk_order,
    grid_dims,
    job_axes,
    kernel_axes,
    key_of,
    real_key,
    replacement_of,
    resolved,
    same_value,
    values_at,
    width_at,
)
from proplim.schema._dimensions import DIMENSIONS, Dimension
from proplim.schema._settings import STRICT, PlainFloat, PlainInt, Settings, allowed_words
from proplim.schema._size import Size

__all__ = [
    "AXES",
    "DIMENSIONS",
    "POINT_AXES",
    "SIGNIFICANT_DIGITS",
    "SLICED",
    "SPLITS",
    "STAGES",
    "STATISTICS",
    "STRICT",
    "Axis",
    "Dimension",
    "PlainFloat",
    "PlainInt",
    "Point",
    "Replaces",
    "Settings",
    "Size",
    "allowed_words",
    "alternatives_to",
    "axes_of",
    "coded_axes",
    "dims_in_chunk_order",
    "grid_dims",
    "job_axes",
    "kernel_axes",
    "key_of",
    "real_key",
    "replacement_of",
    "resolved",
    "same_value",
    "values_at",
    "width_at",
]
