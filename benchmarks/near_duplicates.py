"""`python -m benchmarks.near_duplicates`: planted copies in MRI-like data, and which of them `verify` finds.

Copies of train slices are planted in val and test under volume ids of their own: byte for byte, in another encoding,
and altered. A real scan (a 3-D NumPy array, `--template`) may stand in for the drawn anatomy.
"""

import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final

import click
import numpy as np

from planbalance.audit import VerifyOptions, verify
from planbalance.audit.near_duplicates import find_alike
from planbalance.audit.slice_statistics import SliceRecord
from planbalance.fingerprint import Fingerprint, FingerprintResult
from planbalance.likeness import SIDE
from planbalance.model import Audit, Silent, Split
from tests.mri import Planted, plant, volume

SIZE: Final = 256
SLICES: Final = 30
_QUARTERS: Final[tuple[Split, ...]] = ("train", "train", "val", "test")


# ---- what is found --------------------------------------------------------------------------------------------------


def pairs_of(audit: Audit) -> Iterator[tuple[str, str]]:
    """Yield (copy, source) of all that the audit says to be the same or alike."""
    for check in audit.checks:
        if check.name in ("duplicate-content", "duplicate-pixels", "near-duplicates"):
            for problem in check.problems:
                words = problem.message.split()
                yield problem.path, next(word for word in words if word.startswith("/"))


def measure(root: Path, planted: Sequence[Planted]) -> list[str]:
    """Return the lines of the table."""
    start = time.perf_counter()
    audit = verify(str(root), VerifyOptions(near_duplicates=True))
    seconds = time.perf_counter() - start
    found = set(pairs_of(audit))
    right = {(copy.path, copy.source) for copy in planted}
    totals, hits, shown, shown_hits = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for copy in planted:
        hit = (copy.path, copy.source) in found
        totals[copy.kind] += 1
        hits[copy.kind] += hit
        shown[copy.kind] += not copy.dark
        shown_hits[copy.kind] += hit and not copy.dark
    images = sum(1 for path in root.glob("images/*/*"))
    lines = [
        "| copies | planted | found | recall | recall where the slice shows anything |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind, total in totals.items():
        bright = f"{100 * shown_hits[kind] / shown[kind]:.1f} %" if shown[kind] else ""
        lines.append(f"| {kind} | {total} | {hits[kind]} | {100 * hits[kind] / total:.1f} % | {bright} |")
    wrong = len(found - right)
    precision = f"{100 * (1 - wrong / max(1, len(found))):.1f} %"
    took = f"{seconds:.1f} s, {1000 * seconds / images:.1f} ms an image"
    pairs = f"{len(found)} pairs reported, {wrong} of them not planted: precision {precision}"
    return [*lines, "", f"{images} images; {pairs}. {took}."]


def time_of_search(count: int) -> str:
    """Return how long the search takes among so many pictures, all with structure."""
    draw = np.random.default_rng(2)
    images = []
    for index in range(count):
        coarse = draw.normal(0, 40, (SIDE // 4, SIDE // 4))
        detail = np.clip(np.kron(coarse, np.ones((4, 4))), -127, 127).astype(np.int8)
        looks = Fingerprint(index.to_bytes(8, "big"), blank=False, detail=detail.tobytes(), strength=60.0, faint=False)
        split: Split = _QUARTERS[index % 4]
        images.append(SliceRecord(split, f"{index // 100}", str(index), picture=FingerprintResult(looks)))
    start = time.perf_counter()
    find_alike(images, Silent())
    return f"The search alone among {count:,} pictures: {time.perf_counter() - start:.1f} s."


@click.command()
@click.option("--volumes", default=180, show_default=True, help="Volumes of 30 slices.")
@click.option("--each", default=200, show_default=True, help="Copies of each kind.")
@click.option("--template", help="A 3-D NumPy array to use as the anatomy.")
@click.option("--search", default=54_000, show_default=True, help="Pictures for the search alone; 0: none.")
def main(volumes: int, each: int, template: str | None, search: int) -> None:
    """Plant copies, audit, and print recall and precision."""
    root = Path(tempfile.mkdtemp(prefix="planbalance-near-"))
    try:
        draw = partial(volume, size=SIZE, slices=SLICES, template=template)
        with ProcessPoolExecutor() as pool:
            planted = plant(root, pool.map(draw, range(volumes)), each=each)
        print("\n".join(measure(root, planted)))
    finally:
        shutil.rmtree(root)
    if search:
        print(time_of_search(search))


if __name__ == "__main__":
    main()
