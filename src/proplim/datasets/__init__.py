"""Data sets: class-balanced draws of inputs and labels, from collections, generators or a user's file."""

from proplim.datasets._base import Dataset
from proplim.datasets._load import load_dataset
from proplim.datasets._prepare import prepare_dataset, resolve_path

__all__ = ["Dataset", "load_dataset", "prepare_dataset", "resolve_path"]
