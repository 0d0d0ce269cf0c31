"""List the files of single points that the jobs of a stage have left: draws, attributions to training inputs."""

from proplim.study import job_log, list_files

if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        list_files(snakemake.input, snakemake.output[0])
