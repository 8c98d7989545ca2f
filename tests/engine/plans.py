"""Plans made by hand from tiny trees, so that the engine's tests need neither scan nor splitter.

Every slice of `builders.yolo_tree` is kept; a volume goes where its place in the alphabet sends it (train, val, test in
turn).
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from planbalance.model import SPLITS, Folder, Operation, Source, Split
from planbalance.planfile import SealedPlan, seal
from planbalance.planstore import PlanFile, save_plan
from tests.plans import draft


def sealed_plan(roots: list[Path], output: Path, *, layout: str = "keep", hash_images: bool = False) -> SealedPlan:
    """Return a plan for everything below `<root>/images/train`."""
    found = [
        (index, path, volume)
        for index, root in enumerate(roots)
        for path in _images(root)
        for volume in [Path(path).stem.partition("-")[2] or Path(path).stem]
    ]
    split_of = {volume: SPLITS[at % 3] for at, volume in enumerate(sorted({each[2] for each in found}))}
    operations = [
        _operation(roots[index], index, path, volume, split_of[volume], hash_images=hash_images)
        for index, path, volume in found
    ]
    header = draft(
        operations,
        inputs=tuple(map(str, roots)),
        sources=tuple(Source("", (Folder("images/train", "labels/train", "train"),)) for _ in roots),
        output=str(output),
        parameters=_parameters(layout, hash_images=hash_images),
    )
    return seal(header, operations)


def saved_plan(roots: list[Path], output: Path, path: Path, **options: object) -> PlanFile:
    """Return such a plan, opened from a file."""
    save_plan(str(path), sealed_plan(roots, output, **options))  # type: ignore[arg-type]  # passed through
    return PlanFile.open(str(path))


def _images(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root / "images", followlinks=True):
        folders.sort()
        for name in sorted(files):
            yield os.path.relpath(os.path.join(folder, name), root)


def _operation(root: Path, index: int, path: str, volume: str, split: Split, *, hash_images: bool) -> Operation:
    image = os.stat(root / path)
    label = "labels" + os.path.splitext(path)[0][len("images") :] + ".txt"
    data = (root / label).read_bytes() if (root / label).exists() else None
    return Operation(
        split=split,
        volume=volume,
        positive=bool(data and data.strip()),
        input=index,
        image=path,
        label=None if data is None else label,
        image_size=image.st_size,
        image_mtime_ns=image.st_mtime_ns,
        label_size=len(data or b""),
        label_sha256=hashlib.sha256(data).hexdigest() if data else "",
        image_sha256=hashlib.sha256((root / path).read_bytes()).hexdigest() if hash_images else "",
    )


def _parameters(layout: str, *, hash_images: bool) -> dict[str, object]:
    return {
        "train_ratio": "0.7",
        "val_ratio": "0.15",
        "test_ratio": "0.15",
        "split_seed": 42,
        "sample_seed": 42,
        "layout": layout,
        "hash_images": hash_images,
    }
