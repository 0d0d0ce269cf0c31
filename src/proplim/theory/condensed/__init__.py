"""The condensed theory: explicit units among the others, both phases, any temperature (docs/condensed.md)."""

from proplim.theory.condensed._solve import Condensed, CondensedPoint, solve_condensed

__all__ = ["Condensed", "CondensedPoint", "solve_condensed"]
