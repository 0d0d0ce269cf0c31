"""Answers from cubes: selection, comparison with sampling, and the common questions about D(T).

Importing this package registers the xarray accessor ``.proplim`` (:class:`proplim.query.ProplimAccessor`).
"""

from proplim.query._peak import parabola_peak, peak_temperature

__all__ = ["parabola_peak", "peak_temperature"]
