"""A forked child: answers in order, its exceptions raised here, its death told from them, no end of it lost."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from planbalance.forked import Child, ChildGoneError

# The child calls nothing that needs a lock of another thread.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


def answered(what: str, number: int = 0) -> object:
    if what == "raise":
        raise EOFError("its own")
    if what == "die":
        os.kill(os.getpid(), number)
    return what, number


def make(what: str, number: int = 0) -> Callable[[], object]:
    return lambda: (what, number)


@contextmanager
def child(answering: Callable[..., object] = answered, *siblings: Child, tied: bool = False) -> Iterator[Child]:
    forked = Child(lambda: answering, siblings, tied=tied)
    try:
        yield forked
    finally:
        forked.kill()


def test_answers_come_in_the_order_of_the_questions() -> None:
    with child() as it:
        for number in range(9):
            it.ask("x" * 9_999, number)
        assert [it.answer() for _ in range(9)] == [("x" * 9_999, number) for number in range(9)]


def test_what_it_raises_is_raised_here_and_it_answers_on() -> None:
    with child() as it:
        it.ask("raise")
        with pytest.raises(EOFError, match="its own"):
            it.answer()
        it.ask("more")
        assert it.answer() == ("more", 0)


@pytest.mark.parametrize(("number", "how"), [(signal.SIGKILL, "was killed (signal 9)"), (0, "ended")])
def test_a_death_is_told_from_an_exception(number: int, how: str) -> None:
    with child(answered if number else make) as it:  # what `make` returns cannot be pickled: the child ends
        it.ask("die", number)
        with pytest.raises(ChildGoneError):
            it.answer()
        assert it.reap() == how
        with pytest.raises(ChildGoneError):
            it.ask("more")


@pytest.mark.parametrize("tied", [False, True])
def test_each_ends_when_its_own_line_is_closed(tied: bool) -> None:
    with child(answered, tied=tied) as first, child(answered, first, tied=tied):
        first.hang_up()
        assert first.reap() == "ended"


@pytest.mark.parametrize(("tied", "how"), [(False, "was killed (signal 15)"), (True, "ended")])
def test_a_signal_to_all_ends_only_what_may_end_alone(tied: bool, how: str) -> None:
    with child(tied=tied) as it:
        it.ask("is ready")
        it.answer()
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(it._pid, number)
        it.hang_up()
        assert it.reap() == how
