"""The page of several datasets that belong together, folds or variants: one table across them, and what was found."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from planbalance import path_safety
from planbalance.model import SPLITS, AuditedFold, Check, FoldsAudit, PlanHeader, SplitCount
from planbalance.page.audit_section import AuditedCheck, audited_check, grouped
from planbalance.page.commands import SAMPLES, Step, page_words, steps
from planbalance.page.subject import naming_facts, open_subject
from planbalance.page.template import Written, page_place, rendered, write_rendered
from planbalance.path_relation import all_guarded
from planbalance.render.naming import reading_of_audit
from planbalance.render.shares import shares_document
from planbalance.render.verify import unchecked
from planbalance.render.verify_folds import verify_folds_document
from planbalance.text import command_line, named_texts


class FoldRow(NamedTuple):
    """One dataset of the table.

    Attributes:
        name: as its plan calls it.
        ok: the result of its audit.
        splits: for train, val and test slices and positive ones; None where neither labels nor a plan tell them.
        errors: how many its audit found; one where it could not be audited.
        warnings: how many its audit found.
        checks: those that found problems.
        error: why it could not be audited, else "".
    """

    name: str
    ok: bool
    splits: tuple[tuple[int, int | None], ...]
    errors: int
    warnings: int
    checks: tuple[AuditedCheck, ...]
    error: str


class AcrossTable(NamedTuple):
    """A table with a row for each class or value, and for each dataset what its test holds of it."""

    title: str
    first: str
    rows: tuple[tuple[str, tuple[int, ...]], ...]


def write_folds_page(path: str, folder: str, found: FoldsAudit) -> Written:
    """Write the page of several datasets in one step.

    Args:
        path: of the HTML file.
        folder: that the datasets lie in, or the folder of the first one.
        found: the audits.

    Raises:
        UsageError: the file lies in an input or a dataset, cannot be written, or jinja2 is not installed.
        PlanError: a plan is damaged.
    """
    path = os.path.abspath(path)
    datasets = [fold.dataset for fold in found.folds]
    headers = check_folds_page(path, datasets)
    document = verify_folds_document(found)
    rows = tuple(_row(fold, headers.get(fold.dataset)) for fold in found.folds)
    context: dict[str, Any] = {
        "folder": folder,
        "found": found,
        "planned": any(one.positives is None for fold in found.folds if fold.audit for one in fold.audit.counts),
        "next_step": document["next_step"],
        "reading": _reading(found),
        "rows": rows,
        "warned": any(row.errors or row.warnings for row in rows),
        "together": tuple(map(audited_check, grouped(found.checks))),
        "across": list(_across(found)),
        "not_checked": _not_checked(found.folds, document["checks"]),
        "warnings": list(named_texts([(one.name, one.audit.warnings) for one in found.folds if one.audit]).values()),
        "steps": list(_steps(folder, datasets, list(headers.values()), found)),
        "splits": SPLITS,
    }
    return write_rendered(path, rendered("folds.html", context))


def check_folds_page(path: str, datasets: Sequence[str]) -> dict[str, PlanHeader]:
    """Check, before long work, that a page can be made and lies in no input and no dataset.

    Returns the headers of the plans, by dataset.

    Raises:
        UsageError: the page cannot be written there. PlanError: a plan is damaged.
    """
    page = page_place(path)
    plans = ((dataset, open_subject(dataset).plan) for dataset in datasets)
    headers = {dataset: plan.header for dataset, plan in plans if plan is not None}
    for header in headers.values():
        path_safety.refuse_files(page, all_guarded(header.inputs, header.sources))
    path_safety.refuse_files(page, datasets, what="dataset")
    return headers


def _row(fold: AuditedFold, header: PlanHeader | None) -> FoldRow:
    if fold.audit is None:
        return FoldRow(fold.name, ok=False, splits=(), errors=1, warnings=0, checks=(), error=fold.error)
    planned = {} if header is None else header.statistics.get("splits", {})
    held = {one.split: (one.slices, _positives(one, planned)) for one in fold.audit.counts}
    checks = tuple(audited_check(check) for check in fold.audit.checks if check.problems)
    return FoldRow(
        fold.name,
        fold.ok,
        tuple(held.get(split, (0, 0)) for split in SPLITS),
        sum(check.errors for check in checks),
        sum(check.warnings for check in checks),
        checks,
        "",
    )


def _positives(held: SplitCount, planned: object) -> int | None:
    """Return the positive slices of a split; where labels were not read, those of the plan, which may not say them."""
    counts = planned.get(held.split) if isinstance(planned, Mapping) else None
    number = counts.get("positive") if isinstance(counts, Mapping) else None
    told = number if type(number) is int else None
    return told if held.positives is None else held.positives


def _reading(found: FoldsAudit) -> dict[str, Any] | None:
    """Return how names were read, where it is the same in all datasets."""
    documents = [reading_of_audit(fold.audit) for fold in found.folds if fold.audit is not None]
    if not documents or any(one["naming"] != documents[0]["naming"] for one in documents):
        return None
    most = max(documents, key=lambda one: one["groups"])  # undersampling may leave one without a slice
    return naming_facts(most)


def _not_checked(folds: Iterable[AuditedFold], together: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what was not checked, a line for each reason, with the names of the datasets where it is not all."""
    said = [(fold.name, unchecked(_as_documents(fold.audit.checks))) for fold in folds if fold.audit is not None]
    return [*named_texts(said).values(), *unchecked(together)]


def _as_documents(checks: Iterable[Check]) -> list[dict[str, Any]]:
    return [check._asdict() for check in checks]


def _across(found: FoldsAudit) -> Iterable[AcrossTable]:
    """Yield what the test of each dataset holds of each class, and of each value of `--stratify`."""
    told = [shares_document(fold.audit) for fold in found.folds if fold.audit is not None]
    if len(told) < len(found.folds):
        return
    classes = [{str(row["name"] or row["class"]): row["test"] for row in one["classes"]} for one in told]
    values = [{f"{row['column']} {row['value']}": row["reached"][2] for row in one["stratify"]} for one in told]
    known = any(fold.audit is not None and fold.audit.grouped_by != "volume" for fold in found.folds)
    noun = "patients" if known else "volumes"
    for title, first, held in (
        ("Boxes of each class in test", "class", classes),
        (f"Values of --stratify: {noun} in test", "value", values),
    ):
        names = list(dict.fromkeys(name for one in held for name in one))
        if names:
            rows = tuple((name, tuple(one.get(name, 0) for one in held)) for name in names)
            yield AcrossTable(title, first, rows)


def _steps(folder: str, datasets: Sequence[str], headers: Sequence[PlanHeader], found: FoldsAudit) -> Iterable[Step]:
    named = [folder] if all(os.path.dirname(one) == folder.rstrip("/") for one in datasets) else list(datasets)
    of_folds = [header for header in headers if header.parameters.get("fold")]
    if of_folds:
        making, *_ = steps(of_folds[0], "")
        yield making._replace(title="Make the same plans")
    yield Step("Audit all of them", command_line(["verify", *named]))
    audits = [fold.audit for fold in found.folds if fold.audit is not None]
    words = page_words(audits[0] if audits else None, SAMPLES, planned=True, built=bool(audits))
    yield Step("Make this page again", command_line(["report", *named, *words]))
