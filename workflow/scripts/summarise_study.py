"""Write the pages of the report that say what converged and what was asked for, from the cubes and the plan."""

from pathlib import Path

from proplim import study

if __name__ == "__main__":
    with study.job_process(snakemake.log[0]):
        study.collect_rarely()
        cubes = {Path(path).stem: path for path in snakemake.input}
        study.write_summary(study.restore_plan(snakemake.config), cubes, Path(snakemake.output[0]).parent)
