"""Progress as lines in a file, such as Slurm's output: from time to time a line says how far the work has come.

A stage that ends before its first line is due writes nothing, so that short commands are silent in a pipe.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final

from planbalance.render.table import count, size

SECONDS_VARIABLE: Final = "PLANBALANCE_LOG_SECONDS"
_SECONDS: Final = 5.0


class RunLog:
    """A `model.Progress` of lines: `2026-11-24 05:41:57 apply: 12,800 of 53,914 slices, 850/s, 1.2 GiB, 48 s left`."""

    def __init__(
        self,
        write_line: Callable[[str], None],
        *,
        every: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        """Take how it writes a line and how often.

        Args:
            write_line: prints a line.
            every: seconds between two lines; None: as the environment says.
            clock: seconds that only rise.
            now: the date and time.
        """
        self._write_line = write_line
        self._every = _seconds() if every is None else every
        self._clock = clock
        self._now = now
        self._stage: Stage | None = None

    def begin(self, what: str, total: int | None, unit: str) -> None:
        """Start a stage."""
        self.end()
        self._stage = Stage(what, total, unit, self._clock())

    def advance(self, count: int, size: int = 0) -> None:
        """Count, and write a line where one is due."""
        stage = self._stage
        if stage is None:
            return
        stage.count += count
        stage.size += size
        at = self._clock()
        if at - stage.reported_at >= self._every:
            stage.reported_at = at
            stage.was_reported = True
            self._write(stage.progress(at))

    def end(self) -> None:
        """End the stage, with a last line where there was one before."""
        stage, self._stage = self._stage, None
        if stage is not None and stage.was_reported:
            self._write(stage.result(self._clock()))

    def _write(self, text: str) -> None:
        self._write_line(f"{self._now():%Y-%m-%d %H:%M:%S} {text}")


class Stage:
    """One stage: what was counted, and when it began; seconds by the monotonic clock."""

    def __init__(self, what: str, total: int | None, unit: str, began: float) -> None:
        self.what = what
        self.total = total
        self.unit = unit
        self.began = began
        self.reported_at = began
        self.was_reported = False
        self.count = 0
        self.size = 0

    def progress(self, at: float) -> str:
        """Return how far it has come: count, rate, bytes, time left."""
        rate = self.count / (at - self.began) if at > self.began else 0.0
        parts = [f"{self._counted()} {self.unit}", *self._speed(rate)]
        if self.total is not None and rate:
            parts.append(f"{duration(max(0, self.total - self.count) / rate)} left")
        return f"{self.what}: {', '.join(parts)}"

    def result(self, at: float) -> str:
        """Return what was done in all; of a stage that was interrupted, how far it came."""
        took = at - self.began
        parts = [f"{self._counted()} {self.unit} in {duration(took)}", *self._speed(self.count / took if took else 0.0)]
        return f"{self.what}: {', '.join(parts)}"

    def _counted(self) -> str:
        whole = self.total is None or self.count >= self.total
        return count(self.count) if whole or self.total is None else f"{count(self.count)} of {count(self.total)}"

    def _speed(self, rate: float) -> list[str]:
        return [f"{count(round(rate))}/s", *([size(self.size)] if self.size else [])]


def duration(seconds: float) -> str:
    """Return a time for a person: `8 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def _seconds() -> float:
    """Return the seconds between two lines, as the environment has them."""
    with suppress(ValueError):
        return max(0.0, float(os.environ.get(SECONDS_VARIABLE, "")))
    return _SECONDS
