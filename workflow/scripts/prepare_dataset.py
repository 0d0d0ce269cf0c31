"""Draw and standardise training and test sets of a data set, one for each output file."""

from proplim.study import prepare_draw, restore_plan

if __name__ == "__main__":
    plan = restore_plan(snakemake.config)
    for file in snakemake.output:
        prepare_draw(plan, plan.draws[file], file)
