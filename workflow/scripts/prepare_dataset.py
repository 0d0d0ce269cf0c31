"""Draw and standardise training and test sets of a data set, one for each output file."""

from proplim.study import job_log, prepare_draw, restore_plan

if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        plan = restore_plan(snakemake.config)
        for file in snakemake.output:
            prepare_draw(plan, plan.draws[file], file)
