"""The story of an audit: find the plan, read the tree once, put the checks in the order in which people read them."""

from planbalance.audit.options import VerifyOptions
from planbalance.model import Audit, Progress, Silent


def verify(dataset: str | None, options: VerifyOptions, progress: Progress | None = None) -> Audit:
    """Audit a data set and change nothing.

    Args:
        dataset: a folder or a yaml; None: the output of the plan.
        options: what to look at.
        progress: where to report to.

    Raises:
        InputError: the data set is not there, still a partial build, or its names are ambiguous.
        PlanError: the plan of `options.plan` is refused.
    """
    raise NotImplementedError(dataset, options, progress or Silent())
