"""Put the results of all jobs of a stage into one cube; points that are missing are NaN with converged = 0."""

from proplim.study import collect_cube, job_log, restore_plan

if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        plan = restore_plan(snakemake.config)
        collect_cube(plan, snakemake.wildcards.stage, snakemake.input, snakemake.output[0])
