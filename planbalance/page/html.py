"""The page to review: one HTML file that opens offline, of a plan (before) or of a dataset (after).

Everything is in the file: style, script, volumes as compact JSON, pictures as data URIs. Its own policy forbids every
request to the network and every script but its own, so that a class name or volume id is shown as text, whatever it
holds.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from planbalance import path_safety, tool_version
from planbalance.model import SPLITS, Audit, PlanHeader, PlannedVolume, Progress, Silent
from planbalance.modes import MODE_TABLE
from planbalance.page import plots
from planbalance.page.audit_section import audited
from planbalance.page.boxes import BoxFacts, box_facts
from planbalance.page.commands import audit_steps, page_words, steps
from planbalance.page.joined_groups import joined_groups
from planbalance.page.samples import Places, count_all_boxes, draw_samples
from planbalance.page.subject import how_built, naming_facts
from planbalance.page.svg import matplotlib
from planbalance.page.template import Written, page_place, rendered, write_rendered
from planbalance.page.unplanned import PageSource
from planbalance.path_relation import all_guarded
from planbalance.render import plan_facts
from planbalance.render.footprint import Footprint, footprint
from planbalance.render.naming import reading_of_audit, reading_of_header, slices_text, unit_noun
from planbalance.render.plan_classes import MEASURED_ON, class_targets, nearness, sensitivity_document
from planbalance.render.repair import repair_facts
from planbalance.render.shares import stratified_sentence, stratified_values


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What the page shall show.

    Attributes:
        dataset: absolute path of the dataset built from the plan, or None for a plan alone.
        audit: its audit, where one was run.
        samples: positive slices of each split to draw with their boxes; a negative one comes with them. 0: none.
        as_found: another tool built the dataset: there are no targets, and apply has nothing to do.
    """

    dataset: str | None = None
    audit: Audit | None = None
    samples: int = 4
    as_found: bool = False


class ModeRow(NamedTuple):
    """What `apply --mode` would do: new files, links among the names, and the file system's need."""

    mode: str
    does: str
    files: int
    links: int
    bytes: int
    inodes: int


def write_page(
    path: str, plan: PageSource | None, options: PageOptions | None = None, progress: Progress | None = None
) -> Written:
    """Write the page in one step, so that the file is always the whole old page or the whole new one.

    Args:
        path: of the HTML file.
        plan: what it shows; None: only the audit of `options`, of a dataset that has no plan.
        options: beside the plan.
        progress: where reading labels and pictures is reported to.

    Raises:
        UsageError: the file lies in an input or in the dataset, cannot be written, or jinja2 or matplotlib is not
            installed.
        PlanError: the plan is damaged or does not add up.
    """
    options = options or PageOptions()
    path = os.path.abspath(path)
    check_page(path, plan, options.dataset)
    return write_rendered(path, render(plan, options, progress or Silent()))


def check_page(path: str, plan: PageSource | None, dataset: str | None) -> None:
    """Check, before long work, that a page can be made and that its file is in no input and in no dataset.

    Raises:
        UsageError: jinja2 or matplotlib is not installed; the file cannot be written, or lies in an input or dataset.
    """
    page = page_place(path)
    matplotlib()
    outputs = [folder for folder in (dataset, plan.header.output if plan is not None else None) if folder]
    if plan is not None:
        path_safety.refuse_files(page, all_guarded(plan.header.inputs, plan.header.sources))
    path_safety.refuse_files(page, outputs, what="dataset")


# ---- rendering ------------------------------------------------------------------------------------------------------


def render(plan: PageSource | None, options: PageOptions, progress: Progress) -> bytes:
    """Return the page's bytes: the same for the same plan, files and audit; no clock, no host.

    Raises:
        UsageError: jinja2 or matplotlib is not installed. PlanError: the plan is damaged or does not add up.
    """
    again = page_words(
        options.audit,
        options.samples,
        planned=plan is not None and not options.as_found,
        built=options.dataset is not None,
    )
    context: dict[str, Any] = {
        "dataset": options.dataset,
        "audit": None
        if options.audit is None
        else audited(options.audit, options.dataset, f"planbalance {tool_version()}", progress),
        "plan": None,
        "as_found": options.as_found,
        "repair": None,
        "warnings": (),
        "steps": () if options.dataset is None else audit_steps(options.dataset, options.audit, again),
    }
    if plan is not None:
        context |= _plan_context(plan, options, progress)
        if not options.as_found:
            context["steps"] = steps(plan.header, plan.path, options.dataset, again)
    context["reading"] = _reading(plan, options.audit)
    return rendered("page.html", context)


def _reading(plan: PageSource | None, audit: Audit | None) -> dict[str, Any] | None:
    """Return how names are read, for the top of the page: as the plan says, else as the audit found."""
    if plan is not None:
        document = reading_of_header(plan.header)
        repaired = repair_facts(plan.header.parameters) is not None
        when = " (after the repair)" if repaired else " (before undersampling)" if plan.header.statistics else ""
    elif audit is not None and audit.naming is not None:
        document, when = reading_of_audit(audit), ""
    else:
        return None
    return naming_facts(document, "" if document["slices_per_volume"] is None else slices_text(document, when=when))


def embedded_json(value: object) -> str:
    """Return JSON that can stand in a `script` element: no `<`, so neither `</script` nor `<!--`."""
    return orjson.dumps(value).decode().replace("<", "\\u003c")


# ---- the plan -------------------------------------------------------------------------------------------------------


