"""Draw every figure from the cubes; beside the inversion figure stands its table, inversion.csv."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

# imported before the fork, once and not in every process
import matplotlib.backends.backend_agg
import matplotlib.backends.backend_pdf
import matplotlib.figure  # noqa: F401

from proplim.cube import read_netcdf
from proplim.figures import FIGURES, draw_figures, inversion_table
from proplim.study import restore_plan


def draw(name, **options):
    """Draw one kind of figure from the cubes, which a forked process shares with this one."""
    draw_figures(cubes, folder, names=[name], **options)


if __name__ == "__main__":
    restore_plan(snakemake.config)  # loads the user's own files, whose looks and symbols figures show
    cubes = {Path(path).stem: read_netcdf(path) for path in snakemake.input.cubes}
    folder = Path(snakemake.output[0])
    options = {name: snakemake.params.figures[name] for name in ("formats", "dpi")}
    options |= {name: folder.with_name(name) for name in ("draws", "stragglers")}
    # An executor ends when a process of it is killed, where a Pool would wait for ever.
    with ProcessPoolExecutor(snakemake.threads, mp_context=get_context("fork")) as pool:
        list(pool.map(partial(draw, **options), FIGURES.names()))
    if {"theory", "dynamics"} <= set(cubes) and "proportional" in cubes["theory"].approximation:
        folder.mkdir(parents=True, exist_ok=True)
        inversion_table(cubes).to_csv(folder / "inversion.csv", index=False)
