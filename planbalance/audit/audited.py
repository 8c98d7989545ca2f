"""What an audit of one data set comes to, by its plan or by what it is."""

from collections.abc import Callable
from dataclasses import dataclass

from planbalance.audit.across import Content
from planbalance.audit.overlap import Overlaps
from planbalance.audit.tally import Tally
from planbalance.model import Check, Load


@dataclass(slots=True)
class Audited:
    """What came out: checks in reading order, what splits share, counts, what others can be compared with, the plan.

    Attributes:
        digest: of the plan; "" without one.
    """

    checks: list[Check]
    overlaps: Overlaps
    tally: Tally
    content: Callable[[], Content]
    digest: str = ""
    loads: tuple[Load, ...] = ()
