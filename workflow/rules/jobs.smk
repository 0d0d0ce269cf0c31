# How jobs are ordered, and what each asks a scheduler for: expected memory and run time (proplim.study.Requests), more at every retry.
# The tasks of a SLURM job array share one request, that of the largest.


def asks(attribute, stage):
    def ask(wildcards, attempt):
        if getattr(workflow.executor_settings, "array_jobs", None):
            return attempt * requests.largest(stage, attribute)
        return attempt * getattr(requests, attribute)(stage, f"{wildcards.dataset}/{wildcards.job}")

    return ask


def job_memory(stage):
    return asks("memory_mb", stage)


def job_runtime(stage):
    return asks("runtime_minutes", stage)


# Long jobs start first, so that the short ones fill the cores at the end; cubes and figures come after them.
def longest_first(stage):
    return lambda wildcards: requests.seconds(stage, f"{wildcards.dataset}/{wildcards.job}")
