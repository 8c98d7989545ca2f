"""What `plan` prints on one screen: how names are read, one table of the splits, warnings and the next commands."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.group_sources import planned_joins
from planbalance.look_alikes import planned_pairs
from planbalance.model import SPLITS, TARGETS_MISSED, ClassCount, PlanHeader
from planbalance.render.apply import warnings_text
from planbalance.render.class_labels import NEUTRAL, Words, words_of_plan
from planbalance.render.footprint import Footprint
from planbalance.render.groups import groups_text
from planbalance.render.guide_tables import disk_text, guide_tables
from planbalance.render.naming import reading_of_header, reading_text, unit_noun
from planbalance.render.plan_classes import (
    class_rows,
    class_targets,
    classes_text,
    sensitivity_document,
    sensitivity_text,
    stratify_text,
)
from planbalance.render.plan_facts import fold_text
from planbalance.render.proof import proof_document, proof_text
from planbalance.render.repair import RepairFacts, repair_facts, repair_sections
from planbalance.render.table import Grid, Group, Renderable, count, heading, indented, line, prose, share, term
from planbalance.split.prove import SplitProof
from planbalance.text import counted, texts_of

_KEYS: Final = ("digest", "split_digest", "names", "statistics", "volume_statistics", "targets")


def plan_document(
    header: PlanHeader,
    needs: Mapping[str, Footprint],
    *,
    plan_file: str | None,
    replaced: str = "",
    warnings: Sequence[str] | None = None,
    classes: Sequence[ClassCount] = (),
    proof: SplitProof | None = None,
) -> dict[str, Any]:
    """Return the plan's outcome with the keys of docs/reference/json.md, and what it would take on the disk.

    Args:
        header: the plan's.
        needs: of the file system, by mode.
        plan_file: where the plan lies; None where it was not saved.
        replaced: digest of another plan that lay there.
        warnings: the plan's own and others; None: the plan's own.
        classes: what the splits hold of each class, where the plan was made just now. A plan file only has how many
            boxes of each class there were before undersampling.
        proof: how near the best split this one is, where that was asked.
    """
    kept = Counter(volume.split for volume in header.volumes if volume.kept)
    reading = reading_of_header(header)
    rows = class_rows(header.names, classes)
    measured = rows or [
        {"class": one.class_id, "name": one.name}
        | {split: {"units": reached} for split, (*_, reached) in zip(SPLITS, one.groups, strict=True)}
        for one in class_targets(header.targets)
    ]
    return {
        **reading,
        "plan_file": plan_file,
        **{key: getattr(header, key) for key in _KEYS},
        "kept_volumes": {split: kept[split] for split in SPLITS},
        "classes": rows,
        "sensitivity": sensitivity_document(header, measured, unit_noun(reading)),
        "proof": None if proof is None else proof_document(proof, header.names),
        "warnings": list(header.warnings if warnings is None else warnings),
        "inputs": list(header.inputs),
        "output": header.output,
        "parameters": header.parameters,
        "look_alikes_file": None,  # `plan` says where it has written it
        "replaced": replaced or None,
        "modes": {mode: need._asdict() for mode, need in needs.items()},
    }


def plan_text(document: Mapping[str, Any], *, commands: Sequence[str] = (), verbose: bool = False) -> Renderable:
    """Return the plan for a person.

    Args:
        document: of `plan_document`.
        commands: that show and build the plan; they come last, if there are any.
        verbose: all tables of the guide in place of one, the need of each mode, what val and test can tell, digests; of
            a repair, all groups that are mended.
    """
    repair = repair_facts(document["parameters"])
    if repair is not None:
        return Group(*_repair_text(document, repair, commands, verbose=verbose))
    return Group(*_text(document, commands, verbose=verbose))


def no_leak_text(document: Mapping[str, Any], *, hashed: bool) -> Renderable:
    """Return that there is nothing to repair, and what was not looked at."""
    nothing = ["patient", "volume"] if document["unit"] == "patient" else ["volume"]
    nothing += ["identical image"] if hashed else []
    *first, last = (f"no {what}" for what in nothing)
    found = f"{', '.join(first)} and {last}" if first else last
    unread = "" if hashed else " Identical images were NOT looked for (--no-hash-images)."
    return Group(
        *reading_text(document),
        *(line(("Input   ", "dim"), root) for root in document["inputs"]),
        line(),
        *warnings_text(document["warnings"]),
        prose(
            ("No leak: ", "bold green"),
            f"{found} is in two splits. No plan was written.{unread}",
        ),
    )


def _repair_text(
    document: Mapping[str, Any], repair: RepairFacts, commands: Sequence[str], *, verbose: bool
) -> Iterable[Renderable]:
    yield from reading_text(document, when=" (after the repair)", warned=False)
    yield from inputs_text(document)
    yield term("Kept", _kept(repair, by_default=document.get("keep_by_default") is True))
    yield from repair_sections(repair, document["unit"], every=verbose)
    yield from classes_text(document, verbose=verbose)
    if verbose:
        yield from sensitivity_text(document)
    verdict = prose(("Repair: ", "bold green"), f"no {document['unit']} is in two splits.")
    yield from _ending(document, verdict, commands, verbose=verbose)


def _kept(repair: RepairFacts, *, by_default: bool) -> str:
    """Return which splits stay as they are, and where that is the default, why."""
    kept = f"{', '.join(repair.keep)}, to the byte" if repair.keep else "no split"
    if not by_default:
        return kept
    return f"{kept} (no --keep was given, and the dataset has {'a' if repair.keep else 'no'} test split)"


def _text(document: Mapping[str, Any], commands: Sequence[str], *, verbose: bool) -> Iterable[Renderable]:
    words = words_of_plan(document["names"], document["statistics"])
    yield from reading_text(document, when=" (before undersampling)" if verbose else "", warned=False)
    yield from inputs_text(document)
    yield from joined_text(document, verbose=verbose)
    yield from guide_tables(document, words) if verbose else _split_table(document, words)
    yield from classes_text(document, verbose=verbose)
    yield from stratify_text(document)
    if verbose:
        yield from sensitivity_text(document)
    if document["proof"] is not None:
        yield from proof_text(document["proof"])
    yield from _ending(document, _verdict(document, words), commands, verbose=verbose)


def _split_table(document: Mapping[str, Any], words: Words) -> Iterable[Renderable]:
    """Yield volumes and slices of each split in one table, and how to read it."""
    volumes, parameters = document["volume_statistics"], document["parameters"]
    before, after = document["statistics"]["before"], document["statistics"]["splits"]
    ratios = "/".join(str(parameters.get(f"{split}_ratio") or "-") for split in SPLITS)
    yield heading(f"Split of volumes ({ratios})")
    positive = "with positive" if words == NEUTRAL else f"with {words.positive}"
    grid = Grid(["", "volumes", positive, words.positive, words.negative, "kept", "share"])
    rows = [
        (
            *(volumes[f"{split}_volumes"], volumes[split]["positive"]),
            *(before[split]["positive"], before[split]["negative"]),
            *(after[split]["total"], after[split]["positive"]),
        )
        for split in SPLITS
    ]
    sums = tuple(map(sum, zip(*rows, strict=True)))
    for name, (*numbers, kept, kept_positives) in zip((*SPLITS, "all"), (*rows, sums), strict=True):
        grid.add(name, *map(count, numbers), count(kept), share(kept_positives, kept))
    yield grid
    yield indented(" ".join(_notes_on_table(document, words)))


def _notes_on_table(document: Mapping[str, Any], words: Words) -> Iterable[str]:
    """Yield what train keeps, what the share is of, and which volumes count; a warning tells of missed targets."""
    wanted = document["parameters"].get("negatives_per_positive")
    if wanted is None:
        yield f"Every slice is kept. Share: {words.positive} slices among them."
    else:
        slices = "slice" if wanted == "1" else "slices"
        yield f"Train keeps {wanted} {words.negative} {slices} for each {words.positive} slice, val and test keep all."
        yield f"Share: {words.positive} slices among those kept."
    if document["targets"].get("exact"):
        yield "Every slice target is met."
    kept = sum(document["kept_volumes"].values())
    if kept < document["volume_statistics"]["total_volumes"]:
        yield "Volumes without a kept slice are counted."


def _ending(
    document: Mapping[str, Any], verdict: Renderable, commands: Sequence[str], *, verbose: bool
) -> Iterable[Renderable]:
    """Yield what a plan and a repair end with; the verdict only before commands."""
    if verbose:
        yield from disk_text(document["modes"])
    naming = texts_of(document["naming"], "warnings")
    yield from warnings_text(dict.fromkeys([*naming, *off_target(document["warnings"], document["targets"])]))
    yield from _digests(document, verbose=verbose)
    if commands:
        yield line()
        yield verdict
        more = "" if verbose else "; --verbose shows all tables"
        yield prose(f"Only {os.path.basename(document['plan_file'])} was written{more}. Next:")
        yield from (line("  ", command) for command in commands)


def _verdict(document: Mapping[str, Any], words: Words) -> Renderable:
    """Return the plan in one sentence, the last one before the commands that build it."""
    before, after = document["statistics"]["before"], document["statistics"]["splits"]
    kept, all_slices = (sum(counts[split]["total"] for split in SPLITS) for counts in (after, before))
    rest = f", {count(all_slices - kept)} {words.negative} slices of train left out" if kept < all_slices else ""
    whole = "volume and no patient" if document["unit"] == "patient" else "volume"
    return prose(
        ("Plan: ", "bold green"),
        f"{count(kept)} of {count(all_slices)} slices kept{rest}; no {whole} is in two splits.",
    )


def inputs_text(document: Mapping[str, Any]) -> Iterable[Renderable]:
    """Yield the inputs and the output, and of one of several plans, which one it is."""
    for root in document["inputs"]:
        yield line(("Input   ", "dim"), root)
    yield line(("Output  ", "dim"), document["output"])
    fold = fold_text(document["parameters"].get("fold"))
    if fold:
        yield line(("Fold    ", "dim"), fold)


def joined_text(document: Mapping[str, Any], *, verbose: bool) -> Iterable[Renderable]:
    """Yield what each source of groups has joined, where there are several."""
    rows, pairs = planned_joins(document["group_sources"]), planned_pairs(document["parameters"])
    yield from groups_text(rows, pairs, document["look_alikes_file"], table=verbose)


def off_target(warnings: Iterable[str], targets: Mapping[str, Any]) -> list[str]:
    """Return a plan's warnings; that of missed slice targets says for each split what it gets and what was wanted."""
    return [_off_target(one, targets) if one.startswith(TARGETS_MISSED) else one for one in warnings]


