"""`python -m benchmarks`: one command for any machine; a JSON file and a table with machine, file system and method."""

import compileall
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

import planbalance
from benchmarks import build, calls
from benchmarks.far import moosefs, slow
from benchmarks.measure import Case, machine, save, versions
from benchmarks.near import folder, loop
from benchmarks.place import Place, UnavailableError

QUICK, FULL = 40_000, 94_440  # slices on a near file system
# (bytes of an image, slices at most). Of larger images there are two sets: one whose copy is below 1 GiB, so that the
# memory that was touched is enough for it, but of which the start is a good part; and one in which that hardly counts.
SETS = ((4 << 10, FULL), (64 << 10, 24_000), (64 << 10, FULL), (500 << 10, 3_000), (500 << 10, 12_000))
_TREES = 2.5  # the source, and of what is kept of it the tree that is copied and the copy

# By the word that --on takes. A data call waits for a quarter of what a metadata call does.
PLACES: dict[str, Callable[[], AbstractContextManager[Place]]] = {
    "tmpfs": lambda: folder("/dev/shm"),
    "disk": lambda: folder(tempfile.gettempdir()),
    "ext4": lambda: loop("ext4"),
    "xfs": lambda: loop("xfs"),
    "btrfs": lambda: loop("btrfs"),
    "far1": lambda: slow(1_000, 250),
    "far2": lambda: slow(2_000, 500),
    "far5": lambda: slow(5_000, 1_250),
    "far20": lambda: slow(20_000, 5_000),
    "moosefs": moosefs,
}


