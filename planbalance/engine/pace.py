"""How many workers, and how much a batch: a stated rule over the first measurement. Pure.

ENGINE 1 and 2: on a fast local disk links want one plain loop and copies want the cores; where a call waits for a
server, workers hide the waiting. A later controller that watches the run takes this module's place.
"""

from typing import Final, NamedTuple

from planbalance.model import Mode

FIRST_BATCH: Final = 64
_SMALLEST_BATCH: Final = 16
_LARGEST_BATCH: Final = 512
_BATCH_SECONDS: Final = 0.25  # a batch is what an interrupt waits for
_FAST_LINK: Final = 100e-6  # seconds a slice (image and label); measured: 6 us on tmpfs, 8,000 us at 2 ms a call
_FAST_COPY: Final = 2e-3
_SMALL: Final = 1 << 16  # bytes a slice: below it the interpreter's lock is the limit, and threads only wait for it
_MOST_WORKERS: Final = 32


class Pace(NamedTuple):
    """Worker threads, and operations a batch."""

    jobs: int
    batch: int


class Measured(NamedTuple):
    """What the first operations took: seconds and bytes of copied content each."""

    seconds: float
    size: float


def pace(way: Mode, first: Measured, cores: int, jobs: int | None) -> Pace:
    """Return the pace for a run whose first operations were measured; `jobs` is the user's wish or None."""
    seconds = first.seconds
    batch = max(_SMALLEST_BATCH, min(_LARGEST_BATCH, int(_BATCH_SECONDS / max(seconds, 1e-6))))
    if jobs is not None:
        return Pace(jobs, batch)
    if way in ("copy", "reflink"):
        if seconds > _FAST_COPY:
            return Pace(min(_MOST_WORKERS, 4 * cores), batch)
        return Pace(1 if first.size < _SMALL else cores, batch)
    return Pace(min(_MOST_WORKERS, 16 * cores) if seconds > _FAST_LINK else 1, batch)
