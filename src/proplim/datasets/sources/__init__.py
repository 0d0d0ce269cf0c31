"""Sources of data, one file each: a file whose name does not start with an underscore registers what it defines.

Adding a source to the package is adding a file here; from outside, :func:`proplim.datasets.register_source` does the
same (docs/adding_dataset.md).
"""
