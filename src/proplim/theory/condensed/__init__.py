"""The condensed phase: one unit carries a finite share of the labels (docs/condensed.md)."""
