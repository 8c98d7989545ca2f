"""Batches in threads: all of them done, one exception raised as itself, nothing new once it is time to stop."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from planbalance import platform_calls
from planbalance.executor import processes
from planbalance.executor.threads import batched, run_in_threads
from tests.builders import write


def doubled(batch: int) -> int:
    """Return twice a batch; 13 fails."""
    if batch == 13:
        raise OSError("no luck")
    return 2 * batch


def test_every_batch_is_worked_on_once() -> None:
    assert dict(run_in_threads(doubled, range(10), 2)) == {number: 2 * number for number in range(10)}


def test_a_failing_batch_raises_its_own_exception() -> None:
    with pytest.raises(OSError, match="no luck"):
        list(run_in_threads(doubled, [1, 13, 2], 2))


def test_a_failing_source_raises_its_own_exception() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("block")

    with pytest.raises(KeyError, match="block"):
        list(run_in_threads(doubled, source(), 2))


def test_no_more_threads_work_than_are_wanted() -> None:
    wanted, at_work, most = 3, threading.Semaphore(3), []

    def work(batch: int) -> int:
        most.append(at_work.acquire(blocking=False))
        all_started.wait(30)
        at_work.release()
        return batch

    all_started = threading.Barrier(wanted)
    assert len(list(run_in_threads(work, range(9), 8, lambda: wanted))) == 9
    assert all(most)


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
    assert platform_calls.cores_of_cgroups(str(tmp_path / "self"), str(tmp_path / "fs")) == cores


def test_there_is_always_a_core() -> None:
    assert processes.available_cores() >= 1
