"""How many system calls on files a slice costs, as `strace -f -c` counts them.

Three datasets are built: one, one with more negatives, one with as many more positives. What the first takes is taken
off, so that start-up, plan and publication, which do not grow with the slices, are not in the figures.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.build import write_volumes
from benchmarks.measure import TOOL
from benchmarks.place import UnavailableError

_FEW, _MORE = 500, 2_000  # slices
_VOLUMES = 10
# Neither waiting for one another nor memory is a call on a file; how often they come follows the load of the machine.
_COUNTED = "trace=%file,%desc"
_NOT_COUNTED = {"poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "mmap"}
_MODES = {
    "apply --mode symlink --labels same": ("--mode", "symlink", "--labels", "same"),
    "apply --mode symlink": ("--mode", "symlink"),
    "apply --mode hardlink --labels same": ("--mode", "hardlink", "--labels", "same"),
    "apply --mode hardlink": ("--mode", "hardlink"),
    "apply --checksum none": ("--checksum", "none"),
    "apply": (),
}


def calls_a_slice(root: Path) -> list[dict[str, object]]:
    """Return a row for each way to build: calls for an image with an empty label, and with a label that has a box."""
    if shutil.which("strace") is None:
        raise UnavailableError("needs strace")
    with tempfile.TemporaryDirectory(dir=root) as place:
        plans = {
            name: _planned(Path(place) / name, negatives, positives)
            for name, negatives, positives in (("few", 0, _FEW), ("negatives", _MORE, _FEW), ("positives", 0, _MORE))
        }
        return [_row(name, options, plans) for name, options in _MODES.items()]


def _row(name: str, options: Sequence[str], plans: Mapping[str, Path]) -> dict[str, object]:
    few, negatives, positives = (_counted(plans[which], options) for which in ("few", "negatives", "positives"))
    return {
        "case": name,
        "image and empty label": round((negatives - few) / _MORE, 2),
        "image and label with a box": round((positives - few) / (_MORE - _FEW), 2),
    }


def _planned(place: Path, negatives: int, positives: int) -> Path:
    """Write a dataset of ten volumes and return its plan, which keeps every slice."""
    each = (negatives + positives) // _VOLUMES, positives // _VOLUMES
    write_volumes(place / "source", {f"{number:03d}": each for number in range(_VOLUMES)}, 4 << 10)
    plan = place / "plan.json"
    words = ["--output", place / "out", "--plan-file", plan, "--negatives-per-positive", "all", "--quiet"]
    subprocess.run([*TOOL, "plan", place / "source", *words], check=True)
    return plan


def _counted(plan: Path, options: Sequence[str]) -> int:
    """Return how many calls an apply by one process makes in all."""
    counts = plan.with_suffix(".calls")
    apply = [*TOOL, "apply", plan, "--jobs", "1", "--quiet", *options]
    done = subprocess.run(
        ["strace", "-f", "-c", "-e", _COUNTED, "-o", counts, *apply], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise UnavailableError(f"strace: {done.stderr.strip() or f'exit {done.returncode}'}")
    shutil.rmtree(plan.parent / "out")
    return total(counts.read_text())


def total(text: str) -> int:
    """Return the sum of the column `calls` of what `strace -c` printed, without what is no work on a file."""
    rows = (line.split() for line in text.splitlines())
    of_a_call = (words for words in rows if len(words) >= 5 and words[3].isdigit())
    return sum(int(words[3]) for words in of_a_call if words[-1] not in {"total", *_NOT_COUNTED})


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Return the rows as Markdown."""
    lines = ["| calls a slice | image and empty label | image and label with a box |", "|---|---:|---:|"]
    return "\n".join([*lines, *("| " + " | ".join(str(value) for value in row.values()) + " |" for row in rows)])


if __name__ == "__main__":
    sys.stdout.write(table(calls_a_slice(Path(tempfile.gettempdir()))) + "\n")
