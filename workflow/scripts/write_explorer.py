"""Write explore.html: one page, without a network, in which a user turns through the study."""

from pathlib import Path

from proplim.study import explore_study, job_log

if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        explore_study({Path(path).stem: path for path in snakemake.input}, snakemake.output[0])
