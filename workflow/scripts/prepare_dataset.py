"""Draw and standardise one training and one test set of a data set."""

from proplim.study import prepare_draw, restore_plan

if __name__ == "__main__":
    plan = restore_plan(snakemake.config)
    prepare_draw(plan, plan.draws[snakemake.wildcards.dataset, snakemake.wildcards.draw], snakemake.output[0])
