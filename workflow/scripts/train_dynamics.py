"""Train networks for the grid points of one job: prepared data sets in, table of points out."""

from proplim.study import job_log, restore_plan, run_job

if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        plan = restore_plan(snakemake.config)
        job = plan.job("dynamics", f"{snakemake.wildcards.dataset}/{snakemake.wildcards.job}")
        run_job(plan, job, snakemake.output[0], threads=snakemake.threads)
