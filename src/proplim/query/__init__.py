"""Answers from cubes: selection, comparison with sampling, and the common questions about D(T).

Importing this package registers the xarray accessor ``.proplim`` (:class:`ProplimAccessor`).
"""

from proplim.query._accessor import ProplimAccessor
from proplim.query._compare import describe_point, differences, shared_variables, summarise, worst_points
from proplim.query._helpers import of_both_classes, prior_distance, ratio_to_prior, relative_distance
from proplim.query._order import PRIOR, dimension_rank, in_order, plain_values
from proplim.query._peak import parabola_peak, peak_temperature
from proplim.query._select import open_cube, parse_selection, pick_variables, select, to_table
from proplim.query._sizes import SizeFit, fit_sizes, size_deviations

__all__ = [
    "PRIOR",
    "ProplimAccessor",
    "SizeFit",
    "describe_point",
    "differences",
    "dimension_rank",
    "fit_sizes",
    "in_order",
    "of_both_classes",
    "open_cube",
    "parabola_peak",
    "parse_selection",
    "peak_temperature",
    "pick_variables",
    "plain_values",
    "prior_distance",
    "ratio_to_prior",
    "relative_distance",
    "select",
    "shared_variables",
    "size_deviations",
    "summarise",
    "to_table",
    "worst_points",
]
