"""Who does the work on shards: processes of this machine, or a ray cluster."""

from collections.abc import Sequence
from typing import Protocol

from videorouter.data_builders.executors.local import run_local
from videorouter.data_builders.executors.ray import run_ray
from videorouter.data_builders.jobs import ShardJob
from videorouter.data_builders.run import RunConfig
from videorouter.data_builders.workshop import Finished, Work


class Executor(Protocol):
    """Builds shards; `finished` is told of each. After one that was stopped no other is begun."""

    def __call__(self, work: Work, jobs: Sequence[ShardJob], run: RunConfig, finished: Finished) -> None: ...


EXECUTORS: dict[str, Executor] = {"local": run_local, "ray": run_ray}
