"""Put the results of all jobs of a stage into one cube; points that are missing are NaN with converged = 0."""

from proplim import study

if __name__ == "__main__":
    with study.job_process(snakemake.log[0]):
        plan = study.restore_plan(snakemake.config)
        study.collect_cube(plan, snakemake.wildcards.stage, snakemake.input, snakemake.output[0])
