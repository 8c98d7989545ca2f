"""Whole-process measurements: start-up, interpreter and exit included, as a user waits for them."""

import compileall
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median

TOOL = (sys.executable, "-m", "planbalance")
_TOUCHED = min(1 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") // 4)  # what most cases write
_TOUCH = """
import mmap, sys
size = int(sys.argv[1])
with mmap.mmap(-1, size) as memory:
    memory[::mmap.PAGESIZE] = b"1" * len(range(0, size, mmap.PAGESIZE))
"""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a command: wall seconds, the peak memory of its largest process in MiB, and seconds of CPU.

    CPU is that of all its processes, in the kernel too: on a machine that does other work it says more than wall time.
    """

    seconds: float
    peak_mib: float
    cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Case:
    """A command to measure.

    Attributes:
        name: as the table shows it.
        command: what is run, as a list of words.
        before: puts the stage in order before each run (removes the last run's output); not measured.
        peer: the name of the case that it is held against, in the same round; "" for a peer itself.
        goal: how many times the peer's time is wanted at most; None for none.
    """

    name: str
    command: Sequence[str]
    before: Callable[[], None]
    peer: str = ""
    goal: float | None = None


def run(command: Sequence[str]) -> Run:
    """Run a command to its end and return what it took; a failing command ends the benchmark with its words."""
    with open(os.devnull, "rb") as nothing:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdin=nothing, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert child.stderr is not None
        said = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit {child.returncode}\n{said.decode(errors='replace')[-2000:]}")
    return Run(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def rounds(cases: Sequence[Case], count: int, *, settle: bool = True) -> dict[str, list[Run]]:
    """Run every case once a round, so that a drift of the machine meets them all.

    With `settle` the first round only warms up, and no case pays for what the one before it left.
    """
    results: dict[str, list[Run]] = {case.name: [] for case in cases}
    for number in range(count + settle):
        for case in cases:
            case.before()
            if settle:
                _settle()
            measured = run(case.command)
            if number >= settle:
                results[case.name].append(measured)
            print(f"\r  round {number}/{count}: {case.name:<40}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


def _settle() -> None:
    """Put on disk what others wrote, and touch memory.

    Memory that a virtual machine has given back to its host is slow at the first touch: a copy into a tmpfs was seen to
    take twice the time after a minute without work, and so did the first of several.
    """
    os.sync()
    subprocess.run([sys.executable, "-c", _TOUCH, str(_TOUCHED)], check=True)  # a peak of our own would be the case's


def rows(cases: Sequence[Case], results: dict[str, list[Run]]) -> list[dict[str, object]]:
    """Return a row a case: medians, and the median of the ratios to its peer round by round."""
    table = []
    for case in cases:
        runs = results[case.name]
        row: dict[str, object] = {
            "case": case.name,
            "seconds": round(median(run.seconds for run in runs), 3),
            "peak_mib": round(max(run.peak_mib for run in runs)),
        }
        if all(run.cpu for run in runs):
            row["cpu"] = round(median(run.cpu for run in runs), 3)
        if case.peer:
            pairs = list(zip(runs, results[case.peer], strict=True))
            if "cpu" in row:
                row["cpu_ratio"] = round(median(ours.cpu / theirs.cpu for ours, theirs in pairs), 3)
            row |= {
                "peer": case.peer,
                "ratio": round(median(ours.seconds / theirs.seconds for ours, theirs in pairs), 3),
                "goal": case.goal,
            }
        table.append(row)
    return table


def compile_tool() -> None:
    """Compile the tool's modules, as an installation does: a checkout may be run without bytecode."""
    compileall.compile_dir(Path(__file__).parents[1] / "planbalance", quiet=2)


def machine(root: str | None = None) -> dict[str, str]:
    """Return what a figure means nothing without: cores, kernel, Python, and the file system under `root`."""
    told = {
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
    }
    if root is not None:
        words = ["stat", "--file-system", "--format=%T", root]
        found = subprocess.run(words, capture_output=True, text=True, check=False)
        told["file_system"] = found.stdout.strip() or "unknown"
    return told


def versions() -> dict[str, str]:
    """Return the versions of the tool and of the peers that are installed."""
    told = {"planbalance": metadata.version("planbalance")}
    for program, option in (("cp", "--version"), ("rsync", "--version"), ("rclone", "version"), ("fpart", "-V")):
        if shutil.which(program):
            said = subprocess.run([program, option], capture_output=True, text=True, check=False)
            number = re.search(r"\d+\.[\d.]+", said.stdout + said.stderr)
            told[program] = number[0] if number else "unknown"
    return told


def save(result: object, json_file: str) -> None:
    """Write figures to a file, its folder made where it is missing."""
    Path(json_file).parent.mkdir(parents=True, exist_ok=True)
    Path(json_file).write_text(json.dumps(result, indent=2) + "\n")
