"""Cubes: labelled arrays over the full grid, in netCDF files that are whole or absent.

Names are imported on first use: the table of variables is needed where xarray is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proplim._lazy import lazy_names

if TYPE_CHECKING:
    from proplim.cube._assemble import PARTIAL, assemble_cube, write_cube
    from proplim.cube._files import (
        DamagedFile,
        content_checksum,
        open_draws,
        open_netcdf,
        read_netcdf,
        whole_file,
        write_arrays,
        write_netcdf,
    )
    from proplim.cube._provenance import provenance
    from proplim.cube._tables import Table, as_table, point_table, read_table, write_table

_HOME = {
    "PARTIAL": "_assemble",
    "Table": "_tables",
    "as_table": "_tables",
    "assemble_cube": "_assemble",
    "write_cube": "_assemble",
    "point_table": "_tables",
    "read_table": "_tables",
    "write_table": "_tables",
    "DamagedFile": "_files",
    "content_checksum": "_files",
    "open_netcdf": "_files",
    "open_draws": "_files",
    "read_netcdf": "_files",
    "whole_file": "_files",
    "write_arrays": "_files",
    "write_netcdf": "_files",
    "provenance": "_provenance",
}

__all__ = [
    "PARTIAL",
    "DamagedFile",
    "Table",
    "as_table",
    "assemble_cube",
    "content_checksum",
    "open_draws",
    "open_netcdf",
    "point_table",
    "provenance",
    "read_netcdf",
    "read_table",
    "whole_file",
    "write_arrays",
    "write_cube",
    "write_netcdf",
    "write_table",
]


__getattr__ = lazy_names(__name__, _HOME)
