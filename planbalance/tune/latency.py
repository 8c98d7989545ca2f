"""How long single calls take, one after the other, while no other worker runs."""

import time
from collections.abc import Callable
from contextlib import suppress
from statistics import median
from typing import Final, NamedTuple

from planbalance import fs

MOST_ROUNDS: Final = 500  # each makes one call of each kind
_LEAST_ROUNDS: Final = 10
_SECONDS: Final = 3.0  # for all rounds, where calls are slow


class Latency(NamedTuple):
    """What one kind of call takes, in seconds."""

    median: float
    p95: float
    calls: int


def latencies(tree: fs.Tree, clock: Callable[[], float] = time.perf_counter) -> dict[str, Latency]:
    """Return what each kind of call takes; a kind that the file system refuses is left out."""
    folder = tree.folder("latency", make=True)
    took: dict[str, list[float]] = {}
    refused: set[str] = set()
    began = clock()
    try:
        for number in range(MOST_ROUNDS):
            for name, call in _CALLS.items():
                if name not in refused:
                    start = clock()
                    try:
                        call(folder, str(number))
                    except OSError:
                        refused.add(name)
                    else:
                        took.setdefault(name, []).append(clock() - start)
            if number >= _LEAST_ROUNDS and clock() - began > _SECONDS:
                break
    finally:
        fs.close(folder)
    return {name: _summed(seconds) for name, seconds in took.items()}


def _summed(seconds: list[float]) -> Latency:
    ordered = sorted(seconds)
    return Latency(median(ordered), ordered[min(len(ordered) - 1, 19 * len(ordered) // 20)], len(ordered))


def _rename(folder: int, name: str) -> None:
    fs.rename_within(f"file-{name}", f"renamed-{name}", folder)


def _stat(folder: int, name: str) -> None:
    fs.facts(f"file-{name}", folder)


def _unlink(folder: int, name: str) -> None:
    fs.unlink(f"renamed-{name}", folder)
    with suppress(FileNotFoundError):
        fs.unlink(f"link-{name}", folder)


# In this order: each round makes what the next calls need, and removes it.
_CALLS: Final[dict[str, Callable[[int, str], None]]] = {
    "create": lambda folder, name: fs.empty_new(f"file-{name}", folder),
    "stat": _stat,
    "link": lambda folder, name: fs.hard_link(f"file-{name}", folder, f"link-{name}", folder),
    "rename": _rename,
    "unlink": _unlink,
}
