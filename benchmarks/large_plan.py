"""`python -m benchmarks.large_plan`: what one node needs of a plan of 10 million slices, and what the finish needs.

The plan is written a volume at a time, by the functions that write every plan; the sources of the measured shards are
hard links to one image and one label. A shard is run as on a node; its peak memory is that of its largest process.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from benchmarks.measure import TOOL, Run, machine, run, save
from planbalance.model import SPLITS, Block, Operation, PlanHeader, PlannedVolume
from planbalance.planfile import TAIL, slice_counts, volume_counts
from planbalance.planfile.header import header_digest
from planbalance.planfile.seal import _header_json, _lines, first_line_of, names_of, runs
from planbalance.shards import cut
from tests.engine.plans import sealed_plan

_LABEL = b"0 0.5 0.5 0.1 0.1\n"


def operations_of(volume: PlannedVolume, image: os.stat_result) -> Iterator[Operation]:
    """Yield the slices of one volume."""
    digest = hashlib.sha256(_LABEL).hexdigest()
    for number in range(volume.kept):
        stem = f"IM{number:03d}-{volume.id}"
        positive = number < volume.positives
        yield Operation(
            volume.split, volume.id, positive, 0, f"images/train/{stem}.png", f"labels/train/{stem}.txt", image.st_size,
            image.st_mtime_ns, len(_LABEL) if positive else 0, digest if positive else "", "",
        )  # fmt: skip


def small_header(source: Path, output: Path) -> PlanHeader:
    """Return the header of a plan of one slice, to be filled."""
    image, label = source / "images/train/IM1-0.png", source / "labels/train/IM1-0.txt"
    image.write_bytes(b"x")
    label.write_bytes(_LABEL)
    header = sealed_plan([source], output, layout="by-volume").header
    image.unlink()
    label.unlink()
    return header


def write_plan(path: Path, source: Path, slices: int, each: int) -> PlanHeader:
    """Write a plan of `slices` slices, `each` a volume, by-volume."""
    image = os.stat(source / "image.png")
    volumes = tuple(
        PlannedVolume(f"{n:06d}", f"{n:06d}", SPLITS[(n % 20 >= 14) + (n % 20 >= 17)], each, each // 5, each, "", "")
        for n in range(slices // each)
    )
    counts: Counter[Any] = Counter()
    for volume in volumes:
        counts[volume.split, True] += volume.positives
        counts[volume.split, False] += volume.kept - volume.positives
    draft = replace(
        small_header(source, path.parent / "out"),
        volumes=volumes,
        statistics=slice_counts(counts, "tear"),
        volume_statistics=volume_counts(volumes),
    )
    blocks: list[Block] = []
    body = path.with_suffix(".body")
    ordered = sorted(volumes, key=lambda volume: (f"images/{volume.split}/", volume.id))
    with body.open("wb") as file:
        for number, volume in enumerate(ordered, start=1):
            operations = list(operations_of(volume, image))
            ((folder, rows),) = runs("by-volume", operations, names_of(draft, operations))
            data = _lines(rows) + (b"\n" if number == len(ordered) else b",\n")
            blocks.append(Block(folder, len(rows), file.tell(), len(data), hashlib.sha256(data).hexdigest()))
            file.write(data)
    header = replace(draft, digest="", split_digest="0" * 64, blocks=tuple(blocks))
    header = replace(header, digest=header_digest(_header_json(header)))
    with path.open("wb") as file:
        file.write(first_line_of(header))
        with body.open("rb") as rest:
            shutil.copyfileobj(rest, file, 1 << 24)
        file.write(TAIL)
    body.unlink()
    return header


def make_sources(header: PlanHeader, source: Path, blocks: range) -> int:
    """Make the images and labels that some blocks name; return how many slices."""
    image = os.stat(source / "image.png")
    wanted = {header.blocks[index].folder.rpartition("/")[2] for index in blocks}
    count = 0
    for volume in header.volumes:
        if volume.id in wanted:
            for operation in operations_of(volume, image):
                one = {name: _linkable(source / name, count) for name in ("image.png", "tear.txt", "none.txt")}
                with suppress(FileExistsError):  # of an earlier count of shards
                    os.link(one["image.png"], source / operation.image)
                    os.link(one["tear.txt" if operation.positive else "none.txt"], source / str(operation.label))
                count += 1
    return count


def _linkable(path: Path, count: int) -> Path:
    """Return a copy of a file that takes another link: ext4 gives a file 65,000."""
    copy = path.with_name(f"{count // 30_000}-{path.name}")
    if count % 30_000 == 0 and not copy.exists():
        shutil.copy2(path, copy)
    return copy


def _row(what: str, slices: int, done: Run) -> dict[str, Any]:
    return {"shard": what, "slices": slices, "seconds": round(done.seconds, 1), "peak MiB": round(done.peak_mib)}


@click.command()
@click.option("--slices", default=10_000_000, show_default=True)
@click.option("--each", default=200, show_default=True, help="Slices a volume.")
@click.option(
    "--shards",
    default="500,64",
    show_default=True,
    help="Counts of shards, of which the second is run; 1: the whole, and its finish.",
)
@click.option("--mode", default="symlink", show_default=True)
@click.option("--root", default=None, help="Where to work (default: the temporary folder).")
@click.option("--json", "json_file", default="benchmarks/results/large_plan.json", show_default=True)
def main(slices: int, each: int, shards: str, mode: str, root: str | None, json_file: str) -> None:
    """Measure the memory of a node that builds its shard of a large plan."""
    place = Path(tempfile.mkdtemp(prefix="pb-large-", dir=root))
    try:
        source = place / "in"
        for folder in ("images/train", "labels/train"):
            (source / folder).mkdir(parents=True)
        (source / "image.png").write_bytes(b"x" * 64)
        (source / "tear.txt").write_bytes(_LABEL)
        (source / "none.txt").write_bytes(b"")
        plan = place / "plan.json"
        begun = time.perf_counter()
        header = write_plan(plan, source, slices, each)
        print(f"plan written in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        rows: list[dict[str, Any]] = []
        for total in map(int, shards.split(",")):
            number = min(2, total)
            count = make_sources(header, source, cut(header.blocks, total)[number - 1])
            words = [*TOOL, "apply", str(plan), "--mode", mode, "--shard", f"{number}/{total}", "--quiet"]
            done = run(words)
            rows.append(_row(f"{number}/{total}", count, done))
            print(rows[-1], file=sys.stderr)
            if total == 1:
                rows.append(
                    _row("finish", slices, run([*TOOL, "apply", str(plan), "--mode", mode, "--finish", "--quiet"]))
                )
                continue
            shutil.rmtree(place / ".out.planbalance-partial")
        result = {
            "machine": machine(str(place)),
            "method": f"a plan of {slices:,} slices in {slices // each:,} volumes: "
            f"{plan.stat().st_size / 2**20:,.0f} MiB, its first line {len(first_line_of(header)) / 2**20:.0f} MiB",
            "rows": rows,
        }
        save(result, json_file)
        print(json.dumps(result, indent=2))
    finally:
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
