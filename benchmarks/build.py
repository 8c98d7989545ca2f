"""plan, apply and verify beside the tools that people copy trees with, on one file system, over the same files.

The peers copy a tree equal to the one that apply builds. `apply` starts from the plan and the whole dataset, and its
time includes start-up, the check of the plan, the staleness check of every file, the journal, the metadata and the
publication; a peer does none of that.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import TOOL, Case, rounds, rows
from benchmarks.place import Place
from tests.builders import image_bytes, seed_shaped_volumes

BARE_SCAN = """
import os, sys
def walk(folder):
    for entry in os.scandir(folder):
        if entry.is_dir():
            walk(entry.path)
        elif entry.stat().st_size and entry.name.endswith(".txt"):
            with open(entry.path, "rb") as file:
                file.read()
walk(sys.argv[1])
"""
# The guide's way, Step 2: a copy for each file.
GUIDE_LOOP = """
import os, shutil, sys
source, target = sys.argv[1:]
for folder, _, files in os.walk(source):
    below = os.path.join(target, os.path.relpath(folder, source))
    os.makedirs(below, exist_ok=True)
    for name in files:
        shutil.copy2(os.path.join(folder, name), os.path.join(below, name))
"""
COPYTREE = "import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2])"

# What issue or reader may hold us to: at most so many times the peer.
GOALS = {
    "plan": 2.0,
    "apply --mode symlink --labels same": 1.0,
    "apply --mode symlink": 1.3,
    "apply --mode hardlink --labels same": 1.0,
    "apply --mode hardlink": 1.3,
    "apply --checksum none": 0.6,
    "apply": 1.0,
    "verify": 1.1,
}
# Images of 500 KiB are moved by the disk, whoever asks it to.
LARGE_GOALS = {"apply --checksum none": 1.0, "apply": 1.3}
FAR_GOALS = {"keep": 1 / 8, "by-volume": 1 / 40}
FAR_GOAL_WAIT = 2.0  # milliseconds a call, for which these are set


@dataclass(frozen=True)
class Stage:
    """What was prepared below a place's root: a source, a plan for each layout, and equal trees for the peers."""

    root: Path
    slices: int
    image_size: int

    @property
    def source(self) -> Path:
        """The dataset."""
        return self.root / "source"

    def plan(self, layout: str) -> Path:
        """Return the plan of a layout."""
        return self.root / f"{layout}.json"

    def built(self, layout: str) -> Path:
        """Return a built dataset."""
        return self.root / f"built-{layout}"

    def reference(self, layout: str) -> Path:
        """Return the tree that peers copy: the built one without the tool's own files."""
        return self.root / f"reference-{layout}"

    @property
    def out(self) -> Path:
        """Where everybody builds."""
        return self.root / "out"


