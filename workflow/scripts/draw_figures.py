"""Draw every figure from the cubes alone."""

from pathlib import Path

import xarray as xr

from proplim.figures import draw_figures

if __name__ == "__main__":
    cubes = {Path(path).stem: xr.open_dataset(path) for path in snakemake.input}
    options = snakemake.params.figures
    draw_figures(cubes, snakemake.output[0], formats=options["formats"], dpi=options["dpi"])
