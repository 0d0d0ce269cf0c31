"""The condensed theory: explicit units among the others, both phases, any temperature (docs/condensed.md)."""

from proplim.theory.condensed._solve import Condensed, CondensedPoint, solve_condensed
from proplim.theory.condensed._unit import HeavyUnit, heavy_unit

__all__ = ["Condensed", "CondensedPoint", "HeavyUnit", "heavy_unit", "solve_condensed"]
