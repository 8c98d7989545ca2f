"""What `verify` prints of several datasets: a row for each, what is wrong in them, and what all together show.

What several datasets have in common is printed once, with their names.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.model import FoldsAudit
from planbalance.render.naming import reading_text, warnings_at_the_end
from planbalance.render.table import Grid, Group, Renderable, count, heading, item, line, prose
from planbalance.render.verify import (
    STATES,
    STYLES,
    checks_document,
    checks_text,
    leaks_text,
    problems_text,
    verify_document,
)
from planbalance.text import named_texts

_READING: Final = ("naming", "unit", "grouped_by")


def verify_folds_document(found: FoldsAudit) -> dict[str, Any]:
    """Return several audits with the keys of docs/reference/json.md."""
    return {
        "ok": found.ok,
        "summary": found.summary,
        "folds": [
            {
                "dataset": fold.dataset,
                "name": fold.name,
                "error": fold.error or None,
                **({"ok": False} if fold.audit is None else verify_document(fold.audit)),
            }
            for fold in found.folds
        ],
        "checks": checks_document(found.checks),
    }


def verify_folds_text(document: Mapping[str, Any]) -> Renderable:
    """Return several audits for a person."""
    verdict = ("OK  ", "bold green") if document["ok"] else ("FAILED  ", "bold red")
    audited = [fold for fold in document["folds"] if fold["error"] is None]
    return Group(
        *_reading(audited),
        heading("Datasets"),
        _datasets(document["folds"]),
        *(item("x", f"{fold['dataset']}: {fold['error']}", style="red") for fold in document["folds"] if fold["error"]),
        *_not_checked(audited),
        *problems_text(_checks_of_all(audited)),
        *leaks_text([{"dataset": fold["name"], **leak} for fold in audited for leak in fold["leaks"]]),
        heading("All datasets together"),
        *checks_text(document["checks"]),
        *problems_text(document["checks"]),
        line(),
        *warnings_at_the_end(named_texts([(fold["name"], fold["warnings"]) for fold in audited]).values()),
        prose(verdict, document["summary"]),
    )


def _reading(audited: Sequence[Mapping[str, Any]]) -> Iterable[Renderable]:
    """Yield how names were read, where it was the same in all datasets."""
    first = audited[0] if audited else {}
    if first and all(fold[key] == first[key] for fold in audited for key in _READING):
        groups = max(fold["groups"] for fold in audited)  # undersampling may leave one without a slice
        yield from reading_text({**first, "groups": groups, "slices_per_volume": None})


def _datasets(folds: Sequence[Mapping[str, Any]]) -> Grid:
    grid = Grid(["", "result", "checks ok", "failed", "not checked", "warnings"], words=frozenset({1}), styles=STYLES)
    for fold in folds:
        checks = fold.get("checks", ())
        states = Counter(STATES[check["ok"]] for check in checks)
        warnings = sum(problem["severity"] == "warning" for check in checks for problem in check["problems"])
        numbers = (states["ok"], states["FAILED"], states["NOT CHECKED"], warnings)
        grid.add(fold["name"], STATES[fold["ok"]], *map(count, numbers))
    return grid


def _not_checked(audited: Sequence[Mapping[str, Any]]) -> Iterable[Renderable]:
    found = named_texts([(fold["name"], _reasons(fold["checks"])) for fold in audited])
    if found:
        yield heading("Not checked")
        yield from (item("-", text) for text in found.values())


def _reasons(checks: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (f"{check['name']}: {check['reason']}" for check in checks if check["ok"] is None)


def _checks_of_all(audited: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the checks that found problems, each with those of all datasets; a path begins with the dataset's name."""
    problems: dict[str, list[dict[str, Any]]] = {}
    for fold in audited:
        for check in fold["checks"]:
            for problem in check["problems"]:
                path = f"{fold['name']}: {problem['path']}".removesuffix(": ")
                problems.setdefault(check["name"], []).append({**problem, "path": path})
    return [{"name": name, "problems": found} for name, found in problems.items()]
