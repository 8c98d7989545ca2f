"""What `scan` prints: what is there, how its names are read, and what does not look right (Step 1 of the guide)."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from planbalance.group_sources import planned_joins, sources_document
from planbalance.labels import overshoot_sentence
from planbalance.look_alikes import pairs_document, planned_pairs
from planbalance.model import (
    SPLITS,
    TRAINER_SUFFIXES,
    LayoutDifference,
    Overshoot,
    SlicesPerVolume,
    Snapshot,
    Split,
    SplitYaml,
    Volume,
)
from planbalance.render.class_labels import and_others, several_alike, words_of_names
from planbalance.render.groups import groups_text
from planbalance.render.naming import reading_document, reading_text, warnings_at_the_end
from planbalance.render.table import Grid, Group, Renderable, count, heading, indented, item, line, share, term
from planbalance.text import counted, texts_of

if TYPE_CHECKING:
    from planbalance.planner import Grouped

_PROBLEMS_SHOWN: Final = 20
_NO_SPLIT: Final = "none"


def scan_document(snapshot: Snapshot, naming: Mapping[str, Any], grouped: "Grouped") -> dict[str, Any]:
    """Return the findings of a scan as JSON values; `naming` and `grouped` are those of `api.Scanned`."""
    volumes = grouped.volumes
    positive = sum(volume.positives for volume in volumes)
    positive_volumes = sum(volume.positives > 0 for volume in volumes)
    slices = len(snapshot.images)
    kinds = Counter(problem.kind for problem in snapshot.problems)
    suffixes = Counter(image.path.rpartition(".")[2].lower() for image in snapshot.images)
    splits = _by_split(snapshot, volumes)
    groups = len({volume.group for volume in volumes})
    slices_per_volume = SlicesPerVolume.of(len(volume.slices) for volume in volumes)
    return {
        **reading_document(
            naming, slices_per_volume, grouped_by=grouped.by, groups=groups, sources=sources_document(grouped.sources)
        ),
        "inputs": [
            {
                "root": source.root,
                "prefix": source.prefix,
                "folders": [folder.images for folder in source.folders],
                "yaml": yaml_document(yaml),
            }
            for source, yaml in zip_longest(snapshot.inputs, snapshot.yamls)
        ],
        "look_alikes": pairs_document(grouped.look_alikes),
        "layout_differences": differences_document(snapshot.differences),
        "names": next((source.names for source in snapshot.inputs if source.names is not None), None),
        "volumes": len(volumes),
        "positive_volumes": positive_volumes,
        "negative_volumes": len(volumes) - positive_volumes,
        "slices": slices,
        "positive": positive,
        "negative": slices - positive,
        "splits": splits,
        "empty_splits": list(snapshot.empty_splits),
        "labels": {
            "missing": sum(snapshot.missing),
            "empty": sum(snapshot.empty),
            "orphans": kinds["orphan-label"],
            "invalid_files": sum(image.invalid for image in snapshot.images),
            "invalid_lines": kinds["label-invalid"],
            "overshoot": None if snapshot.overshoot is None else snapshot.overshoot._asdict(),
        },
        "classes": {str(one): lines for one, lines in sorted(_classes(snapshot).items())},
        "suffixes": dict(sorted(suffixes.items())),
        "suffixes_not_read_by_trainers": sorted(set(suffixes) - TRAINER_SUFFIXES),
        "leftovers": snapshot.leftovers,
        "warnings": [*texts_of(naming, "warnings"), *_gaps(splits, snapshot.empty_splits)],
        "problems": [problem._asdict() for problem in snapshot.problems],
    }


def _gaps(splits: Mapping[str, Mapping[str, int]], empty: Sequence[Split]) -> Iterable[str]:
    """Yield a sentence for every split of the input that holds no slice, or no positive one."""
    for split in SPLITS:
        if split in empty:
            yield f"{split} holds no slice."
        elif split in splits and not splits[split]["positive"]:
            yield f"{split} holds no positive slice."


def yaml_document(yaml: SplitYaml | None) -> dict[str, Any] | None:
    """Return the yaml that names the splits of a dataset as JSON values; None where folders are the splits."""
    if yaml is None:
        return None
    return {
        "path": yaml.path,
        "splits": {split: list(places) for split, places in yaml.splits.items()},
        "root": yaml.root,
        "found": {split: list(places) for split, places in yaml.found.items()},
        "moved": yaml.moved,
    }


def differences_document(found: Iterable[LayoutDifference]) -> list[dict[str, Any]]:
    """Return where folders and yaml differ, as JSON values."""
    return [
        {
            "path": one.path,
            "images": one.images,
            "folder_split": one.folder_split,
            "yaml_splits": list(one.yaml_splits),
        }
        for one in found
    ]


def _classes(snapshot: Snapshot) -> Counter[int]:
    counts: Counter[int] = Counter()
    for image in snapshot.images:
        counts.update(image.classes)
    return counts


def _by_split(snapshot: Snapshot, volumes: Iterable[Volume]) -> dict[str, dict[str, int]]:
    """Count what the input's own folders hold, volumes by every split in which they have a slice."""
    folders = [[folder.split or _NO_SPLIT for folder in source.folders] for source in snapshot.inputs]
    names = {one for several in folders for one in several}
    counts = {
        split: {"slices": 0, "positive": 0, "negative": 0, "volumes": 0}
        for split in (*SPLITS, _NO_SPLIT)
        if split in names
    }
    for volume in volumes:
        seen = set()
        for one in volume.slices:
            split = folders[one.file.input][one.file.folder]
            seen.add(split)
            counts[split]["slices"] += 1
            counts[split]["positive" if one.positive else "negative"] += 1
        for split in seen:
            counts[split]["volumes"] += 1
    return {split: found for split, found in counts.items() if found["slices"]}


