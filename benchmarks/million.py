"""`python -m benchmarks.million`: plan and symlink apply at 100,000 and at 1,000,000 slices on a tmpfs of its own.

What matters is what a slice costs: the same at both, or something grows faster than the data. Each volume's images are
hard links of one file, so that the memory is the tool's. Needs root, for a tmpfs without a limit of inodes.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from benchmarks.build import write_volumes
from benchmarks.measure import TOOL, machine, save
from benchmarks.place import need_root_and, unmount

_SLICES_A_VOLUME = 182
_POSITIVE_EVERY = 6  # volumes
_IMAGE_BYTES = 256
_LOOK_SECONDS = 0.1


@contextmanager
def without_inode_limit() -> Iterator[Path]:
    """Give a folder on a tmpfs that takes as many files as memory does."""
    need_root_and("mount")
    point = Path(tempfile.mkdtemp(prefix="pb-million-"))
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=0,size=16g", "tmpfs", point], check=True)
        yield point
    finally:
        unmount(point)
        point.rmdir()


def write_source(root: Path, slices: int) -> None:
    """Write volumes of 182 slices; every sixth has tears in a quarter of its slices."""
    sizes = [min(_SLICES_A_VOLUME, slices - first) for first in range(0, slices, _SLICES_A_VOLUME)]
    volumes = {f"{n:06d}": (size, 0 if n % _POSITIVE_EVERY else -(-size // 4)) for n, size in enumerate(sizes)}
    write_volumes(root, volumes, _IMAGE_BYTES, linked=True)


def measured(command: Sequence[str]) -> dict[str, float]:
    """Run a command; return seconds by the clock and of CPU, and the memory of all its processes at the peak in MiB.

    Memory is the sum of proportional shares (smaps_rollup in proc(5)), looked at ten times a second.
    """
    before = os.times()
    began = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    peak = 0
    while child.poll() is None:
        peak = max(peak, sum(map(_share, _family(child.pid))))
        time.sleep(_LOOK_SECONDS)
    seconds = time.monotonic() - began
    after = os.times()
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {child.returncode}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": round(seconds, 2), "CPU": round(cpu, 2), "MiB": round(peak / 1024)}


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return [pid]
    return [pid, *(each for child in children for each in _family(int(child)))]


def _share(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def row(slices: int) -> dict[str, Any]:
    """Plan and build a dataset of so many slices, all of which are kept."""
    with without_inode_limit() as root:
        write_source(root / "source", slices)
        plan = str(root / "plan.json")
        words = ["--output", str(root / "out"), "--plan-file", plan, "--negatives-per-positive", "all", "--quiet"]
        planned = measured([*TOOL, "plan", str(root / "source"), *words])
        built = measured([*TOOL, "apply", plan, "--mode", "symlink", "--labels", "same", "--quiet"])
    return {"slices": slices, "plan": planned, "apply --mode symlink --labels same": built}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as Markdown."""
    lines = ["| slices | | seconds | CPU | us of CPU a slice | MiB |", "|---:|---|---:|---:|---:|---:|"]
    for each in rows:
        slices = each["slices"]
        for name, found in each.items():
            if name != "slices":
                a_slice = 1e6 * found["CPU"] / slices
                lines.append(
                    f"| {slices:,} | {name} | {found['seconds']} | {found['CPU']} | {a_slice:.1f} | {found['MiB']} |"
                )
    return "\n".join(lines)


@click.command()
@click.option("--slices", default="100000,1000000", show_default=True)
@click.option("--json", "json_file", default="benchmarks/results/million.json", show_default=True)
def main(slices: str, json_file: str) -> None:
    """Measure what a slice costs at several sizes."""
    result = {"machine": machine(), "rows": [row(int(word)) for word in slices.split(",")]}
    save(result, json_file)
    print(table(result["rows"]))


if __name__ == "__main__":
    main()
