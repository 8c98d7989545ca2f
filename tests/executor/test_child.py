"""A forked child: it answers in order, its exceptions are raised here, and its death is noticed."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from planbalance.executor.processes import Child, ChildGoneError

# The child calls nothing that needs a lock of another thread.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


class Service:
    """What the child answers."""

    def echo(self, what: str, number: int = 0) -> object:
        return what, number

    def fail(self) -> object:
        raise EOFError("its own")

    def die(self, number: int) -> object:
        os.kill(os.getpid(), number)
        return number

    def make(self) -> Callable[[], object]:
        return lambda: None


@contextmanager
def child(*siblings: Child, kill_with_parent: bool = False) -> Iterator[Child]:
    forked = Child(Service, siblings, kill_with_parent=kill_with_parent)
    try:
        yield forked
    finally:
        forked.kill()


def test_answers_come_in_the_order_of_the_questions() -> None:
    with child() as it:
        for number in range(9):
            it.ask("echo", "x" * 9_999, number)
        assert [it.answer() for _ in range(9)] == [("x" * 9_999, number) for number in range(9)]


def test_what_it_raises_is_raised_here_and_it_answers_on() -> None:
    with child() as it:
        it.ask("fail")
        with pytest.raises(EOFError, match="its own"):
            it.answer()
        it.ask("echo", "more")
        assert it.answer() == ("more", 0)


@pytest.mark.parametrize(("number", "how"), [(signal.SIGKILL, "was killed (signal 9)"), (0, "ended")])
def test_the_death_of_a_child_is_not_taken_for_an_exception(number: int, how: str) -> None:
    with child() as it:
        it.ask(*(("die", number) if number else ("make",)))  # what `make` returns cannot be pickled: the child ends
        with pytest.raises(ChildGoneError):
            it.answer()
        assert it.reap() == how
        with pytest.raises(ChildGoneError):
            it.ask("echo", "more")


@pytest.mark.parametrize("kill_with_parent", [False, True])
def test_each_ends_when_its_own_line_is_closed(kill_with_parent: bool) -> None:
    with child(kill_with_parent=kill_with_parent) as first, child(first, kill_with_parent=kill_with_parent):
        first.hang_up()
        assert first.reap() == "ended"


@pytest.mark.parametrize(("kill_with_parent", "how"), [(False, "was killed (signal 15)"), (True, "ended")])
def test_a_signal_to_all_ends_only_what_may_end_alone(kill_with_parent: bool, how: str) -> None:
    with child(kill_with_parent=kill_with_parent) as it:
        it.ask("echo", "is ready")
        it.answer()
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(it._pid, number)
        it.hang_up()
        assert it.reap() == how
