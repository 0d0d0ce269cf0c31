# How jobs are ordered, and what each asks a scheduler for: expected memory and run time (proplim.study.Requests), more at every retry.
# The tasks of a SLURM job array share one request, that of the largest.


def asked(attribute, stage, wildcards):
    if getattr(workflow.executor_settings, "array_jobs", None):
        return requests.largest(stage, attribute)
    return getattr(requests, attribute)(stage, f"{wildcards.dataset}/{wildcards.job}")


def job_memory(stage):
    return lambda wildcards, attempt: attempt * asked("memory_mb", stage, wildcards)


def job_runtime(stage):
    return lambda wildcards, attempt: attempt * asked("runtime_minutes", stage, wildcards)


def job_threads(stage):
    return lambda wildcards: asked("threads", stage, wildcards)


# Long jobs start first, so that the short ones fill the cores at the end; cubes and figures come after them.
def longest_first(stage):
    return lambda wildcards: requests.seconds(stage, f"{wildcards.dataset}/{wildcards.job}")
