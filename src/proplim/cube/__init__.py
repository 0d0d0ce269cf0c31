"""Cubes: labelled arrays over the full grid, in netCDF files that are whole or absent."""

from proplim.cube._assemble import assemble_cube, grid_dims, point_table
from proplim.cube._files import DamagedFile, content_checksum, read_netcdf, write_netcdf
from proplim.cube._provenance import provenance
from proplim.cube.variables import GRID_DIMS, VARIABLES, Variable, variables_of

__all__ = [
    "GRID_DIMS",
    "VARIABLES",
    "DamagedFile",
    "Variable",
    "assemble_cube",
    "content_checksum",
    "grid_dims",
    "point_table",
    "provenance",
    "read_netcdf",
    "variables_of",
    "write_netcdf",
]
