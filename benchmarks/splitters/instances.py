"""The volumes that splitters are compared on, as units of `planbalance.split`.

* `knee`: the 1,172 volumes of fastMRI+ (Zhao et al. 2021), 663 with a meniscus tear, which is what makes a slice
  positive; the boxes of all 21 classes count. The annotation file is not part of this project (`tests/fastmri.py` says
  where it is looked for); without it this instance is skipped.
* `synth`: 550 volumes, 93 positive, lognormal sizes from 20 to 600 slices. Its 8 classes are in 80 to 16 of the
  positive volumes, with 1 to 8 boxes in each. Each volume has a site (50, 30 and 20 % of the volumes) and a sex; two
  classes are three times as frequent at one of the sites. So 14 positive volumes must stand for 8 classes, 3 sites and
  2 sexes, with the right number of slices.
* `equal`: a protocol of fixed length, 93 volumes of 160 slices, 30 of them positive, 6 classes. The number of slices
  of a split is its number of volumes times 160, so no split meets the slice targets.
* `patients`: 320 patients with 1 to 6 volumes of 24 to 48 slices, 140 of them positive; 14 classes, of which 6 are in 3
  to 9 patients; 4 sites, and the rarest classes are at one site only. A patient is never divided.
* `one-class`: 550 volumes, 93 positive, one class, a new set for each seed. Its boxes are not counted.

All but `one-class` are one set of volumes that is split with each seed.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple

from planbalance.split import Unit


class Instance(NamedTuple):
    """A set of units to split; `draw` takes the seed of the split, which most instances ignore.

    `draw` raises FileNotFoundError where files of the instance are missing.
    """

    name: str
    draw: Callable[[int], list[Unit]]
    fixed: bool = True


def draw_units(seed: int, count: int = 550, positive: int = 93) -> list[Unit]:
    """Draw one set of volumes with one class: 20 to 600 slices, 5 to 40 % of them positive in positive volumes."""
    draw = random.Random(seed)
    sizes = [_lognormal_size(draw) for _ in range(count)]
    return [
        Unit(f"v{index:04d}", size, max(1, round(size * draw.uniform(0.05, 0.4))) if index < positive else 0)
        for index, size in enumerate(sizes)
    ]


def _lognormal_size(draw: random.Random) -> int:
    return min(600, max(20, round(draw.lognormvariate(5, 0.6))))


def knee_units() -> list[Unit]:
    """Read the annotations of fastMRI+ knee.

    Raises:
        FileNotFoundError: they are not here.
    """
    fastmri = import_module("tests.fastmri")
    names = fastmri.class_names(every_pathology=True)
    boxes: defaultdict[str, Counter[int]] = defaultdict(Counter)
    torn: defaultdict[str, set[int]] = defaultdict(set)
    for box in fastmri.boxes():
        boxes[box.volume][names.index(box.label)] += 1
        if box.label == fastmri.TEAR:
            torn[box.volume].add(box.slice)
    return [
        Unit(volume, slices, len(torn[volume]), tuple(sorted(boxes[volume].items())))
        for volume, slices in fastmri.slice_counts().items()
    ]


def synth_units() -> list[Unit]:
    """Draw 550 volumes with 8 classes, a site and a sex."""
    draw = random.Random("synth")
    sites = draw.choices("ABC", (50, 30, 20), k=550)
    frequency = {(2, "B"): 3, (5, "C"): 3}  # how often a volume of the site is drawn as a holder of the class
    boxes: list[dict[int, int]] = [{} for _ in sites]
    for class_id, holders in enumerate((80, 60, 50, 40, 33, 26, 20, 16)):
        weights = [frequency.get((class_id, site), 1) for site in sites[:93]]
        for index in _draw_holders(draw, weights, holders):
            boxes[index][class_id] = draw.randint(1, 8)
    for found in boxes[:93]:
        if not found:
            found[0] = 1
    units = []
    for index, site in enumerate(sites):
        size = _lognormal_size(draw)
        positives = max(1, round(size * draw.uniform(0.05, 0.4))) if index < 93 else 0
        classes = tuple(sorted(boxes[index].items()))
        units.append(Unit(f"v{index:04d}", size, positives, classes, (site, draw.choice("FM"))))
    return units


def equal_units() -> list[Unit]:
    """Draw 93 volumes of 160 slices with 6 classes."""
    draw = random.Random("equal")
    boxes: list[dict[int, int]] = [{} for _ in range(93)]
    for class_id, holders in enumerate((30, 22, 16, 12, 8, 4)):
        for index in _draw_holders(draw, [1] * 30, holders):
            boxes[index][class_id] = max(1, round(draw.lognormvariate(2, 0.8)))
    return [
        Unit(f"v{index:03d}", 160, draw.randint(5, 60) if classes else 0, tuple(sorted(classes.items())))
        for index, classes in enumerate(boxes)
    ]


def patient_units() -> list[Unit]:
    """Draw 320 patients with 1 to 6 volumes, many rare classes and 4 sites."""
    draw = random.Random("patients")
    sites = draw.choices("ABCD", (50, 30, 15, 5), k=320)
    only_at = {9: "A", 11: "B", 12: "C", 13: "B"}
    boxes: list[dict[int, int]] = [{} for _ in sites]
    volumes = [draw.choices((1, 2, 3, 4, 5, 6), (45, 25, 12, 8, 6, 4))[0] for _ in sites]
    for class_id, holders in enumerate((120, 75, 60, 48, 37, 29, 21, 15, 9, 8, 6, 5, 4, 3)):
        weights = [int(only_at.get(class_id, site) == site) for site in sites[:140]]
        for index in _draw_holders(draw, weights, holders):
            boxes[index][class_id] = volumes[index] * draw.randint(1, 6)
    units = []
    for index, site in enumerate(sites):
        slices = sum(draw.randint(24, 48) for _ in range(volumes[index]))
        positives = max(1, round(slices * draw.uniform(0.03, 0.35))) if boxes[index] else 0
        classes = tuple(sorted(boxes[index].items()))
        units.append(Unit(f"p{index:03d}", slices, positives, classes, (site,), volumes[index]))
    return units


def _draw_holders(draw: random.Random, weights: Sequence[int], count: int) -> list[int]:
    """Draw indices without repetition, as probable as their weights; fewer where fewer have a weight."""
    left = {index: weight for index, weight in enumerate(weights) if weight}
    chosen: list[int] = []
    while left and len(chosen) < count:
        index = draw.choices(list(left), list(left.values()))[0]
        chosen.append(index)
        del left[index]
    return chosen


INSTANCES = (
    Instance("knee", lambda _: knee_units()),
    Instance("synth", lambda _: synth_units()),
    Instance("equal", lambda _: equal_units()),
    Instance("patients", lambda _: patient_units()),
    Instance("one-class", draw_units, fixed=False),
)
