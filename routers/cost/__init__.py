"""What a model costs before it runs: parameters, bytes, FLOPs by stage and peak memory, from a config alone."""

from videorouter.routers.cost.estimate import Estimate, estimate
from videorouter.routers.cost.workload import Workload

__all__ = ["Estimate", "Workload", "estimate"]
