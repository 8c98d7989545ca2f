"""The first lines of an audit's report: what was looked at, what was checked, what could not be, and by which tool."""

from collections.abc import Iterator
from typing import NamedTuple

from planbalance.model import Audit, SplitCount
from planbalance.render.class_labels import title_of
from planbalance.render.naming import reading_of_audit, rule_text, slices_text, unit_text
from planbalance.render.table import count
from planbalance.text import texts_of


class Fact(NamedTuple):
    """One line of the statement; `about_names` where it is about how names were read."""

    term: str
    text: str
    about_names: bool = False


def statement(audit: Audit, *, dataset: str, tool: str) -> tuple[Fact, ...]:
    """Return the statement; what was not checked is named with the reason."""
    checked = [title_of(check) for check in audit.checks if check.ok is not None]
    by_reason: dict[str, list[str]] = {}
    for check in audit.checks:
        if check.ok is None:
            by_reason.setdefault(check.reason or "no reason is known", []).append(title_of(check))
    unchecked = [f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()]
    facts = [
        *_reading(audit),
        Fact("Dataset", dataset),
        Fact("Slices", "; ".join(map(_counted, audit.counts)) or "none in any split"),
        Fact("Checked", ", ".join(checked) or "nothing"),
        Fact("Not checked", "; ".join(unchecked) or "nothing was left out"),
    ]
    if audit.to_move is not None:
        facts.append(Fact("To move", _moves(audit.to_move)))
    digest = f"SHA-256 {audit.plan_digest}" if audit.plan_digest else "none: the dataset has no plan to compare with"
    return (*facts, Fact("Plan", digest), Fact("Made by", tool))


def _reading(audit: Audit) -> Iterator[Fact]:
    """Yield how names were read: every count of volumes depends on it."""
    if audit.naming is None:
        return
    document = reading_of_audit(audit)
    examples = "; ".join(texts_of(audit.naming, "examples"))
    yield Fact("Names", f"{rule_text(audit.naming)}{f': {examples}' if examples else ''}", about_names=True)
    for term in ("notes", "warnings"):
        for text in texts_of(audit.naming, term):
            yield Fact(f"{term[:-1].capitalize()} about names", text, about_names=True)
    yield Fact("Unit", unit_text(document), about_names=True)
    if audit.slices_per_volume is not None:
        yield Fact("Volumes", slices_text(document), about_names=True)


def _counted(one: SplitCount) -> str:
    positives = "labels were not read" if one.positives is None else f"{count(one.positives)} positive"
    return f"{one.split} {count(one.slices)} ({positives})"


def _moves(slices: int) -> str:
    if not slices:
        return "nothing: no two splits share anything that was checked"
    if slices == 1:
        return "1 slice would have to change its split, or go, for no two splits to share anything that was checked"
    return f"{count(slices)} slices would have to change their split, or go, for no two to share anything checked"
