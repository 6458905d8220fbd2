"""Shards as ray tasks, one each. Ray gives the tasks of a node that went away to another; what they had paid is in the journals."""

from collections.abc import Sequence
from contextlib import closing

from videorouter.data_builders.executors.local import shared
from videorouter.data_builders.jobs import ShardJob
from videorouter.data_builders.run import RunConfig
from videorouter.data_builders.workshop import Finished, ShardOutcome, Work, Workshop

ATTEMPTS = 5
"""Times ray starts a task again whose node or process went away."""


def run_ray(work: Work, jobs: Sequence[ShardJob], run: RunConfig, finished: Finished) -> None:
    """Build all shards on a cluster that shares the run folder and the videos; `run.workers` tasks at once, a core each.

    Raises `ValueError` where ray is not installed or does not answer.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError("the ray executor needs ray: pip install 'videorouter[ray]'") from error
    ours = not ray.is_initialized()
    if ours:
        try:
            ray.init(
                address=run.ray_address, log_to_driver=False, include_dashboard=False if not run.ray_address else None
            )
        except ConnectionError as error:
            raise ValueError(f"no ray cluster answers at {run.ray_address}: {error}") from error
    task = ray.remote(num_cpus=1, max_retries=ATTEMPTS)(_build)
    work = shared(work, run.workers)
    waiting, stopped = list(reversed(jobs)), False
    running: list[object] = []
    try:
        while running or (waiting and not stopped):
            while waiting and not stopped and len(running) < run.workers:
                running.append(task.remote(work, waiting.pop()))
            ended, running = ray.wait(running)
            for outcome in ray.get(ended):
                stopped = stopped or outcome.stopped is not None
                finished(outcome)
    finally:
        if ours:
            ray.shutdown()


def _build(work: Work, job: ShardJob) -> ShardOutcome:
    """One shard, in a ray worker; one that an attempt before this one had finished is left as it is."""
    if job.done:
        return ShardOutcome(job)
    with closing(Workshop(work)) as workshop:
        return workshop.run(workshop.build(job))