def _off_target(warning: str, targets: Mapping[str, Any]) -> str:
    parts = []
    for split in SPLITS:
        for kind in ("positive", "negative"):
            wanted, reached = _wanted_and_reached(targets, split, kind)
            if wanted != reached:
                slices = counted(reached, f"{kind} slice")
                parts.append(f"{split} gets {slices} (wanted {count(wanted)})")
    distance = targets.get("distance")
    if not parts or type(distance) is not int:
        return warning
    _, found, closer = warning.partition("); ")
    end = f"; {closer}" if found else "."
    return f"{counted(distance, 'slice')} off target: {', '.join(parts)}{end}"


def _wanted_and_reached(targets: Mapping[str, Any], split: str, kind: str) -> tuple[int, int]:
    """Return two slice counts of a plan's targets, which are untrusted; equal ones where it has none."""
    one = targets.get(split)
    found = one.get(kind) if isinstance(one, Mapping) else None
    wanted, reached = (found.get(key) for key in ("wanted", "reached")) if isinstance(found, Mapping) else (0, 0)
    return (wanted, reached) if type(wanted) is int and type(reached) is int else (0, 0)


def _digests(document: Mapping[str, Any], *, verbose: bool) -> Iterable[Renderable]:
    if verbose:
        yield heading("Plan")
        if document["plan_file"]:
            yield line("  ", ("file    ", "dim"), document["plan_file"])
        yield line("  ", ("digest  ", "dim"), document["digest"])
        yield line("  ", ("split   ", "dim"), document["split_digest"])
    if document["replaced"] and verbose:
        yield line("  ", ("before  ", "dim"), document["replaced"], " (of the plan that was here)")
    elif document["replaced"]:
        yield line()
        yield prose("Digests of the plan that was here, and of this one:")
        yield from (line("  ", document[key]) for key in ("replaced", "digest"))