def drawn_volumes(slices: int, *, least: int) -> dict[str, tuple[int, int]]:
    """Return volumes of the guide's shape, volume -> (slices, positives): so many slices, `least` volumes or more."""
    shape = seed_shaped_volumes()
    if slices >= sum(size for size, _ in shape.values()):
        return shape
    each = max(1, slices // least)
    chosen: dict[str, tuple[int, int]] = {}
    left = slices
    for volume, (size, tears) in shape.items():
        take = min(left, size, max(each, size * slices // 94_440))
        chosen[volume] = (take, -(-tears * take // size))
        left -= take
        if not left:
            break
    return chosen


def write_source(root: Path, slices: int, image_size: int, *, least: int = 100) -> None:
    """Write a dataset of the guide's shape and names."""
    write_volumes(root, drawn_volumes(slices, least=least), image_size)


def write_volumes(root: Path, volumes: Mapping[str, tuple[int, int]], image_size: int, *, linked: bool = False) -> None:
    """Write a dataset of the guide's names: volume -> (slices, positives).

    With `linked` a volume's images are hard links of one file, so that a million of them take no memory.
    """
    for kind in ("images", "labels"):
        os.makedirs(root / kind / "train")
    for volume, (size, tears) in volumes.items():
        for number in range(size):
            stem = f"IM{number + 1}-{volume}"
            path = f"{root}/images/train/{stem}.dcm"
            if linked and number:
                os.link(f"{root}/images/train/IM1-{volume}.dcm", path)
            else:
                with open(path, "wb") as image:
                    image.write(image_bytes(stem, image_size))
            with open(f"{root}/labels/train/{stem}.txt", "wb") as label:
                label.write(b"0 0.5 0.5 0.1 0.2\n" if number < tears else b"")
    (root / "dataset.yaml").write_text(f"path: {root}\ntrain: images/train\nval: images/train\nnames: [tear]\n")


def prepare(place: Place, slices: int, image_size: int, layouts: Sequence[str], *, audited: bool = False) -> Stage:
    """Write the source and, for each layout, its plan and the reference tree that the peers copy.

    With `audited` the built dataset of which that is a copy stays beside it.
    """
    stage = Stage(place.root, slices, image_size)
    write_source(stage.source, slices, image_size)
    for layout in layouts:
        plan, built, reference = stage.plan(layout), stage.built(layout), stage.reference(layout)
        words = ["--output", built, "--plan-file", plan, "--layout", layout, "--quiet"]
        _must([*TOOL, "plan", stage.source, *words])
        _must([*TOOL, "apply", plan, "--quiet"])
        if audited:
            shutil.copytree(built, reference, ignore=shutil.ignore_patterns(".planbalance"))
        else:
            shutil.rmtree(built / ".planbalance")
            built.rename(reference)
    return stage


def _must(words: Sequence[object]) -> None:
    told = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if told.returncode != 0:
        sys.exit(f"failed: {words}\n{told.stderr}")


def remover(path: Path) -> Callable[[], None]:
    """Return a function that removes a tree or a file, present or not."""

    def remove() -> None:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    return remove


def nothing() -> None:
    """Leave the stage as it is."""


class Cases:
    """The commands of one stage."""

    def __init__(self, stage: Stage, layout: str = "keep") -> None:
        self._stage = stage
        self._layout = layout
        self._clear = remover(stage.out)
        self._python = sys.executable

    def apply(self, *options: str, name: str = "", peer: str = "", goal: float | None = None) -> Case:
        """Return an apply."""
        words = [*TOOL, "apply", str(self._stage.plan(self._layout)), "--output", str(self._stage.out), "--quiet"]
        name = name or " ".join(("apply", *options))
        return Case(name, [*words, *options], self._clear, peer, goal)

    def peer(self, name: str, *words: str) -> Case:
        """Return a peer that copies the reference tree; `{}` stand for the two places."""
        places = iter((str(self._stage.reference(self._layout)), str(self._stage.out)))
        return Case(name, [next(places) if word == "{}" else word for word in words], self._clear)

    def plan(self) -> Iterator[Case]:
        """Yield a bare scan and a plan."""
        new = self._stage.root / "new-plan.json"
        yield Case("scandir + stat + read", [self._python, "-c", BARE_SCAN, str(self._stage.source)], nothing)
        words = ["plan", str(self._stage.source), "--output", str(self._stage.out), "--plan-file", str(new), "--quiet"]
        yield Case("plan", [*TOOL, *words], remover(new), "scandir + stat + read", GOALS["plan"])

    def links(self) -> Iterator[Case]:
        """Yield both link modes, beside cp."""
        for mode, peer in (("symlink", "cp -rs"), ("hardlink", "cp -al")):
            yield self.peer(peer, "cp", peer.split()[1], "{}", "{}")
            for options in (("--mode", mode, "--labels", "same"), ("--mode", mode)):
                yield self.apply(*options, peer=peer, goal=GOALS[" ".join(("apply", *options))])

    def listed(self) -> Iterator[Case]:
        """Yield three text files beside the start of Python and the tool, which is taken off by hand."""
        yield Case("planbalance --version", [*TOOL, "--version"], nothing)
        yield self.apply("--mode", "list")

    def copies(self, *, large: bool = False) -> Iterator[Case]:
        """Yield a copy, without and with sums, beside cp."""
        yield self.peer("cp -r", "cp", "-r", "{}", "{}")
        for name in ("apply --checksum none", "apply"):
            yield self.apply(*name.split()[1:], peer="cp -r", goal=(LARGE_GOALS if large else GOALS)[name])

    def others(self) -> Iterator[Case]:
        """Yield the other tools that people copy with, where they are installed, each held against the same copy."""
        yield self.peer("guide's loop", self._python, "-c", GUIDE_LOOP, "{}", "{}")
        yield self.peer("shutil.copytree", self._python, "-c", COPYTREE, "{}", "{}")
        if shutil.which("rsync"):
            yield self.peer("rsync -a", "rsync", "-a", "{}", "{}")
        if shutil.which("rclone"):
            yield self.peer("rclone copy", "rclone", "--config", "/dev/null", "copy", "{}", "{}")
        if shutil.which("fpsync"):
            work = self._stage.root / "fpsync-work"
            source, target = str(self._stage.reference(self._layout)), str(self._stage.out)
            yield Case("fpsync -n 2", ["fpsync", "-n", "2", "-t", str(work), source, target], self._cleared(work))

    def _cleared(self, work: Path) -> Callable[[], None]:
        def clear() -> None:
            self._clear()
            remover(work)()
            self._stage.out.mkdir()

        return clear

    def reflink(self) -> Iterator[Case]:
        """Yield shared blocks, beside cp."""
        yield self.peer("cp -r --reflink=always", "cp", "-r", "--reflink=always", "{}", "{}")
        yield self.apply("--mode", "reflink", peer="cp -r --reflink=always")

    def verify(self) -> Iterator[Case]:
        """Yield the audits, beside the bare sums on two cores."""
        place = self._stage.reference(self._layout)
        hash_all = f"cd {place} && find . -type f -print0 | xargs -0 -P 2 -n 500 sha256sum"
        built = str(self._stage.built(self._layout))
        yield Case("sha256sum", ["sh", "-c", hash_all], nothing)
        yield Case("verify", [*TOOL, "verify", built, "--quiet"], nothing, "sha256sum", GOALS["verify"])
        yield Case("verify --quick", [*TOOL, "verify", built, "--quick", "--quiet"], nothing, "sha256sum")

    def jobs(self, counts: Sequence[int]) -> Iterator[Case]:
        """Yield fixed numbers of workers, and last the number that is found while it runs."""
        for count in counts:
            yield self.apply("--mode", "symlink", "--jobs", str(count), name=f"--jobs {count}")
        yield self.apply("--mode", "symlink", name="--jobs auto")


def measured(place: Place, cases: Sequence[Case], count: int, *, settle: bool) -> list[dict[str, object]]:
    """Run the cases on a place; return a row each."""
    with place.measured():
        return rows(cases, rounds(cases, count, settle=settle))


def auto_against_best(table: Sequence[dict[str, object]]) -> float:
    """Return how many times the best fixed number of workers `--jobs auto` took."""
    seconds = {str(row["case"]): float(str(row["seconds"])) for row in table}
    return round(seconds.pop("--jobs auto") / min(seconds.values()), 2)
