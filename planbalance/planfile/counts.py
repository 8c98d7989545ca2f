"""Count slices and volumes for the plan's header: the guide's `statistics` and `volume_statistics`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from planbalance.model import SPLITS, Operation, PlannedVolume, Split


class Content(NamedTuple):
    """The total slices and bytes of a plan's operations."""

    slices: int
    image_bytes: int
    label_bytes: int
    path_bytes: int  # of the images' paths, relative to their input, in UTF-8
    of_input: Mapping[int, int]  # input index -> slices


def content_of(operations: Iterable[Operation]) -> Content:
    """Return the total slices and bytes of operations."""
    rows = list(operations)
    of_input = Counter([each.input for each in rows])
    images, labels = sum([each.image_size for each in rows]), sum([each.label_size for each in rows])
    return Content(len(rows), images, labels, len("".join([each.image for each in rows]).encode()), of_input)


def together(contents: Sequence[Content]) -> Content:
    """Return the sum over several parts of a plan."""
    slices, images, labels, paths, of_input = zip(*contents, strict=True)
    return Content(sum(slices), sum(images), sum(labels), sum(paths), sum(map(Counter, of_input), Counter()))


def volume_counts(volumes: Iterable[PlannedVolume]) -> dict[str, Any]:
    """Return the metadata's `volume_statistics`: volumes assigned to each split, kept or not.

    `no_overlap_verified` holds by construction: a volume's split is stated once, and every operation must agree.
    """
    counts = Counter(volume.split for volume in volumes)
    by_split = {f"{split}_volumes": counts[split] for split in SPLITS}
    return {**by_split, "total_volumes": counts.total(), "no_overlap_verified": True}


def slice_counts(counts: Mapping[tuple[Split, bool], int], word: str | None) -> dict[str, Any]:
    """Return the metadata's `statistics` of slices counted by split and positive (the guide's Step 4).

    `word` is the class word or None: `tear` gives `tear` and `no_tear` beside `positive` and `negative`.
    """
    splits: dict[str, dict[str, int]] = {}
    for split in SPLITS:
        positive, negative = counts.get((split, True), 0), counts.get((split, False), 0)
        splits[split] = {"total": positive + negative, "positive": positive, "negative": negative}
        if word:
            splits[split] |= {word: positive, f"no_{word}": negative}
    sums = {key: sum(each[key] for each in splits.values()) for key in splits["train"]}
    totals = {f"total_{'images' if key == 'total' else key}": value for key, value in sums.items()}
    ratios = {f"{name}_balance_ratio": f"{each['positive']}:{each['negative']}" for name, each in splits.items()}
    return {"splits": splits, **totals, **ratios}
