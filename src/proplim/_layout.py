"""Names of files in a study's folder that more than one layer knows."""

INDEX = "index.txt"
"""In a folder of files of single points: which of them belong to the study as it is now."""
