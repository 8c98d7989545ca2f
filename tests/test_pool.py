"""Batches in threads: all of them done, one exception raised as itself, nothing new once it is time to stop."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from planbalance import pool
from planbalance.pool import batched, for_each_batch, run_blocking
from tests.builders import write


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


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/a\n", {"a/cpu.max": "5000 100000\n"}, 1),
        ("0::/a\n", {}, 1 << 16),
        ("4:cpu,cpuacct:/job\n2:memory:/job\n",
         {"cpu/job/cpu.cfs_quota_us": "200000\n", "cpu/job/cpu.cfs_period_us": "100000\n"}, 2),
        ("4:cpu,cpuacct:/\n", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1 << 16),
        ("nonsense\n", {}, 1 << 16),
    ],
)  # fmt: skip
def test_the_quota_of_a_cgroup_counts(tmp_path: Path, membership: str, files: dict[str, str], cores: int) -> None:
    """As containers and Slurm set it."""
    (tmp_path / "self").write_text(membership)
    for name, text in files.items():
        write(tmp_path / "fs" / name, text.encode())
    assert pool._quota(str(tmp_path / "self"), str(tmp_path / "fs")) == cores


def test_there_is_always_a_core() -> None:
    assert pool.available_cores() >= 1
