"""What the page shows of an audit: the summary, checks with their first problems, leaks, pairs that look alike."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from planbalance.model import Audit, Check, LookAlike, PairPicture, Problem, Progress
from planbalance.page.pixels import PairSide, pair_side
from planbalance.render.statement import statement
from planbalance.render.table import plain

_MOST_PROBLEMS: Final = 200  # of one check on the page; `verify --json` has all
_MOST_PAIRS: Final = 12  # about 30 KB each


class AuditedCheck(NamedTuple):
    """A check as the page shows it: the first problems, and how many more there are."""

    name: str
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
    columns = list(dict.fromkeys(key for leak in audit.leaks for key in leak))
    return {
        "ok": audit.ok,
        "summary": audit.summary,
        "warnings": audit.warnings,
        "statement": statement(audit, dataset=dataset or "", tool=tool),
        "checks": tuple(map(_check, audit.checks)),
        "columns": [(column.replace("_", " "), _are_words(audit.leaks, column)) for column in columns],
        "leaks": [[_cell(column, leak.get(column, "")) for column in columns] for leak in audit.leaks],
        "pairs": _pairs(audit.look_alikes[:_MOST_PAIRS], dataset, progress),
        "more_pairs": max(0, len(audit.look_alikes) - _MOST_PAIRS),
    }


def _are_words(leaks: Sequence[Mapping[str, Any]], column: str) -> bool:
    return all(isinstance(leak.get(column, ""), str) for leak in leaks)


def _check(check: Check) -> AuditedCheck:
    errors = sum(problem.severity == "error" for problem in check.problems)
    shown = check.problems[:_MOST_PROBLEMS]
    more = len(check.problems) - len(shown)
    return AuditedCheck(
        check.name, check.ok, check.reason, check.count, shown, errors, len(check.problems) - errors, more
    )


def _cell(column: str, value: object) -> str:
    if column == "share" and isinstance(value, int | float):
        return f"{100 * value:.1f}\u00a0%"
    return f"{value:,}" if type(value) is int else plain(value)


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
