"""Write explore.html: one page, without a network, in which a user turns through the study."""

from pathlib import Path

from proplim import study

if __name__ == "__main__":
    with study.job_process(snakemake.log[0]):
        study.collect_rarely()
        study.explore_study({Path(path).stem: path for path in snakemake.input}, snakemake.output[0])
