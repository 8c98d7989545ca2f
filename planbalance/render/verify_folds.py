"""What `verify` prints of several datasets: a row for each, what is wrong in them, and what all together show.

What several datasets have in common is printed once, with their names.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.model import SPLITS, AuditedFold, FoldsAudit
from planbalance.render.naming import reading_text, warnings_at_the_end
from planbalance.render.table import Grid, Group, Renderable, count, heading, indented, item, line
from planbalance.render.verify import (
    STATES,
    STYLES,
    checks_document,
    checks_text,
    leaks_text,
    next_text,
    not_checked_text,
    problems_text,
    unchecked,
    verdict,
    verify_document,
)
from planbalance.text import named_texts

_READING: Final = ("naming", "unit", "grouped_by")
_FAILURES_SHOWN: Final = 10


def verify_folds_document(found: FoldsAudit) -> dict[str, Any]:
    """Return several audits with the keys of docs/reference/json.md."""
    checks = checks_document(found.checks)
    return {
        "ok": found.ok,
        "summary": found.summary,
        "failures": [*_failures_of(found.folds), *_failures_together(checks, found.folds)],
        "folds": [
            {
                "dataset": fold.dataset,
                "name": fold.name,
                "error": fold.error or None,
                **({"ok": False} if fold.audit is None else verify_document(fold.audit)),
            }
            for fold in found.folds
        ],
        "checks": checks,
        "next_step": _next_step(found),
    }


def _next_step(found: FoldsAudit) -> dict[str, str | None] | None:
    """Return what to do where an audit of several datasets failed."""
    wrong = {check.name for check in found.checks if check.ok is False}
    if found.ok:
        return None
    if any(name.startswith("variants") for name in wrong):
        text = "Plan all variants with one --split-seed, and let --sample-seed alone differ: then they have one test."
    elif wrong:
        text = "Plan all folds by one command (`planbalance plan INPUT --output DIR --folds 5`), and build all of them."
    else:
        text = "Audit each dataset that failed by itself: `planbalance verify DATASET` ends with what to do about it."
    return {"text": text, "command": None}


def _failures_of(folds: Iterable[AuditedFold]) -> Iterable[str]:
    """Yield what is wrong in single datasets, each with its name."""
    for fold in folds:
        if fold.error:
            yield f"{fold.name}: {fold.error}"
        elif fold.audit is not None:
            yield from (f"{fold.name}: {text}" for text in fold.audit.failures)


def _failures_together(checks: Iterable[Mapping[str, Any]], folds: Iterable[AuditedFold]) -> Iterable[str]:
    """Yield what is wrong with all datasets together, a line for each error."""
    names = {fold.dataset: fold.name for fold in folds}
    for check in checks:
        for problem in check["problems"]:
            if problem["severity"] == "error":
                path = names.get(problem["path"], problem["path"])
                where = f"{path}: " if path else ""
                yield f"{check['title']}: {where}{problem['message']}"


def verify_folds_text(document: Mapping[str, Any], *, verbose: bool = False) -> Renderable:
    """Return several audits for a person; `verbose`: all checks of all datasets together, and all that splits share."""
    audited = [fold for fold in document["folds"] if fold["error"] is None]
    return Group(
        *_reading(audited),
        heading("Datasets: slices of each split, positive ones in brackets"),
        _datasets(document["folds"]),
        *problems_text(_checks_of_all(audited), verbose=verbose),
        *_leaks(audited, verbose=verbose),
        *_together(document["checks"], verbose=verbose),
        *not_checked_text(_not_checked(audited, document["checks"])),
        line(),
        *warnings_at_the_end(named_texts([(fold["name"], fold["warnings"]) for fold in audited]).values()),
        *_verdict(document),
        *next_text(document["next_step"]),
    )


def _verdict(document: Mapping[str, Any]) -> Iterable[Renderable]:
    failures = document["failures"]
    if document["ok"]:
        yield verdict("OK", document["summary"])
        return
    yield from (verdict("FAILED", text) for text in failures[:_FAILURES_SHOWN])
    if len(failures) > _FAILURES_SHOWN:
        yield line(f"       and {count(len(failures) - _FAILURES_SHOWN)} more (--json lists all)")


def _reading(audited: Sequence[Mapping[str, Any]]) -> Iterable[Renderable]:
    """Yield how names were read, where it was the same in all datasets."""
    first = audited[0] if audited else {}
    if first and all(fold[key] == first[key] for fold in audited for key in _READING):
        groups = max(fold["groups"] for fold in audited)  # undersampling may leave one without a slice
        yield from reading_text({**first, "groups": groups, "slices_per_volume": None})


def _datasets(folds: Sequence[Mapping[str, Any]]) -> Grid:
    """Return one table with a row for each dataset; a last column only where a check failed or has a warning."""
    problems = [_problem_count(fold) for fold in folds]
    grid = Grid(
        ["", "result", *SPLITS, *(["errors", "warnings"] if any(map(any, problems)) else [])],
        words=frozenset({1}),
        styles=STYLES,
    )
    for fold, found in zip(folds, problems, strict=True):
        held = {one["split"]: one for one in fold.get("splits", ())}
        cells = (_held(held[split]) if split in held else "-" for split in SPLITS)
        grid.add(fold["name"], STATES[fold["ok"]], *cells, *(map(count, found) if any(map(any, problems)) else ()))
    return grid


def _held(split: Mapping[str, Any]) -> str:
    return count(split["slices"]) + ("" if split["positives"] is None else f" ({count(split['positives'])})")


def _problem_count(fold: Mapping[str, Any]) -> tuple[int, int]:
    """Return how many errors and warnings there are; a dataset that could not be audited has one error."""
    if fold["error"]:
        return 1, 0
    counts = Counter(problem["severity"] for check in fold["checks"] for problem in check["problems"])
    return counts["error"], counts["warning"]


def _leaks(audited: Sequence[Mapping[str, Any]], *, verbose: bool) -> Iterable[Renderable]:
    if verbose:
        leaks = [{"dataset": fold["name"], **leak} for fold in audited for leak in fold["leaks"]]
        yield from leaks_text(leaks, [check for fold in audited for check in fold["checks"]])


def _together(checks: Sequence[Mapping[str, Any]], *, verbose: bool) -> Iterable[Renderable]:
    """Yield what all datasets show together: which checks are ok, and what is wrong."""
    if verbose:
        yield from checks_text(checks)
    fine = [check for check in checks if check["ok"]]
    if fine and not verbose:
        yield heading("All together, checked and ok")
        yield indented(", ".join(check["title"] for check in fine))
        yield from (item("-", f"{check['title']}: {check['reason']}") for check in fine if check["reason"])
    # errors are lines of the verdict
    warnings = [
        {**check, "problems": [problem for problem in check["problems"] if problem["severity"] == "warning"]}
        for check in checks
    ]
    yield from problems_text(warnings, verbose=verbose)


def _not_checked(audited: Sequence[Mapping[str, Any]], checks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what was not checked in the datasets, and of all of them together."""
    found = named_texts([(fold["name"], unchecked(fold["checks"])) for fold in audited])
    return [*found.values(), *unchecked(checks)]


def _checks_of_all(audited: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the checks that found problems, each with those of all datasets; a path begins with the dataset's name."""
    found: dict[str, dict[str, Any]] = {}
    for fold in audited:
        for check in fold["checks"]:
            for problem in check["problems"]:
                path = f"{fold['name']}: {problem['path']}".removesuffix(": ")
                several = found.setdefault(check["name"], {"title": check["title"], "ok": None, "problems": []})
                several["title"] = several["title"] if check["ok"] is not False else check["title"]
                several["problems"].append({**problem, "path": path})
    return list(found.values())