def _plan_context(plan: PageSource, options: PageOptions, progress: Progress) -> dict[str, Any]:
    header = plan.header
    tally = plan_facts.Tally(header, options.samples)
    needs = footprint(header, tally.watching(plan.operations()))
    places = Places(header, None if options.as_found else options.dataset)
    splits = plan_facts.split_facts(header, tally)
    targets = class_targets(header.targets)
    reading = reading_of_header(header)
    stratified = stratified_values(header.targets)
    boxes = box_facts(header.names, count_all_boxes(plan, tally.labelled, places, progress))
    return {
        "plan": header,
        "plan_path": plan.path,
        "splits": splits,
        "total": _total(splits, header.volumes),
        "shared": plan_facts.in_several_splits((volume.id, volume.split) for volume in header.volumes),
        "shared_groups": plan_facts.in_several_splits((volume.group, volume.split) for volume in header.volumes),
        "distance": plan_facts.distance(header),
        "grouped": plan_facts.is_grouped(header),
        "fold": plan_facts.fold_text(header.parameters.get("fold")),
        "volumes_json": embedded_json(plan_facts.volume_rows(tally) | {"found": options.as_found}),
        "targets": targets,
        "stratified": stratified,
        "stratified_told": stratified_sentence(stratified, unit_noun(reading)) if stratified else "",
        "nearness": nearness(targets, unit_noun(reading)) if targets else "",
        "told": _told(header, boxes, splits, unit_noun(reading)),
        **joined_groups(header, progress),
        "labels_from": "the dataset" if options.as_found else places.of,
        **_drawn(splits, header.volumes, boxes, as_found=options.as_found),
        "samples": draw_samples(tally.picked(), places, header.names, progress),
        "modes": _modes(needs, sum(volume.kept for volume in header.volumes)),
        "warnings": header.warnings,
        "repair": repair_facts(header.parameters),
        "unit": reading["unit"],
        "built_mode": "" if options.dataset is None else how_built(options.dataset).mode,
    }


def _told(header: PlanHeader, boxes: BoxFacts, splits: Iterable[plan_facts.SplitFacts], noun: str) -> dict[str, Any]:
    """Return what the splits that are measured on can tell, and of each class where there are several."""
    rows = [
        {"class": row.class_id, "name": row.name}
        | {split: {"units": units} for split, units in zip(SPLITS, row.units, strict=True)}
        for row in boxes.rows
        if len(boxes.rows) > 1
    ]
    told = sensitivity_document(header, rows, noun)
    return {**told, "splits": [one.split for one in splits if one.volumes and one.split in MEASURED_ON]}


# ---- plots ----------------------------------------------------------------------------------------------------------

_UNITS: Final = {
    "slices": plots.PlotUnit("volume", "volumes", "slices per volume", "slices"),
    "positives": plots.PlotUnit(
        "volume", "volumes", "positive slices per positive volume", "positive slices", role="positive"
    ),
    "sizes": plots.PlotUnit("box", "boxes", "box sizes", "% of the image", role="positive", tenths=True),
}


def _drawn(
    splits: Sequence[plan_facts.SplitFacts], volumes: Sequence[PlannedVolume], boxes: BoxFacts, *, as_found: bool
) -> dict[str, Any]:
    """Return the plots with what they show, for the tables beside them."""
    shown = {
        "slices": plan_facts.slices_per_volume(volumes),
        "positives": plan_facts.positives_per_volume(volumes),
        "sizes": boxes.sizes,
    }
    drawn = {name: plots.distribution(found, _UNITS[name]) for name, found in shown.items() if found is not None}
    drawn["balance"] = plots.balance(list(_balance_rows(splits, as_found=as_found)))
    if boxes.rows:
        drawn["classes"] = plots.classes(boxes)
    return {
        "boxes": boxes,
        "slices_per_volume": shown["slices"],
        "positives_per_volume": shown["positives"],
        "units": _UNITS,
        "drawn": drawn,
    }


def _balance_rows(splits: Iterable[plan_facts.SplitFacts], *, as_found: bool) -> Iterator[plots.BalanceRow]:
    for one in splits:
        if one.dropped:
            yield plots.BalanceRow(one.split, "before", one.positives, one.negatives, 0)
            yield plots.BalanceRow(one.split, "after", one.kept_positives, one.kept_negatives, one.dropped)
        elif one.slices:
            note = "" if as_found else "all kept" if one.split == "train" else "natural balance"
            yield plots.BalanceRow(one.split, note, one.positives, one.negatives, 0)


def _modes(needs: Mapping[str, Footprint], slices: int) -> tuple[ModeRow, ...]:
    rows = []
    for mode, traits in MODE_TABLE.items():
        if (need := needs.get(mode)) is None:
            continue
        links = slices if traits.link else 0
        rows.append(ModeRow(mode, traits.summary, need.files - links, links, need.bytes, need.inodes))
    return tuple(rows)


class Total(NamedTuple):
    """All splits together."""

    volumes: int
    positive_volumes: int
    groups: int
    slices: int
    positives: int
    kept: int
    kept_positives: int


def _total(splits: Sequence[plan_facts.SplitFacts], volumes: Sequence[PlannedVolume]) -> Total:
    """Return the sums; a volume in two splits is one volume."""
    return Total(
        volumes=len({volume.id for volume in volumes}),
        positive_volumes=len({volume.id for volume in volumes if volume.positives}),
        groups=len({volume.group for volume in volumes}),
        slices=sum(split.slices for split in splits),
        positives=sum(split.positives for split in splits),
        kept=sum(split.kept for split in splits),
        kept_positives=sum(split.kept_positives for split in splits),
    )
