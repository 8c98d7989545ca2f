"""The SHA-256 of the one file of a packed dataset, taken while its slices are placed.

A SHA-256 is taken from the first byte to the last one. Slices are placed in about that order, so a thread follows the
workers: it reads what they have just written, which the kernel still has in memory. What is left in the end is short.
"""

import hashlib
import threading
from collections.abc import Iterable
from typing import Final

from planbalance import fs
from planbalance.engine.packing import FORMS, Packing
from planbalance.engine.schedule import Range
from planbalance.errors import PlanError

_PIECE: Final = 1 << 20  # where calls wait, each read does


class FileSum:
    """The sum of one file. The methods are called by one thread, which need not be the one that follows.

    Args:
        packing: where everything goes in the file.
        file: its descriptor, open for reading and writing until `end` or `stop` has returned.
    """

    def __init__(self, packing: Packing, file: int) -> None:
        self._packing = packing
        self._file = file
        self._digest = hashlib.sha256()
        self._at = 0
        self._changed = threading.Condition()
        self._placed: dict[tuple[int, int], int] = {}  # (block, first slice) -> the slice behind the last one
        self._stopped = False
        self._thread: threading.Thread | None = None

    def follow(self) -> None:
        """Begin to follow the workers. What stands before the first slice must be known by now (`Packing.ends`)."""
        self._thread = threading.Thread(target=self._follow, name="sum of the file", daemon=True)
        self._thread.start()

    def placed(self, ranges: Iterable[Range]) -> None:
        """Note what is in place."""
        with self._changed:
            self._placed.update(((block, start), stop) for block, start, stop in ranges)
            self._changed.notify()

    def stop(self) -> None:
        """Stop following; a second call does nothing."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def end(self, size: int) -> bytes:
        """Return the sum of the file's first `size` bytes, all of which are written by now. Raises OSError."""
        self.stop()
        self._take_to(size)
        return self._digest.digest()

    def _follow(self) -> None:
        """Take what is in place, in the order of the file, until `stop` is called.

        An error of reading ends it: `end` reads from there on again, and raises it if it comes again.
        """
        try:
            for at, length in self._packing.places.gaps:
                fs.write_at(self._file, FORMS[self._packing.mode].filler(length), at)
            self._digest.update(self._packing.ends.first)  # which is written last
            self._at = len(self._packing.ends.first)
            for block, count in enumerate(self._packing.counts):
                places = self._packing.slice_places(block)
                slices = 0
                while slices < count:
                    slices = self._placed_up_to(block, slices)
                    if slices < 0 or not self._take_to(places.start(slices)):
                        return
        except (OSError, PlanError):  # of a block whose names are read from the plan again
            return

    def _placed_up_to(self, block: int, first: int) -> int:
        """Wait for the slice `first` of a block; return the one behind the run that it begins, -1 if stopped."""
        with self._changed:
            while (stop := self._placed.pop((block, first), None)) is None and not self._stopped:
                self._changed.wait()
            return -1 if stop is None else stop

    def _take_to(self, stop: int) -> bool:
        """Take the file's bytes before `stop`; return whether all of them were there."""
        while self._at < stop:
            data = fs.read_at(self._file, min(_PIECE, stop - self._at), self._at)
            if not data:
                return False
            self._digest.update(data)
            self._at += len(data)
        return True
