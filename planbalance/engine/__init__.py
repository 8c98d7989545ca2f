"""Apply: a plan becomes a tree, complete in one step or not at all."""

from planbalance.engine.job import ApplyOptions, make_job
from planbalance.engine.start import apply_plan

__all__ = ["ApplyOptions", "apply_plan", "make_job"]
