"""An independent recount of a built dataset: from the tree alone, without a line of the product."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

SPLITS = ("train", "val", "test")


@dataclass
class Counted:
    """What lies in one split."""

    positive: int = 0
    negative: int = 0
    boxes: int = 0
    volumes: set[str] = field(default_factory=set)
    slices: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Return all slices."""
        return self.positive + self.negative


def recount(root: Path, volume_pattern: str) -> dict[str, Counted]:
    """Count images, labels and volumes of each split; fail where an image has no label file or a label no image."""
    volume_of = re.compile(volume_pattern)
    counted = {}
    for split in SPLITS:
        counts = counted[split] = Counted()
        labels = set(os.listdir(root / "labels" / split))
        for image in sorted(os.listdir(root / "images" / split)):
            label = os.path.splitext(image)[0] + ".txt"
            labels.remove(label)
            match = volume_of.fullmatch(os.path.splitext(image)[0])
            assert match, image
            count_slice(counts, match["volume"], image, (root / "labels" / split / label).read_text())
        assert not labels, f"labels without an image in {split}: {sorted(labels)[:3]}"
    return counted


def count_slice(counts: Counted, volume: str, image: str, label: str) -> None:
    """Add one slice: positive where its label holds a line that is not blank."""
    lines = [line for line in label.splitlines() if line.strip()]
    counts.boxes += len(lines)
    counts.volumes.add(volume)
    kind = "positive" if lines else "negative"
    counts.positive += kind == "positive"
    counts.negative += kind == "negative"
    counts.slices.setdefault(volume, {"positive": [], "negative": []})[kind].append(image)


def loaded(root: Path) -> dict[str, list[tuple[Path, Path]]]:
    """Return the images that a trainer loads for each split by `dataset.yaml`, and where it looks for their labels."""
    data = yaml.safe_load((root / "dataset.yaml").read_text())
    found = {}
    for split in SPLITS:
        place = Path(data["path"], data[split])
        assert place.exists(), f"{split}: {place} is not there"
        if place.is_file():
            images = [Path(line) for line in place.read_text().splitlines()]
        else:
            images = [Path(folder, name) for folder, _, names in os.walk(place) for name in names]
        found[split] = [(image, looked_for(image)) for image in sorted(images)]
    return found


def looked_for(image: Path) -> Path:
    """Return the label of an image by the trainers' rule: the last `images` of its path becomes `labels`."""
    before, found, after = str(image).rpartition("/images/")
    return (Path(f"{before}/labels/{after}") if found else image).with_suffix(".txt")
