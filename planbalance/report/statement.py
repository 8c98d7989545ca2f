"""What stands at the top of an audit's report: what was looked at, what was checked, what could not be, and by what."""

from typing import NamedTuple

from planbalance.model import Audit, SplitCount
from planbalance.report.table import count


class Fact(NamedTuple):
    """One line of the statement."""

    term: str
    text: str


def statement(audit: Audit, *, dataset: str, tool: str) -> tuple[Fact, ...]:
    """Return the statement; what was not checked is named with the reason."""
    checked = [check.name for check in audit.checks if check.ok is not None]
    by_reason: dict[str, list[str]] = {}
    for check in audit.checks:
        if check.ok is None:
            by_reason.setdefault(check.reason or "no reason is known", []).append(check.name)
    unchecked = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    facts = [
        Fact("Data set", dataset),
        Fact("Slices", "; ".join(map(_counted, audit.counts)) or "none in any split"),
        Fact("Checked", ", ".join(checked) or "nothing"),
        Fact("Not checked", "; ".join(unchecked) or "nothing was left out"),
    ]
    if audit.to_move is not None:
        facts.append(Fact("To move", _moves(audit.to_move)))
    digest = f"SHA-256 {audit.plan_digest}" if audit.plan_digest else "none: there is no word of what it should be"
    return (*facts, Fact("Plan", digest), Fact("Made by", tool))


def _counted(one: SplitCount) -> str:
    positives = "labels were not read" if one.positives is None else f"{count(one.positives)} positive"
    return f"{one.split} {count(one.slices)} ({positives})"


def _moves(slices: int) -> str:
    if not slices:
        return "nothing: no two splits share anything that was checked"
    if slices == 1:
        return "1 slice would have to change its split, or go, for no two splits to share anything that was checked"
    return f"{count(slices)} slices would have to change their split, or go, for no two to share anything checked"