@click.command()
@click.option("--root", "roots", multiple=True, help="Folder on a file system to measure, such as your GPFS or Lustre.")
@click.option(
    "--on", "words", multiple=True, type=click.Choice(list(PLACES)), help="A file system made here (default: all)."
)
@click.option("--full", is_flag=True, help="The guide's 94,440 slices, all peers everywhere, three rounds: an hour.")
@click.option("--slices", default=0, help="Slices (default: 40,000, with --full 94,440; few where calls wait).")
@click.option("--rounds", "count", default=0, help="Measured rounds, after one that warms up (default: 1; 3).")
@click.option("--json", "json_file", default="benchmarks/results/build.json", show_default=True, help="The figures.")
def main(
    *, roots: tuple[str, ...], words: tuple[str, ...], full: bool, slices: int, count: int, json_file: str
) -> None:
    """Measure plan, apply in each mode and verify beside what people copy trees with, in one run, as ratios."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # what was mounted is taken down
    # As pip does when it installs: a checkout where PYTHONDONTWRITEBYTECODE is set would be compiled at every start.
    compileall.compile_dir(Path(planbalance.__file__).parent, quiet=1)
    if not roots and not words:
        words = tuple(PLACES) if full else ("tmpfs", "ext4", "xfs", "btrfs", "far2", "far20", "moosefs")
    result: dict[str, Any] = {"benchmark": "build", "machine": machine(), "versions": versions(), "places": {}}
    for name, opened in _opened(roots, words):
        try:
            with opened as place:
                found = _tables(place, slices, count or (3 if full else 1), full=full)
                result["places"][place.name] = found
                print(_shown(place.name, found), flush=True)
        except UnavailableError as error:
            result["places"][name] = {"skipped": str(error)}
            print(f"\n### {name}\n\nSkipped: {error}.", flush=True)
        save(result, json_file)
    print("\n" + ", ".join(f"{key} {value}" for key, value in {**result["machine"], **result["versions"]}.items()))


def _opened(roots: tuple[str, ...], words: tuple[str, ...]) -> Iterator[tuple[str, AbstractContextManager[Place]]]:
    yield from ((root, folder(root)) for root in roots)
    yield from ((word, PLACES[word]()) for word in words)


def _tables(place: Place, slices: int, count: int, *, full: bool) -> dict[str, Any]:
    if place.wait:
        tables = _far(place, slices, count, full=full)
    else:
        tables = _near(place, slices or (FULL if full else QUICK), count)
    with_jobs = [row for rows in tables.values() for row in rows if str(row["case"]).startswith("--jobs")]
    found: dict[str, Any] = {"tables": tables, "auto : best --jobs": build.auto_against_best(with_jobs)}
    if place.name == "tmpfs":
        found["calls"] = _calls(place)
    return found


def _calls(place: Place) -> list[dict[str, object]]:
    try:
        return calls.calls_a_slice(place.root)
    except UnavailableError as error:
        print(f"system calls: skipped: {error}", file=sys.stderr)
        return []


def _near(place: Place, slices: int, count: int) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for size, most in SETS:
        with tempfile.TemporaryDirectory(dir=place.root) as folder_here:
            of_these = min(slices, most, room(place, size))
            title = f"{of_these:,} slices, images of {size >> 10} KiB, median of {count} after a warm-up round"
            if title in tables:
                continue
            small = size == SETS[0][0]
            stage = build.prepare(Place(place.name, Path(folder_here)), of_these, size, ["keep"], audited=small)
            cases = build.Cases(stage)
            chosen: list[Case] = list(cases.copies(large=size > 1 << 18))
            if small:
                chosen = [*cases.plan(), *cases.links(), *cases.listed(), *chosen, *cases.verify(), *cases.others()]
                if place.name.startswith(("xfs", "btrfs")):
                    chosen += cases.reflink()
                chosen += cases.jobs((1, 2, 4))
            tables[title] = build.measured(place, chosen, count, settle=True)
    return tables


def room(place: Place, image_size: int) -> int:
    """Return how many slices of a size leave a third of the space free."""
    space = os.statvfs(place.root)
    return int(space.f_bavail * space.f_frsize * 2 / 3 / (_TREES * image_size))


def _far(place: Place, slices: int, count: int, *, full: bool) -> dict[str, Any]:
    """Measure a dataset, if nothing else is wanted so small that `cp` takes half a minute, flat and by volume."""
    slices = slices or max(110, min(4_000, round((4_000 if full else 1_000) / place.wait)))
    with place.prepared():
        stage = build.prepare(place, slices, 16 << 10, list(build.FAR_GOALS))
    tables: dict[str, Any] = {}
    for layout, wanted in build.FAR_GOALS.items():
        goal = wanted if place.wait == build.FAR_GOAL_WAIT else None
        cases = build.Cases(stage, layout)
        chosen = [
            *([*cases.plan()] if layout == "keep" else []),
            cases.peer("cp -rs", "cp", "-rs", "{}", "{}"),
            cases.apply("--mode", "symlink", peer="cp -rs", goal=goal),
            cases.peer("cp -r", "cp", "-r", "{}", "{}"),
            cases.apply("--checksum", "none", peer="cp -r", goal=goal),
            cases.apply(peer="cp -r", goal=goal),
            *(cases.others() if full else ()),
            *(cases.jobs((4, 16, 64, 128) if full else (8, 64)) if layout == "by-volume" else ()),
        ]
        title = f"{slices:,} slices, images of 16 KiB, layout {layout}, median of {count}"
        tables[title] = build.measured(place, chosen, count, settle=False)
    return tables


def _shown(name: str, found: dict[str, Any]) -> str:
    """Return a place's tables as Markdown."""
    lines = [f"\n### {name}"]
    for title, rows in found["tables"].items():
        lines += ["", f"{title}.", ""]
        lines += ["| | seconds | peak MiB | ratio | held against | goal |", "|---|---:|---:|---:|---|---:|"]
        lines += ["| " + " | ".join(_cells(row)) + " |" for row in rows]
    if found.get("calls"):
        lines += ["", "System calls (`strace -f -c`, `--jobs 1`):", "", calls.table(found["calls"])]
    auto = found["auto : best --jobs"]
    return "\n".join([*lines, "", f"`--jobs auto` took {auto} times the best fixed number of workers (goal 1.1)."])


def _cells(row: dict[str, Any]) -> list[str]:
    ratio = "" if row.get("ratio") is None else f"{row['ratio']:.3g}"
    goal = "" if row.get("goal") is None else f"{row['goal']:.3g}"
    return [row["case"], f"{row['seconds']:.2f}", str(row["peak_mib"]), ratio, row.get("peer", ""), goal]


if __name__ == "__main__":
    main()
