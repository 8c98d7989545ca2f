"""What happens in the middle of a run: something is done after so many slices, it waits, or it runs in a child."""

import os
import signal
import threading
from collections.abc import Callable

import pytest

from planbalance.errors import PlanbalanceError
from planbalance.executor import autoscaler
from planbalance.model import Silent


class After(Silent):
    """A progress that does something once, when `count` slices are reported."""

    def __init__(self, act: Callable[[], object], count: int = 1) -> None:
        self._act, self._left = act, count

    def advance(self, count: int, size: int = 0) -> None:
        del size
        self._left -= count
        if self._left <= 0 and count:
            self._left = 1 << 60
            self._act()


def stop_after(count: int, number: int = signal.SIGINT) -> After:
    """Return a progress that sends this process a signal once `count` slices are reported."""
    return After(lambda: os.kill(os.getpid(), number), count)


class Hold(Silent):
    """A progress that waits in the middle of a build until it is let go."""

    def __init__(self) -> None:
        self.inside, self.go = threading.Event(), threading.Event()

    def advance(self, count: int, size: int = 0) -> None:
        del count, size
        self.inside.set()
        assert self.go.wait(60)


def in_a_child(work: Callable[[], object]) -> int:
    """Work in a forked child, and return its id; it ends with 0, with a refusal's exit code, or with 1."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except PlanbalanceError as error:
            code = error.exit_code
        finally:
            os._exit(code)
    return child


def make_batches_small(patch: pytest.MonkeyPatch) -> None:
    """Place two slices at a time, however fast they are."""
    patch.setattr(autoscaler, "LIMITS", autoscaler.LIMITS._replace(first_batch=2, smallest_batch=2, largest_batch=2))