# ---- as text --------------------------------------------------------------------------------------------------------


def scan_text(document: Mapping[str, Any]) -> Renderable:
    """Return the findings for a person."""
    return Group(
        *reading_text(document, warned=False),
        *_where(document),
        *_labels(document),
        *groups_text(planned_joins(document["group_sources"]), planned_pairs({"groups": document})),
        *_counts(document),
        *_classes_text(document),
        *_remarks(document),
        *_problems(document),
        *_warnings(document["warnings"]),
    )


def _where(document: Mapping[str, Any]) -> Iterable[Renderable]:
    for source in document["inputs"]:
        prefix = f"  (file names get {source['prefix']})" if source["prefix"] else ""
        yield line(("Input   ", "dim"), source["root"], prefix)
        yield from _yaml(source["yaml"])


def _yaml(yaml: Mapping[str, Any] | None) -> Iterable[Renderable]:
    if yaml is not None:
        named = ", ".join(f"{split}: {_some(places)}" for split, places in yaml["splits"].items())
        yield term("Yaml", f"{yaml['path'].rpartition('/')[2]} names {named}")
        if len(yaml["splits"]) > len({tuple(places) for places in yaml["splits"].values()}):
            yield term("", "Some of these splits are the same images. Here each image counts once.")


def _some(places: Sequence[str]) -> str:
    return " + ".join(places[:3]) + (f" and {count(len(places) - 3)} more" if len(places) > 3 else "")


def _counts(document: Mapping[str, Any]) -> Iterable[Renderable]:
    words = words_of_names(document["names"])
    yield heading("What is there")
    grid = Grid(["", "volumes", "slices", words.positive, words.negative, "share"])
    for split, found in document["splits"].items():
        name = "without a split" if split == _NO_SPLIT else split
        grid.add(name, *_cells(found))
    if len(document["splits"]) > 1:
        grid.add("all", *_cells(document))
    yield grid
    yield indented(
        f"{counted(document['positive_volumes'], 'volume')} with {words.in_volumes}, "
        f"{count(document['negative_volumes'])} without"
        + (f"; {counted(document['groups'], 'patient')}" if document["unit"] == "patient" else "")
    )


def _cells(found: Mapping[str, int]) -> list[str]:
    numbers = [count(found[key]) for key in ("volumes", "slices", "positive", "negative")]
    return [*numbers, share(found["positive"], found["slices"])]


def _labels(document: Mapping[str, Any]) -> Iterable[Renderable]:
    labels = document["labels"]
    yield term(
        "Labels",
        f"{count(labels['missing'])} missing, {count(labels['empty'])} empty (background), "
        f"{count(labels['orphans'])} without an image, {count(labels['invalid_files'])} with an invalid line",
    )


def _classes_text(document: Mapping[str, Any]) -> Iterable[Renderable]:
    if len(document["classes"]) > 1 or len(document["names"] or ()) > 1:
        names = dict(enumerate(document["names"] or ()))
        yield heading("Classes")
        classes = Grid(["class", "name", "boxes"], words=frozenset({1}))
        for one, boxes in document["classes"].items():
            classes.add(one, names.get(int(one), "-"), count(boxes))
        yield classes


def _remarks(document: Mapping[str, Any]) -> Iterable[Renderable]:
    labels, remarks = document["labels"], []
    if labels["missing"] and labels["empty"]:
        remarks.append("Missing and empty label files are both there: plan will ask for --missing-label.")
    if labels["overshoot"]:
        remarks.append(f"{overshoot_sentence(Overshoot(**labels['overshoot']))}.")
    if document["suffixes_not_read_by_trainers"]:
        suffixes = ", ".join("." + suffix for suffix in document["suffixes_not_read_by_trainers"])
        remarks.append(f"Stock YOLOv5 and Ultralytics do not read {suffixes}; forks do.")
    if document["leftovers"]:
        remarks.append(f"{counted(document['leftovers'], 'leftover')} of trainers (*.cache, *.npy) passed over.")
    if not document["positive"]:
        remarks.append("No slice is positive: there is nothing to balance.")
    if remarks:
        yield heading("Notes")
        yield from (item("-", remark) for remark in remarks)


def _warnings(sentences: Sequence[str]) -> Iterable[Renderable]:
    if sentences:
        yield line()
        yield from warnings_at_the_end(sentences)


def _problems(document: Mapping[str, Any]) -> Iterable[Renderable]:
    problems = document["problems"]
    if problems:
        yield heading(f"Problems ({count(len(problems))})")
        alike = several_alike(problems)
        for problem, others in alike[:_PROBLEMS_SHOWN]:
            yield line(f"  {problem['path']}: {problem['message']}{and_others(others)}")
        if left := sum(1 + others for _, others in alike[_PROBLEMS_SHOWN:]):
            yield line(f"  and {count(left)} more (--json lists all)")
