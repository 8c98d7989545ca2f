"""`python -m benchmarks.hidden_patients`: planted hidden patients, and which of them `look-alikes` finds and joins.

Scans are written a second time, altered, under an id that tells nothing (`tests/hidden.py`), among drawn volumes of
different people. A clean set follows, and the demo's knees, which are one model moved and scaled, and so more alike
than those of people. A real scan (a 3-D NumPy array, `--template`) may stand in for the drawn anatomy.
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import click
from PIL import Image

from planbalance import api
from planbalance.alike_volumes import find_alike_volumes
from planbalance.look_alikes import VolumePair
from planbalance.model import Silent
from tests.hidden import FOUND, HARD, Pictures, PlantedPair, demo_volumes, plant_patients, write_volume
from tests.mri import volume

_KINDS: Final = FOUND | HARD


def search(root: Path) -> tuple[list[VolumePair], str]:
    """Return the pairs of a dataset that look alike, and a sentence on its size and how long the search took."""
    found = api.scan(str(root), volume_pattern="im-dash")
    start = time.perf_counter()
    pairs = find_alike_volumes(found.snapshot.inputs, found.volumes, jobs=None, progress=Silent()).pairs
    seconds = time.perf_counter() - start
    slices = sum(len(one.slices) for one in found.volumes)
    return list(pairs), f"{len(found.volumes)} volumes, {slices:,} slices: {seconds:.0f} s"


def table(pairs: Sequence[VolumePair], planted: Iterable[PlantedPair]) -> list[str]:
    """Return the lines of the table: of each kind, how many pairs were joined and how many shown to a person."""
    joined = {(one.left, one.right) for one in pairs if one.is_certain}
    shown = {(one.left, one.right) for one in pairs if one.is_possible} - joined
    totals, hits, asked = Counter[str](), Counter[str](), Counter[str]()
    right = set()
    for one in planted:
        pair = (one.original, one.copy)
        right.add(pair)
        totals[one.kind] += 1
        hits[one.kind] += pair in joined
        asked[one.kind] += pair in shown
    lines = ["| the scan again | planted | joined | only shown to a person |", "|---|---:|---:|---:|"]
    lines += [f"| {kind} | {totals[kind]} | {hits[kind]} | {asked[kind]} |" for kind in _KINDS if totals[kind]]
    must = [kind for kind in FOUND if totals[kind]]
    recall = sum(hits[kind] for kind in must) / max(1, sum(totals[kind] for kind in must))
    wrong, false = len(joined - right), len(shown - right)
    precision = 1 - wrong / max(1, len(joined))
    sentence = (
        f"Of the first {len(must)} kinds {100 * recall:.1f} % were joined. {len(joined)} pairs were joined in all, "
        f"{wrong} of them wrong: precision {100 * precision:.1f} %. {false} pairs that were not planted were shown."
    )
    return [*lines, "", sentence]


def clean(root: Path, volumes: Iterable[Pictures], name: str) -> str:
    """Return what is found among different people."""
    for index, pictures in enumerate(volumes):
        write_volume(root, f"01-{index + 1:04d}", pictures)
    pairs, size = search(root)
    joined, shown = (sum(getattr(one, kind) for one in pairs) for kind in ("is_certain", "is_possible"))
    highest = max((one.likeness for one in pairs if one.is_possible), default=0.0)
    return f"| {name} | {size} | {joined} | {shown - joined} | {highest:.2f} |"


def _drawn(seed: int, size: int, slices: int, template: str | None) -> Pictures:
    return [Image.fromarray(one) for one in volume(seed, size=size, slices=slices, template=template)]


@click.command()
@click.option("--each", default=10, show_default=True, help="Copies of each kind.")
@click.option("--size", default=256, show_default=True, help="Pixels of a side.")
@click.option("--slices", default=24, show_default=True, help="Slices of a volume.")
@click.option("--clean-volumes", default=200, show_default=True, help="Volumes of the clean set.")
@click.option("--template", help="A 3-D NumPy array to use as the anatomy.")
def main(each: int, size: int, slices: int, clean_volumes: int, template: str | None) -> None:
    """Plant hidden patients, search, and print recall and precision."""
    root = Path(tempfile.mkdtemp(prefix="planbalance-hidden-"))
    draw = partial(_drawn, size=size, slices=slices, template=template)
    count = 2 * each * len(_KINDS)
    try:
        with ProcessPoolExecutor() as pool:
            planted = plant_patients(root / "planted", pool.map(draw, range(count)), _KINDS, every=2)
        pairs, took = search(root / "planted")
        print("\n".join([*table(pairs, planted), "", f"{took}.", ""]))
        print("| set without hidden patients | size | joined | shown to a person | highest likeness |")
        print("|---|---|---:|---:|---:|")
        with ProcessPoolExecutor() as pool:
            people = pool.map(draw, range(10_000, 10_000 + clean_volumes))
            print(clean(root / "clean", people, "drawn, as people"))
        knees = [pictures for seed in (1, 2, 3) for pictures in demo_volumes(seed)]
        print(clean(root / "demo", knees, "one model knee, moved and scaled"))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
