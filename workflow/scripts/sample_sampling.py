"""Sampling posteriors for the grid points of one job: prepared data set in, table of points out."""

from proplim.study import restore_plan, run_job

if __name__ == "__main__":
    plan = restore_plan(snakemake.config)
    job = plan.jobs["sampling"][f"{snakemake.wildcards.dataset}/{snakemake.wildcards.job}"]
    run_job(plan, job, snakemake.input[0], snakemake.output[0], threads=snakemake.threads)
