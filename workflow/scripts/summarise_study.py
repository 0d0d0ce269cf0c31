"""Write the pages of the report that say what converged and what was asked for, from the cubes and the plan."""

from pathlib import Path

from proplim.study import job_log, restore_plan, write_summary

if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        cubes = {Path(path).stem: path for path in snakemake.input}
        write_summary(restore_plan(snakemake.config), cubes, Path(snakemake.output[0]).parent)
