"""Draw every figure from the cubes alone; beside the inversion figure stands its table, inversion.csv."""

from pathlib import Path

import xarray as xr

from proplim.figures import draw_figures, inversion_table

if __name__ == "__main__":
    cubes = {Path(path).stem: xr.open_dataset(path).load() for path in snakemake.input}
    folder, options = Path(snakemake.output[0]), snakemake.params.figures
    draw_figures(cubes, folder, formats=options["formats"], dpi=options["dpi"])
    if {"theory", "dynamics"} <= set(cubes) and "proportional" in cubes["theory"].approximation:
        folder.mkdir(parents=True, exist_ok=True)
        inversion_table(cubes).to_csv(folder / "inversion.csv", index=False)
