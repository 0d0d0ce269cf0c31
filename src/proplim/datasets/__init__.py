"""Data sets: class-balanced draws of inputs and labels, from collections, generators or a user's file."""

from proplim.datasets._base import Dataset
from proplim.datasets._prepare import prepare_dataset, resolve_path

__all__ = ["Dataset", "prepare_dataset", "resolve_path"]
