"""The way to an answer: at random, enumerated where that is cheap, else searched."""

from typing import Literal

from planbalance.split.draws import Draws
from planbalance.split.start import parts_of_members, shuffled_members
from planbalance.split.task import Placement, Task


def place(task: Task, draws: Draws, method: Literal["optimal", "random"]) -> Placement:
    """Place every unit of the task so that its quotas are kept."""
    members = shuffled_members(task, draws)
    return Placement(parts_of_members(task, members), proven=False)
