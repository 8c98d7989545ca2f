"""What a run tells its workers while they work, across threads and processes."""

import mmap
from typing import Final

_HALT: Final = 0
_ONLY_CHECK: Final = 1


class Switches:
    """Switches in a page of memory that forked workers share: one writer, read between two files.

    Attributes:
        halt: stop at the next file; what is not finished is not claimed.
        only_check: the plan is stale, so nothing will be published: look at the rest, place nothing.
    """

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)  # anonymous and shared (mmap(2))

    @property
    def halt(self) -> bool:
        """Whether to stop at the next file."""
        return self._page[_HALT] != 0

    @halt.setter
    def halt(self, on: bool) -> None:
        self._page[_HALT] = on

    @property
    def only_check(self) -> bool:
        """Whether to place nothing any more."""
        return self._page[_ONLY_CHECK] != 0

    @only_check.setter
    def only_check(self, on: bool) -> None:
        self._page[_ONLY_CHECK] = on
