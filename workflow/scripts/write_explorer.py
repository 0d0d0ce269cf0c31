"""Write explore.html: one page, without a network, in which a user turns through the study."""

from pathlib import Path

from proplim.cube import open_netcdf
from proplim.explore import write_explorer

if __name__ == "__main__":
    cubes = {Path(path).stem: open_netcdf(path) for path in snakemake.input}
    write_explorer(cubes, snakemake.output[0])
    for cube in cubes.values():
        cube.close()
