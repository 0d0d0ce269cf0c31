"""Draw and standardise training and test sets of a data set, one for each output file."""

from proplim import study

if __name__ == "__main__":
    with study.job_process(snakemake.log[0]):
        plan = study.restore_plan(snakemake.config)
        for file in snakemake.output:
            study.prepare_draw(plan, plan.draws[file], file)
