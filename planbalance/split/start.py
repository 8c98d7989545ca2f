"""The seeded stratified random placement: an answer by itself (`--split-method random`), and where a search begins."""

from planbalance.split.draws import Draws
from planbalance.split.task import Task


def shuffled_members(task: Task, draws: Draws) -> list[list[list[int]]]:
    """Return stratum -> part -> units: every stratum shuffled and cut by its quotas."""
    members = []
    for stratum, quotas in zip(task.strata, task.quotas, strict=True):
        units = list(stratum)
        draws.shuffle(units)
        cuts = []
        begin = 0
        for quota in quotas:
            cuts.append(units[begin : begin + quota])
            begin += quota
        members.append(cuts)
    return members


def parts_of_members(task: Task, members: list[list[list[int]]]) -> list[int]:
    """Return unit -> part."""
    part_of = [0] * len(task.positives)
    for stratum in members:
        for part, units in enumerate(stratum):
            for unit in units:
                part_of[unit] = part
    return part_of
