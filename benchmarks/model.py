"""`python -m benchmarks.model`: how long a plan takes on many nodes, from what single calls cost; pure arithmetic.

A node keeps so many workers busy, each of which waits for one call after the other. What is slowest decides:

    waiting   slices / nodes x calls x seconds a call / workers
    server    slices x calls / calls a second that the metadata server answers in all
    folder    names in the fullest folder x seconds for which it is held: by a node, or by all where its token travels
    thinking  slices / nodes x CPU seconds a slice / cores

and then one node finishes: it checks the plan and the names, and writes metadata (and a manifest).

`--validate FILE` holds it against what `benchmarks.scaling` measured on one machine. Taken from the runs with one
client are: what a client takes before its first slice, how long a slice waits, how long its folder is held, and the CPU
of both, which clients and file servers share there. What several clients take is predicted.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from planbalance.model import Block
from planbalance.shards import cut

# Of the guide's dataset after balancing: 25,582 of 53,914 slices are in train, whose two folders are the fullest.
_FULLEST = 0.4745
_SLICES_A_VOLUME = 172


@dataclass(frozen=True)
class Place:
    """A file system and the nodes at it.

    Attributes:
        name: as the table shows it.
        call: seconds that one metadata call takes, as the caller sees it.
        calls: metadata calls for a slice and its label.
        held: of them, those for which the folder of a new name is held.
        rate: metadata calls a second that the servers answer in all.
        token: seconds for which a folder that several nodes fill is held for one create; 0: as long as by one node.
        workers: calls under way at a time on one node.
        cpu: seconds of CPU for a slice, on the node.
        cores: of a node.
        start: seconds until the first slice.
        finish: CPU seconds of the finish for a slice.
    """

    name: str
    call: float
    calls: float
    held: float = 1.0
    rate: float = math.inf
    token: float = 0.0
    workers: int = 32
    cpu: float = 30e-6
    cores: int = 4
    start: float = 1.0
    finish: float = 100e-6


def build_seconds(place: Place, slices: int, nodes: int, layout: str) -> dict[str, float]:
    """Return what each limit alone would take, in seconds, without start and finish."""
    share = slices / nodes
    limits = {
        "waiting": share * place.calls * place.call / place.workers,
        "server": slices * place.calls / place.rate,
        "thinking": share * place.cpu / place.cores,
        "folder": 0.0,
    }
    if layout == "keep":
        fullest = slices * _FULLEST
        limits["folder"] = max(fullest / nodes * place.held * place.call, fullest * place.token if nodes > 1 else 0.0)
    else:
        limits["folder"] = min(_SLICES_A_VOLUME, share) * place.held * place.call
    return limits


def finish_seconds(place: Place, slices: int, layout: str) -> float:
    """Return what the node that publishes takes, in seconds."""
    folders = 6 if layout == "keep" else 2 * slices / _SLICES_A_VOLUME
    return place.start + slices * place.finish + folders * 3 * place.call / 16


def whole(place: Place, slices: int, nodes: int, layout: str) -> tuple[float, str]:
    """Return seconds from the start to the published dataset, and what decides them."""
    limits = build_seconds(place, slices, nodes, layout)
    building = max(limits.values())
    finishing = finish_seconds(place, slices, layout)
    reason = max(limits, key=lambda name: limits[name]) if building > finishing else "finish"
    return place.start + building + finishing, reason


# The first from a run here with one client (the FUSE daemon's CPU included); the others in the range that users report.
PLACES = (
    Place("5 ms a call, measured with FUSE", call=5e-3, calls=15.5, held=3.5, workers=8, cpu=1.2e-3, cores=2),
    Place("GPFS-like, assumed", call=1e-3, calls=8, rate=50_000, token=20e-3),
    Place("Lustre-like, assumed", call=0.5e-3, calls=8, rate=30_000, token=0.2e-3),
)


def duration(seconds: float) -> str:
    """Return a time for a person."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def table(place: Place, nodes: Sequence[int]) -> str:
    """Return times for 10^5 to 10^9 files (a slice is two) against nodes, for both layouts, as Markdown."""
    lines = [f"**{place.name}**: {place.call * 1e3:g} ms a call, {place.calls:g} calls a slice", ""]
    lines += ["| files | layout | " + " | ".join(f"{count} nodes" for count in nodes) + " |"]
    lines += ["|---:|---|" + "---:|" * len(nodes)]
    for power in range(5, 10):
        for layout in ("by-volume", "keep"):
            cells = [whole(place, 10**power // 2, count, layout) for count in nodes]
            said = " | ".join(f"{duration(seconds)} ({reason})" for seconds, reason in cells)
            lines.append(f"| 10^{power} | {layout} | {said} |")
    return "\n".join(lines)


def validation(result: dict[str, Any]) -> str:
    """Return measured and predicted times of a scaling run, as Markdown."""
    slices = int(result["method"].partition(" slices")[0].replace(",", ""))
    cores = int(result["machine"]["cores"])  # all clients share this machine
    flat = _flat_blocks(slices)
    lines = [f"{result['method']}.", "", "| layout | clients | measured | predicted | by | off |"]
    lines += ["|---|---:|---:|---:|---|---:|"]
    waiting = _placing(result["rows"]["by-volume"]) / slices  # seconds a slice, all workers of a client busy
    for layout, rows in result["rows"].items():
        single = rows[0]
        start, start_cpu = (min(row[name] for row in rows) for name in ("again", "again CPU"))
        for row in rows:
            clients = row["clients"]
            largest = slices / clients if layout == "by-volume" else _largest(flat, clients)
            limits = {"waiting": start + waiting * largest}
            thinking = single["CPU"] + (clients - 1) * start_cpu
            limits["thinking"] = thinking / cores
            if layout == "keep":
                held = _placing(rows) / _fullest(flat, 1)  # at most: where waiting decides, a folder is held for less
                limits["folder"] = start + held * _fullest(flat, clients)
            reason = max(limits, key=lambda name: limits[name])
            predicted = limits[reason]
            off = predicted / row["seconds"] - 1
            lines.append(
                f"| {layout} | {clients} | {row['seconds']:.1f} s | {predicted:.1f} s | {reason} | {off:+.0%} |"
            )
    return "\n".join(lines)


def _placing(rows: Sequence[dict[str, Any]]) -> float:
    """Return the seconds in which one client placed slices, without what it took before the first one.

    That is told by the smallest shard that was done already: of a larger one, what was done is looked at too.
    """
    return float(rows[0]["seconds"] - min(row["again"] for row in rows))


def _flat_blocks(slices: int) -> list[Block]:
    """Return the blocks of a flat layout of 70/15/15."""
    blocks = []
    for folder, share in (("images/test", 0.15), ("images/train", 0.7), ("images/val", 0.15)):
        left = round(slices * share)
        while left > 0:
            blocks.append(Block(folder, min(left, 4096), 0, min(left, 4096) * 300, ""))
            left -= 4096
    return blocks


def _by_folder(blocks: Sequence[Block]) -> list[Block]:
    counts = Counter({block.folder: 0 for block in blocks})
    for block in blocks:
        counts[block.folder] += block.count
    return [Block(folder, count, 0, 0, "") for folder, count in counts.items()]


def _largest(blocks: Sequence[Block], clients: int) -> int:
    """Return how many slices the largest shard has."""
    return max(sum(blocks[index].count for index in run) for run in cut(blocks, clients))


def _fullest(blocks: Sequence[Block], clients: int) -> int:
    """Return how many slices of one folder any shard has at most."""
    shards = [[blocks[index] for index in run] for run in cut(blocks, clients)]
    return max(block.count for shard in shards for block in _by_folder(shard))


@click.command()
@click.option("--nodes", default="1,8,64,512", show_default=True)
@click.option("--validate", type=click.Path(exists=True), multiple=True, help="What benchmarks.scaling wrote.")
def main(nodes: str, validate: Sequence[str]) -> None:
    """Print the model's tables, or hold it against measurements."""
    for path in validate:
        print(validation(json.loads(Path(path).read_text())) + "\n")
    if not validate:
        counts = [int(word) for word in nodes.split(",")]
        print("\n\n".join(table(place, counts) for place in PLACES))


if __name__ == "__main__":
    main()
