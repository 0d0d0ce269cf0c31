"""Draw every figure from the cubes; beside the inversion figure stands its table, inversion.csv."""

from pathlib import Path

from proplim.study import draw_study, job_log, restore_plan

if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        restore_plan(snakemake.config)  # loads the user's own files, whose looks and symbols figures show
        cubes = {Path(path).stem: path for path in snakemake.input.cubes}
        options = {name: snakemake.params.figures[name] for name in ("formats", "dpi", "slices")}
        draw_study(cubes, snakemake.output[0], **options, processes=snakemake.threads)
