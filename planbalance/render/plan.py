"""What `plan` prints: the statistics of Step 3 of the guide, what apply would do, and that nothing was touched."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from planbalance.group_sources import planned_joins
from planbalance.look_alikes import planned_pairs
from planbalance.model import SPLITS, ClassCount, PlanHeader
from planbalance.render.apply import warnings_text
from planbalance.render.class_labels import Words, words_of_plan
from planbalance.render.footprint import Footprint
from planbalance.render.groups import groups_text
from planbalance.render.naming import reading_of_header, reading_text, unit_noun, warnings_at_the_end
from planbalance.render.plan_classes import (
    class_rows,
    class_targets,
    classes_text,
    sensitivity_document,
    sensitivity_text,
)
from planbalance.render.plan_facts import fold_text
from planbalance.render.proof import proof_document, proof_text
from planbalance.render.repair import RepairFacts, repair_facts, repair_sections
from planbalance.render.table import Grid, Group, Renderable, count, heading, line, prose, share, size
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
        verbose: what can be told of each class too; of a repair, all groups that are mended.
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
    yield from reading_text(document, when=" (after the repair)")
    yield from inputs_text(document)
    yield line(("Kept    ", "dim"), _kept(repair, by_default=document.get("keep_by_default") is True))
    yield from repair_sections(repair, document["unit"], every=verbose)
    yield from classes_text(document, verbose=verbose)
    yield from sensitivity_text(document, verbose=verbose)
    summary = prose(("Repair: ", "bold"), f"{repair.proof} No {document['unit']} is in two splits.")
    yield from _ending(document, summary, commands)


def _kept(repair: RepairFacts, *, by_default: bool) -> str:
    """Return which splits stay as they are, and where that is the default, why."""
    kept = f"{', '.join(repair.keep)}, to the byte" if repair.keep else "no split"
    if not by_default:
        return kept
    return f"{kept} (no --keep was given, and the dataset has {'a' if repair.keep else 'no'} test split)"


def _text(document: Mapping[str, Any], commands: Sequence[str], *, verbose: bool) -> Iterable[Renderable]:
    words = words_of_plan(document["names"], document["statistics"])
    yield from reading_text(document, when=" (before undersampling)")
    yield from inputs_text(document)
    yield from joined_text(document)
    yield from pooled_text(document, words)
    yield from _volumes(document, words)
    yield from _before(document["statistics"], words)
    yield from _undersampling(document, words)
    yield from _final(document["statistics"], words)
    yield from classes_text(document, verbose=verbose)
    yield from sensitivity_text(document, verbose=verbose)
    if document["proof"] is not None:
        yield from proof_text(document["proof"])
    yield from _reduction(document["statistics"], words)
    yield from _ending(document, _sum(document, words), commands)


def _ending(document: Mapping[str, Any], summary: Renderable, commands: Sequence[str]) -> Iterable[Renderable]:
    """Yield what a plan and a repair end with; the summary, which is one sentence or two, only before commands."""
    yield from disk_text(document["modes"])
    yield from warnings_text(document["warnings"])
    yield from _digests(document)
    yield from warnings_at_the_end(texts_of(document["naming"], "warnings"))
    if commands:
        yield line()
        yield summary
        yield prose("Nothing was touched but the plan file. To look at it as a page, and to build it:")
        yield from (line("  ", command) for command in commands)


def _sum(document: Mapping[str, Any], words: Words) -> Renderable:
    """Return the plan in one sentence, the last one before the commands that build it."""
    before, after = document["statistics"]["before"], document["statistics"]["splits"]
    kept = ", ".join(f"{count(after[split]['total'])} {split}" for split in SPLITS)
    left_out = sum(before[split]["total"] - after[split]["total"] for split in SPLITS)
    rest = f"; {count(left_out)} {words.negative} slices of train left out" if left_out else ""
    whole = "No volume and no patient" if document["unit"] == "patient" else "No volume"
    return prose(("Plan: ", "bold"), f"{kept} slices{rest}. {whole} is in two splits.")


def inputs_text(document: Mapping[str, Any]) -> Iterable[Renderable]:
    """Yield the inputs and the output, and of one of several plans, which one it is."""
    for root in document["inputs"]:
        yield line(("Input   ", "dim"), root)
    yield line(("Output  ", "dim"), document["output"])
    fold = fold_text(document["parameters"].get("fold"))
    if fold:
        yield line(("Fold    ", "dim"), fold)


def joined_text(document: Mapping[str, Any]) -> Iterable[Renderable]:
    """Yield what each source of groups has joined, where there are several."""
    rows, pairs = planned_joins(document["group_sources"]), planned_pairs(document["parameters"])
    yield from groups_text(rows, pairs, document["look_alikes_file"])


def pooled_text(document: Mapping[str, Any], words: Words) -> Iterable[Renderable]:
    """Yield the table of all volumes and slices that are split."""
    before, volumes = document["statistics"]["before"], document["volume_statistics"]
    yield heading("Pooled totals")
    grid = Grid(["", "volumes", "slices"])
    for name, key in ((f"with {words.in_volumes}", "positive"), (f"without {words.in_volumes}", "negative")):
        grid.add(f"volumes {name}", count(sum(volumes[split][key] for split in SPLITS)), "")
    for name, key in ((words.positive, "positive"), (words.negative, "negative")):
        grid.add(f"{name} slices", "", count(sum(before[split][key] for split in SPLITS)))
    grid.add("all", count(volumes["total_volumes"]), count(sum(before[split]["total"] for split in SPLITS)))
    yield grid


def _volumes(document: Mapping[str, Any], words: Words) -> Iterable[Renderable]:
    volumes = document["volume_statistics"]
    parameters = document["parameters"]
    ratios = "/".join(str(parameters.get(f"{split}_ratio") or "-") for split in SPLITS)
    yield heading(f"Split of volumes ({ratios}; no volume is in two splits)")
    grid = Grid(["", f"with {words.in_volumes}", "without", "all"])
    for split in SPLITS:
        grid.add(
            split, *map(count, (volumes[split]["positive"], volumes[split]["negative"], volumes[f"{split}_volumes"]))
        )
    sums = [sum(volumes[split][key] for split in SPLITS) for key in ("positive", "negative")]
    yield grid.add("all", *map(count, (*sums, volumes["total_volumes"])))
    yield prose("  " + _counted(document))
    targets = document["targets"]
    if targets.get("exact"):
        yield prose("  Every slice target is met exactly.")
    elif "distance" in targets:
        yield prose(f"  The slice targets are missed by {count(targets['distance'])} slices in all.")


def _counted(document: Mapping[str, Any]) -> str:
    """Return a sentence on whether the counts include volumes of which undersampling keeps no slice."""
    volumes, kept = document["volume_statistics"], document["kept_volumes"]
    emptied = [(volumes[f"{split}_volumes"] - kept[split], split) for split in SPLITS]
    told = [f"{counted(number, 'volume')} of {split}" for number, split in emptied if number]
    if not told:
        return "Undersampling keeps at least one slice of every volume."
    return f"These numbers include {' and '.join(told)} of which undersampling keeps no slice."


def _slices(counts: Mapping[str, Mapping[str, int]], words: Words) -> Grid:
    grid = Grid(["", words.positive, words.negative, "all", f"{words.positive} share"])
    for split in SPLITS:
        grid.add(split, *_cells(counts[split]))
    sums = {key: sum(counts[split][key] for split in SPLITS) for key in ("positive", "negative", "total")}
    return grid.add("all", *_cells(sums))


def _cells(counts: Mapping[str, int]) -> list[str]:
    numbers = [count(counts[key]) for key in ("positive", "negative", "total")]
    return [*numbers, share(counts["positive"], counts["total"])]


def _before(statistics: Mapping[str, Any], words: Words) -> Iterable[Renderable]:
    yield heading("Slices of these volumes, before undersampling")
    yield _slices(statistics["before"], words)


def _undersampling(document: Mapping[str, Any], words: Words) -> Iterable[Renderable]:
    statistics = document["statistics"]
    before, after = statistics["before"]["train"], statistics["splits"]["train"]
    wanted = document["parameters"].get("negatives_per_positive")
    plural = "slice" if wanted == "1" else "slices"
    goal = (
        "all negatives kept"
        if wanted is None
        else f"{wanted} {words.negative} {plural} for each {words.positive} slice"
    )
    yield heading(f"Undersampling of train ({goal})")
    grid = Grid(["", "before", "after", "removed"])
    for name, key in ((words.positive, "positive"), (words.negative, "negative")):
        grid.add(f"{name} slices", *map(count, (before[key], after[key], before[key] - after[key])))
    grid.add(f"{words.negative} : {words.positive}", _ratio(before), _ratio(after), "")
    yield grid


def _ratio(counts: Mapping[str, int]) -> str:
    return f"{counts['negative'] / counts['positive']:.1f}:1" if counts["positive"] else "-"


def _final(statistics: Mapping[str, Any], words: Words) -> Iterable[Renderable]:
    train = statistics["splits"]["train"]
    balanced = "train 1:1; " if train["positive"] == train["negative"] else ""
    yield heading(f"Final splits ({balanced}val and test keep their natural class balance)")
    yield _slices(statistics["splits"], words)


def _reduction(statistics: Mapping[str, Any], words: Words) -> Iterable[Renderable]:
    yield heading("Reduction")
    grid = Grid(["", words.positive, words.negative, "all"])
    rows = {
        name: [sum(statistics[part][split][key] for split in SPLITS) for key in ("positive", "negative", "total")]
        for name, part in (("before", "before"), ("after", "splits"))
    }
    rows["removed"] = [was - left for was, left in zip(rows["before"], rows["after"], strict=True)]
    for name, numbers in rows.items():
        grid.add(name, *map(count, numbers))
    yield grid


def disk_text(modes: Mapping[str, Mapping[str, int]], of: str = "") -> Iterable[Renderable]:
    """Yield what each mode needs of the file system; `of` says which plans that is for, where there are several."""
    if modes:
        yield heading(f"What apply would put on the disk{of}, by --mode")
        grid = Grid(["", "files", "bytes", "inodes"])
        for mode, need in modes.items():
            grid.add(mode, count(need["files"]), size(need["bytes"]), count(need["inodes"]))
        yield grid


def _digests(document: Mapping[str, Any]) -> Iterable[Renderable]:
    yield heading("Plan")
    if document["plan_file"]:
        yield line("  ", ("file    ", "dim"), document["plan_file"])
    yield line("  ", ("digest  ", "dim"), document["digest"])
    yield line("  ", ("split   ", "dim"), document["split_digest"])
    if document["replaced"]:
        yield prose("  A different plan was here and was replaced:")
        yield line("  ", ("was     ", "dim"), document["replaced"])
        yield line("  ", ("is      ", "dim"), document["digest"])
