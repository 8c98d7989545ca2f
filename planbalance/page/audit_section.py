"""What the page shows of an audit: the summary, checks with their first problems, leaks, pairs that look alike."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.model import Audit, Check, LookAlike, PairPicture, Problem, Progress
from planbalance.page.pixels import PairSide, pair_side
from planbalance.render.class_labels import title_of
from planbalance.render.statement import statement
from planbalance.render.verify import LeakRows, leak_rows, shared_on_purpose

_MOST_PROBLEMS: Final = 200  # of one check on the page; `verify --json` has all
_MOST_PAIRS: Final = 12  # about 30 KB each


class AuditedCheck(NamedTuple):
    """A check as the page shows it: its title, the first problems, and how many more there are."""

    title: str
    ok: bool | None
    reason: str
    looked_at: int
    problems: tuple[Problem, ...]
    errors: int
    warnings: int
    more: int


class Pair(NamedTuple):
    """Two images that look alike, side by side."""

    sides: tuple[PairSide, PairSide]
    likeness: float
    measure: str


def audited(audit: Audit, dataset: str | None, tool: str, progress: Progress) -> dict[str, Any]:
    """Return what the template needs of an audit of a dataset; the worst pairs' pictures are read here."""
    titles = {check.name: title_of(check) for check in audit.checks}
    leaks = [leak for leak in audit.leaks if not leak.get("purpose")]
    columns, rows = _unbroken(leak_rows(leaks, titles, {"purpose"}))
    return {
        "ok": audit.ok,
        "against": any(check.ok is False and check.name.startswith("against ") for check in audit.checks),
        "summary": audit.summary,
        "warnings": audit.warnings,
        "statement": statement(audit, dataset=dataset or "", tool=tool),
        "checks": tuple(map(audited_check, grouped(audit.checks))),
        "columns": columns,
        "leaks": rows,
        "shared": list(_shared_on_purpose(audit.leaks)),
        "pairs": _pairs(audit.look_alikes[:_MOST_PAIRS], dataset, progress),
        "more_pairs": max(0, len(audit.look_alikes) - _MOST_PAIRS),
    }


def _shared_on_purpose(leaks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any, Any]]:
    """Yield what is shared with other datasets on purpose: title, columns and rows of a table, without `to move`."""
    for title, found in shared_on_purpose(leaks, every=True):
        yield (title, *_unbroken(leak_rows(found, {}, {"purpose", "to_move"})))


def _unbroken(table: LeakRows) -> LeakRows:
    """Return a table whose shares do not break before their percent sign."""
    columns, rows = table
    return columns, [[cell.replace(" %", "\u00a0%") for cell in row] for row in rows]


def grouped(checks: Sequence[Check]) -> list[Check]:
    """Return checks with those that were not made last, together where they have one reason."""
    unmade: dict[str, Check] = {}
    for check in checks:
        if check.ok is None:
            named = check._replace(title=title_of(check))
            first = unmade.get(check.reason)
            unmade[check.reason] = named if first is None else _joined(first, named)
    return [check for check in checks if check.ok is not None] + list(unmade.values())


def _joined(first: Check, second: Check) -> Check:
    return first._replace(title=f"{first.title}, {second.title}", problems=(*first.problems, *second.problems))


def audited_check(check: Check) -> AuditedCheck:
    """Return a check as the page shows it."""
    errors = sum(problem.severity == "error" for problem in check.problems)
    shown = check.problems[:_MOST_PROBLEMS]
    more = len(check.problems) - len(shown)
    return AuditedCheck(
        title_of(check), check.ok, check.reason, check.count, shown, errors, len(check.problems) - errors, more
    )


def _pairs(found: Sequence[LookAlike], dataset: str | None, progress: Progress) -> tuple[Pair, ...]:
    if not found:
        return ()
    pairs = []
    progress.begin("drawing pairs", len(found), "pairs")
    try:
        for one in found:
            pairs.append(
                Pair((_pair_side(one.left, dataset), _pair_side(one.right, dataset)), one.likeness, one.measure)
            )
            progress.advance(1)
    finally:
        progress.end()
    return tuple(pairs)


def _pair_side(shown: PairPicture, dataset: str | None) -> PairSide:
    if dataset is not None:
        shown = shown._replace(name=shown.name.removeprefix(dataset.rstrip("/") + "/"))
    return pair_side(shown)
