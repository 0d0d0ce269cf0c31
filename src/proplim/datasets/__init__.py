"""Data sets: class-balanced draws of inputs and labels."""

from proplim.datasets._base import Dataset

__all__ = ["Dataset"]
