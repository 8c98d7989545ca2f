"""plan, apply and verify on the guide's data set, beside the tools that people copy trees with.

The peers copy a tree equal to the one that apply builds: the same 53,914 slices and their labels. `apply` starts from
the plan and the whole data set, and its time includes start-up, the staleness check of every file, the journal, the
metadata and the publication; a peer does none of that.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import Case, machine, rounds, rows
from tests.builders import seed_shaped_tree

COPY_LOOP = """
import os, shutil, sys
source, target = sys.argv[1:]
for folder, _, files in os.walk(source):
    below = os.path.join(target, os.path.relpath(folder, source))
    os.makedirs(below, exist_ok=True)
    for name in files:
        shutil.copy2(os.path.join(folder, name), os.path.join(below, name))
"""


def bare_scan_command(source: Path) -> list[str]:
    """Return a bare scandir + stat + read of the label files that are not empty: the floor of any plan."""
    code = """
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
    return [sys.executable, "-c", code, str(source)]


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


def cases(place: Path, source: Path, plan: Path) -> list[Case]:
    """Return the peers and what is held against them. `place/reference` is a built tree without `.planbalance/`."""
    reference, out, new_plan = place / "reference", place / "out", place / "new-plan.json"
    hash_all = f"cd {reference} && find . -type f -print0 | xargs -0 -P 2 -n 500 sha256sum"
    tool = [sys.executable, "-m", "planbalance"]

    def apply(*options: str) -> list[str]:
        return [*tool, "apply", str(plan), "--output", str(out), "--quiet", *options]

    clear = remover(out)
    return [
        Case("scandir + stat + read", bare_scan_command(source), nothing),
        Case("plan", [*tool, "plan", str(source), "--output", str(out), "--plan-file", str(new_plan), "--quiet"],
             remover(new_plan), "scandir + stat + read"),
        Case("cp -rs", ["cp", "-rs", str(reference), str(out)], clear),
        Case("apply --mode symlink --labels same", apply("--mode", "symlink", "--labels", "same"), clear, "cp -rs"),
        Case("apply --mode symlink", apply("--mode", "symlink"), clear, "cp -rs"),
        Case("cp -al", ["cp", "-al", str(reference), str(out)], clear),
        Case("apply --mode hardlink --labels same", apply("--mode", "hardlink", "--labels", "same"), clear, "cp -al"),
        Case("apply --mode hardlink", apply("--mode", "hardlink"), clear, "cp -al"),
        Case("shutil.copy2 loop", [sys.executable, "-c", COPY_LOOP, str(reference), str(out)], clear),
        Case("cp -r", ["cp", "-r", str(reference), str(out)], clear),
        Case("apply --checksum none", apply("--checksum", "none"), clear, "cp -r"),
        Case("apply", apply(), clear, "cp -r"),
        Case("sha256sum", ["sh", "-c", hash_all], nothing),
        Case("verify", [*tool, "verify", str(place / "built"), "--quiet"], nothing, "sha256sum"),
        Case("verify --quick", [*tool, "verify", str(place / "built"), "--quick", "--quiet"], nothing, "sha256sum"),
    ]  # fmt: skip


def prepare(place: Path, image_size: int) -> tuple[Path, Path]:
    """Write the source, its plan, a built tree and the reference tree that the peers copy."""
    source, plan = seed_shaped_tree(place / "source", image_size=image_size), place / "plan.json"
    tool = f"{sys.executable} -m planbalance"
    built, reference = place / "built", place / "reference"
    for command in (
        f"{tool} plan {source} --output {built} --plan-file {plan} --quiet",
        f"{tool} apply {plan} --quiet",
        f"cp -r {built} {reference}",
        f"rm -r {reference}/.planbalance",
    ):
        if os.system(f"{command} >/dev/null") != 0:
            sys.exit(f"failed: {command}")
    return source, plan


def measure(root: str, *, image_size: int, count: int) -> dict[str, object]:
    """Run the benchmark in a folder of its own below `root`, and leave nothing there."""
    place = Path(tempfile.mkdtemp(prefix="planbalance-bench-", dir=root))
    try:
        source, plan = prepare(place, image_size)
        chosen = cases(place, source, plan)
        return {
            "benchmark": "build",
            "machine": machine(root),
            "method": f"94,440 slices, images of {image_size} bytes, warm cache, median of {count} rounds after one",
            "rows": rows(chosen, rounds(chosen, count)),
        }
    finally:
        shutil.rmtree(place)
