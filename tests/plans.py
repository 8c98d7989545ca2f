"""Plans made by hand, their counts worked out, for tests of whatever reads a plan."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from planbalance.model import Folder, Layout, Operation, PlanHeader, PlannedVolume, Source, Split
from planbalance.planfile import SealedPlan, seal, slice_counts, volume_counts
from tests.builders import seed_shaped_volumes

Header = dict[str, Any]
Rows = list[list[Any]]  # per block; a line may be given as raw bytes

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


# ---- a plan file taken apart, and put together with other content ----------------------------------------------------


def parts(plan: bytes) -> tuple[Header, Rows]:
    """Return the header and the operations of each block, to be tampered with."""
    members = json.loads(plan)
    operations = members.pop("operations")
    rows: Rows = []
    for block in members["blocks"]:
        rows.append(operations[: block["count"]])
        del operations[: block["count"]]
    return members, rows


def signed_plan(header: Header, rows: Rows) -> bytes:
    """Return a plan file of these parts, in which every sum and digest is right.

    A fact of a block is computed; a member `!offset` and the like forces another value.
    """
    body = b""
    blocks = header["blocks"]
    for index, block_rows in enumerate(rows):
        lines = [row if isinstance(row, bytes) else orjson.dumps(row) for row in block_rows]
        data = b",\n".join(lines) + (b"\n" if index == len(rows) - 1 else b",\n")
        if isinstance(blocks, list) and index < len(blocks) and isinstance(blocks[index], dict):
            facts = {"count": len(lines), "offset": len(body), "bytes": len(data), "sha256": sha256(data)}
            forced = {key: blocks[index].pop(f"!{key}") for key in facts if f"!{key}" in blocks[index]}
            blocks[index] |= facts | forced
        body += data
    return signed(orjson.dumps(header)) + body + b"]}\n"


def signed(header: bytes) -> bytes:
    """Return a first line with the digest that its bytes give; whatever digest it has is replaced."""
    start = header.index(b'"digest":"')
    bare = header[:start] + header[start + 76 :]
    digest = b'"digest":"' + sha256(bare).encode() + b'",'
    return header[:start] + digest + bare[start:-1] + b',"operations":[\n'


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
