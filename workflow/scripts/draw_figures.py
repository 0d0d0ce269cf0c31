"""Draw every figure from the cubes; beside the inversion figure stands its table, inversion.csv."""

from pathlib import Path

from proplim import study

if __name__ == "__main__":
    with study.job_process(snakemake.log[0]):
        # Loads the user's own files, whose looks and symbols figures show.
        study.restore_plan(snakemake.config)
        cubes = {Path(path).stem: path for path in snakemake.input.cubes}
        options = {name: snakemake.params.figures[name] for name in ("formats", "dpi", "slices")}
        study.draw_study(cubes, snakemake.output[0], **options, processes=snakemake.threads)
