"""Plans made by hand, their counts worked out, for tests of whatever reads a plan."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from planbalance.model import Folder, Layout, Operation, PlanHeader, PlannedVolume, Source, Split
from planbalance.planfile import SealedPlan, seal, slice_counts, volume_counts
from tests.builders import seed_shaped_volumes

POOLED = Source("", tuple(Folder(f"images/{s}", f"labels/{s}", s) for s in ("train", "val", "test")))


def operation(image: str = "images/train/IM1-01.png", **changes: Any) -> Operation:
    """Return a negative slice of volume `01`; `tears=1` makes it positive."""
    tears = changes.pop("tears", 0)
    label = b"0 0.5 0.5 0.1 0.2\n" * tears
    values: dict[str, Any] = {
        "split": "train",
        "volume": "01",
        "positive": tears > 0,
        "input": 0,
        "image": image,
        "label": image.replace("images", "labels", 1).rpartition(".")[0] + ".txt",
        "image_size": 64,
        "image_mtime_ns": 1_700_000_000_123_456_789,
        "label_size": len(label),
        "label_sha256": hashlib.sha256(label).hexdigest() if label else "",
        "image_sha256": "",
    }
    return Operation(**{**values, **changes})


def small_operations() -> list[Operation]:
    """Return 14 slices of 5 volumes: three in train, one in val, one in test."""
    places: Mapping[str, tuple[Split, str]] = {
        "01": ("train", "+.+"),
        "02": ("train", ".+."),
        "03": ("train", ".."),
        "04": ("val", "..+"),
        "05": ("test", "+.."),
    }
    return [
        operation(f"images/{split}/IM{n}-{volume}.png", split=split, volume=volume, tears=int(letter == "+"))
        for volume, (split, letters) in places.items()
        for n, letter in enumerate(letters, start=1)
    ]


def draft(operations: Iterable[Operation], *, layout: Layout = "keep", **changes: Any) -> PlanHeader:
    """Return an unsealed header whose counts are those of the operations."""
    operations = list(operations)
    kept = Counter(each.volume for each in operations)
    positives = Counter(each.volume for each in operations if each.positive)
    splits = {each.volume: each.split for each in operations}
    volumes = tuple(
        PlannedVolume(name, name, splits[name], kept[name], positives[name], kept[name], "", "")
        for name in sorted(kept)
    )
    values: dict[str, Any] = {
        "digest": "",
        "split_digest": "",
        "inputs": ("/data/in",),
        "sources": (POOLED,),
        "output": "/data/out",
        "names": ("tear",),
        "parameters": {"layout": layout, "split_seed": 42, "sample_seed": 42},
        "naming": {"rule": "im-dash", "pattern": None, "examples": []},
        "statistics": slice_counts(Counter((each.split, each.positive) for each in operations), "tear"),
        "volume_statistics": volume_counts(volumes),
        "targets": {},
        "warnings": (),
        "volumes": volumes,
        "blocks": (),
    }
    return PlanHeader(**{**values, **changes})


def small_plan(**changes: Any) -> SealedPlan:
    """Return a sealed plan of `small_operations`."""
    operations = small_operations()
    return seal(draft(operations, **changes), operations)


def seed_shaped_operations(count: int = 94_440) -> list[Operation]:
    """Return slices as the guide's dataset has them: `.dcm`, `IM<slice>-<volume>`, empty labels for negatives."""
    operations: list[Operation] = []
    for index, (volume, (slices, tears)) in enumerate(seed_shaped_volumes().items()):
        split: Split = ("train", "train", "train", "train", "train", "train", "train", "val", "test", "test")[
            index % 10
        ]
        for number in range(1, slices + 1):
            image = f"images/{split}/IM{number}-{volume}.dcm"
            operations.append(
                operation(image, split=split, volume=volume, tears=int(number <= tears), image_size=524_288)
            )
            if len(operations) == count:
                return operations
    return operations


def document(sealed: SealedPlan) -> bytes:
    """Return the plan file's bytes."""
    return b"".join((sealed.first_line, *sealed.body, sealed.tail))
