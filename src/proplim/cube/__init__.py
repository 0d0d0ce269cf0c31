"""Cubes: labelled arrays over the full grid, in netCDF files that are whole or absent.

Names are imported on first use: the table of variables is needed where xarray is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proplim._lazy import lazy_names

if TYPE_CHECKING:
    from proplim.cube._assemble import assemble_cube, write_cube
    from proplim.cube._files import DamagedFile, content_checksum, open_netcdf, read_netcdf, write_netcdf
    from proplim.cube._provenance import provenance
    from proplim.cube._tables import grid_dims, point_table, read_table, write_table
    from proplim.cube.variables import GRID_DIMS, VARIABLES, Variable, variables_of

_HOME = {
    "assemble_cube": "_assemble",
    "write_cube": "_assemble",
    "grid_dims": "_tables",
    "point_table": "_tables",
    "read_table": "_tables",
    "write_table": "_tables",
    "DamagedFile": "_files",
    "content_checksum": "_files",
    "open_netcdf": "_files",
    "read_netcdf": "_files",
    "write_netcdf": "_files",
    "provenance": "_provenance",
    "GRID_DIMS": "variables",
    "VARIABLES": "variables",
    "Variable": "variables",
    "variables_of": "variables",
}

__all__ = [
    "GRID_DIMS",
    "VARIABLES",
    "DamagedFile",
    "Variable",
    "assemble_cube",
    "content_checksum",
    "grid_dims",
    "open_netcdf",
    "point_table",
    "provenance",
    "read_netcdf",
    "read_table",
    "variables_of",
    "write_cube",
    "write_netcdf",
    "write_table",
]


__getattr__ = lazy_names(__name__, _HOME)
