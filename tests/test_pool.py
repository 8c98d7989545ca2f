"""Batches in threads: all of them done, one exception raised as itself, nothing new once it is time to stop."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from planbalance.pool import batched, for_each_batch, run_blocking


def gathered(batches: Iterator[int], *, jobs: int = 2, stop_after: int | None = None) -> list[int]:
    """Return the doubled batches; a batch of 13 fails."""
    done: list[int] = []

    def work(batch: int) -> int:
        if batch == 13:
            raise OSError("no luck")
        return 2 * batch

    async def finished(_batch: int, result: int) -> None:
        done.append(result)

    async def main() -> None:
        await for_each_batch(
            work,
            batches,
            jobs=jobs,
            finished=finished,
            stopping=lambda: stop_after is not None and len(done) >= stop_after,
        )

    run_blocking(main)
    return done


def test_every_batch_is_worked_on_once() -> None:
    assert sorted(gathered(iter(range(10)))) == list(range(0, 20, 2))


def test_a_failing_batch_raises_its_own_exception() -> None:
    with pytest.raises(OSError, match="no luck"):
        gathered(iter([1, 13, 2]))


def test_a_failing_source_raises_its_own_exception() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("block")

    with pytest.raises(KeyError, match="block"):
        gathered(source())


def test_nothing_new_starts_once_it_is_time_to_stop() -> None:
    assert gathered(iter(range(100)), jobs=1, stop_after=3) == [0, 2, 4]


def test_inside_a_running_loop_the_work_has_a_thread_of_its_own() -> None:
    async def where() -> int:
        return threading.get_ident()

    async def notebook() -> int:
        return run_blocking(where)

    assert asyncio.run(notebook()) != threading.get_ident()
    assert run_blocking(where) == threading.get_ident()


def test_the_last_batch_may_be_shorter() -> None:
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]
