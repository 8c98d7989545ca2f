"""The tables of the guide's Step 3, before and after undersampling: those of `plan --verbose`."""

from collections.abc import Iterable, Mapping
from typing import Any

from planbalance.model import SPLITS
from planbalance.render.class_labels import Words
from planbalance.render.table import Grid, Renderable, count, heading, indented, share, size
from planbalance.text import counted


def guide_tables(document: Mapping[str, Any], words: Words) -> Iterable[Renderable]:
    """Yield all tables of a plan's slices and volumes; `document` is that of `render.plan.plan_document`."""
    statistics = document["statistics"]
    yield from _pooled(document, words)
    yield from _volumes(document, words)
    yield heading("Slices of these volumes, before undersampling")
    yield _slices(statistics["before"], words)
    yield from _undersampling(document, words)
    yield from _final(statistics, words)
    yield from _reduction(statistics, words)


def _pooled(document: Mapping[str, Any], words: Words) -> Iterable[Renderable]:
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
    yield indented(_counted(document))
    targets = document["targets"]
    if targets.get("exact"):
        yield indented("Every slice target is met exactly.")


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
