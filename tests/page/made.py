"""Plans for the page's tests: from words and letters, and as large as the guide's."""

import hashlib
import os
from pathlib import Path
from typing import Any

from planbalance.inputs import resolve_inputs
from planbalance.model import Folder, ImageFile, Input, InputSpec, Snapshot
from planbalance.planfile import SealedPlan
from planbalance.planner import PlanOptions, make_plan
from planbalance.planstore import PlanFile, save_plan
from planbalance.scan import scan
from tests.builders import seed_shaped_volumes
from tests.fastmri import class_names, label_texts, slice_counts


def saved_plan(tmp_path: Path, source: Path, **options: Any) -> PlanFile:
    """Plan a dataset and open the plan file."""
    snapshot = scan(resolve_inputs([InputSpec(path=str(source))]))
    sealed = make_plan(snapshot, PlanOptions(output=str(tmp_path / "out"), **options))
    path = os.fspath(tmp_path / "plan.json")
    save_plan(path, sealed)
    return PlanFile.open(path)


def seed_shaped_plan() -> SealedPlan:
    """Plan the guide's 94,440 slices in 550 volumes without a file on disk."""
    images = [
        ImageFile(0, 0, f"images/IM{number}-{volume}.dcm", 16, 0, f"labels/IM{number}-{volume}.txt", *_label(tear))
        for volume, (slices, tears) in seed_shaped_volumes().items()
        for number in range(1, slices + 1)
        for tear in [0 <= number - 1 - (slices - tears) // 2 < tears]
    ]
    images.sort(key=lambda image: image.path.encode())
    source = Input("/nowhere/yolo_dataset", "", (Folder("images", "labels", None),), ("tear",))
    return make_plan(Snapshot((source,), images, (0,), (0,), (), 0), PlanOptions(output="/nowhere/balanced"))


def fastmri_plan(root: Path) -> SealedPlan:
    """Plan the knee set of the real annotations, all 21 pathologies, and write its labels below `root`: no image."""
    texts = {key: text.encode() for key, text in label_texts(every_pathology=True).items()}
    (root / "labels").mkdir(parents=True)
    for (volume, index), text in texts.items():
        (root / f"labels/IM{index + 1}-{volume}.txt").write_bytes(text)
    images = [
        ImageFile(0, 0, f"images/IM{index + 1}-{volume}.png", 9_000, 0, f"labels/IM{index + 1}-{volume}.txt", *label)
        for volume, slices in slice_counts().items()
        for index in range(slices)
        for label in [_read(texts.get((volume, index), b""))]
    ]
    images.sort(key=lambda image: image.path.encode())
    source = Input(str(root), "", (Folder("images", "labels", None),), tuple(class_names(every_pathology=True)))
    return make_plan(Snapshot((source,), images, (0,), (0,), (), 0), PlanOptions(output=f"{root}-balanced"))


def _read(text: bytes) -> tuple[int, str, int, tuple[int, ...], bool, str, bool]:
    classes = tuple(int(line.split()[0]) for line in text.splitlines())
    return (len(text), hashlib.sha256(text).hexdigest() if text else "", len(classes), classes, False, "", False)


def _label(tear: bool) -> tuple[int, str, int, tuple[int, ...], bool, str, bool]:
    return (18, "0" * 64, 1, (0,), False, "", False) if tear else (0, "", 0, (), False, "", False)
