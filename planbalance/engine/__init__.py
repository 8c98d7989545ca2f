"""Apply: a plan becomes a tree, complete in one step or not at all."""

from planbalance.engine.job import ApplyOptions, make_job
from planbalance.engine.run import apply_plan, pinned_shards

__all__ = ["ApplyOptions", "apply_plan", "make_job", "pinned_shards"]
