"""Solve the theory for the grid points of one job: prepared data sets in, table of points out."""

from proplim import study

if __name__ == "__main__":
    with study.job_process(snakemake.log[0]):
        plan = study.restore_plan(snakemake.config)
        job = plan.job("theory", f"{snakemake.wildcards.dataset}/{snakemake.wildcards.job}")
        study.collect_as_usual()
        study.run_job(plan, job, snakemake.output[0], threads=snakemake.threads)
