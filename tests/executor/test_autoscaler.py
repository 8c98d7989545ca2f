"""The autoscaler against simulated file systems: saturation, jitter, and a server that slows down under load."""

import heapq
import random
from collections.abc import Callable

import pytest

from planbalance.executor.autoscaler import LIMITS, Autoscaler, FinishedBatch, Limits

FIRST = LIMITS.first_batch
# (workers at work, now) -> seconds that one slice takes a worker
Disk = Callable[[int, float], float]


class Run:
    """A run of an autoscaler on a simulated disk: workers take batches, each slice takes what the disk says."""

    def __init__(self, scaler: Autoscaler, disk: Disk, *, busy: float = 0.0, jitter: float = 0.0) -> None:
        self.scaler, self.disk, self.busy, self.jitter = scaler, disk, busy, jitter
        self.now = 0.0
        self.done = 0
        self._draw = random.Random(1)
        self._running: list[tuple[float, int, float]] = []

    def until(self, seconds: float) -> "Run":
        """Go on until so many seconds have passed."""
        while self.now < seconds:
            while len(self._running) < self.scaler.workers:
                count = self.scaler.batch
                took = count * self.disk(len(self._running) + 1, self.now)
                took *= 1 + self.jitter * self._draw.uniform(-1, 1)
                heapq.heappush(self._running, (self.now + took, count, took))
            self.now, count, took = heapq.heappop(self._running)
            self.done += count
            self.scaler.observe(FinishedBatch(self.now, count, took, min(took, count * self.busy)))
        return self

    def rate(self, seconds: float) -> float:
        """Return how many slices a second the next seconds give."""
        before, began = self.done, self.now
        self.until(began + seconds)
        return (self.done - before) / (self.now - began)


def saturating(workers: int, a_call: float = 2e-3, calls: int = 4) -> Disk:
    """A server that answers so many at once, each in the same time; more of them wait for each other."""
    return lambda active, _now: calls * a_call * max(1, active / workers)


@pytest.mark.parametrize("jitter", [0.0, 0.3])
@pytest.mark.parametrize("best", [1, 4, 16, 64])
def test_it_comes_near_what_a_server_can_do_and_stays_there(best: int, jitter: float) -> None:
    run = Run(Autoscaler(2, 0, None), saturating(best), jitter=jitter).until(20)
    assert run.scaler.kind == "threads"
    assert run.rate(20) > 0.85 * best / (4 * 2e-3)
    assert run.scaler.workers <= max(8, 4 * best)


def test_a_server_that_slows_down_under_load_gets_fewer_callers() -> None:
    """With more than 16 callers the total rate falls."""
    slow = Run(Autoscaler(2, 0, None), lambda active, _: 4e-3 * max(1.0, (active / 16) ** 2)).until(20)
    assert slow.scaler.workers <= 16
    assert slow.rate(10) > 0.85 * 16 / 4e-3


def test_a_server_that_slows_down_later_gets_fewer_callers() -> None:
    """Other users come: from 20 s on it takes 2 callers at a time, and each more costs all."""

    def disk(active: int, now: float) -> float:
        return 4e-3 * (max(1.0, active / 64) if now < 20 else 4 * max(1.0, active / 2))

    run = Run(Autoscaler(2, 0, None), disk).until(19)
    assert run.scaler.workers >= 32
    assert run.until(100).scaler.workers <= 4


def test_what_recovers_is_tried_again() -> None:
    def disk(active: int, now: float) -> float:
        return 4e-3 * max(1.0, active / (2 if 5 < now < 30 else 32))

    run = Run(Autoscaler(2, 0, None), disk).until(30)
    assert run.until(120).rate(10) > 0.8 * 32 / 4e-3


def test_a_local_disk_keeps_the_processes_that_were_forked() -> None:
    run = Run(Autoscaler(2, 2, None), lambda *_: 16e-6, busy=15e-6).until(5)
    assert (run.scaler.kind, run.scaler.workers) == ("processes", 2)


def test_on_a_busy_machine_a_local_disk_is_not_taken_for_a_far_one() -> None:
    """A process that has to wait for its core now and then."""
    draw = random.Random(3)
    run = Run(Autoscaler(2, 2, None), lambda *_: draw.choice([16e-6, 400e-6]), busy=15e-6).until(5)
    assert run.scaler.kind == "processes"


def test_what_waits_gets_threads_whatever_was_forked() -> None:
    run = Run(Autoscaler(2, 2, None), saturating(32)).until(10)
    assert run.scaler.kind == "threads"
    assert run.scaler.workers >= 16


@pytest.mark.parametrize("jobs", [1, 2, 5, 40])
@pytest.mark.parametrize("processes", [0, 2])
def test_the_number_that_the_user_asked_for_is_kept(jobs: int, processes: int) -> None:
    run = Run(Autoscaler(2, min(jobs, processes), jobs), saturating(8)).until(5)
    for second in range(6, 30):
        assert run.until(second).scaler.workers == jobs


def test_asking_for_more_than_was_forked_does_not_change_processes_into_threads_near_by() -> None:
    run = Run(Autoscaler(2, 8, 40), lambda *_: 16e-6, busy=15e-6).until(5)
    assert (run.scaler.kind, run.scaler.workers) == ("processes", 8)


@pytest.mark.parametrize(("a_slice", "workers"), [(10e-6, 1), (200e-6, 8)])
def test_near_by_large_copies_begin_with_a_thread_a_core_and_links_with_one(a_slice: float, workers: int) -> None:
    scaler = Autoscaler(8, 0, None)
    scaler.observe(FinishedBatch(1.0, FIRST, FIRST * 5e-3, FIRST * a_slice))  # the first opens folders
    scaler.observe(FinishedBatch(1.0, FIRST, FIRST * a_slice, FIRST * a_slice))
    assert (scaler.kind, scaler.workers) == ("threads", workers)


def test_batches_are_small_at_first_and_then_take_a_fraction_of_a_second() -> None:
    scaler = Autoscaler(2, 0, None)
    assert scaler.batch == FIRST
    run = Run(scaler, lambda *_: 1e-3).until(2)
    assert 0.03 < run.scaler.batch * 1e-3 < 0.3


def test_where_calls_were_seen_to_wait_it_begins_with_many_threads_and_ends_where_it_would_have() -> None:
    assert Autoscaler(2, 0, None).workers == 1
    assert [Autoscaler(2, 0, None, waits=waits).workers for waits in (10e-6, 200e-6, 2e-3)] == [1, 16, 64]
    assert Autoscaler(2, 0, 5, waits=2e-3).workers == 5
    assert Autoscaler(2, 2, None, waits=2e-3).kind == "processes"  # they tell for themselves, and cost nothing
    run = Run(Autoscaler(2, 0, None, waits=2e-3), saturating(16)).until(20)
    assert run.rate(20) > 0.85 * 16 / (4 * 2e-3)
    assert run.scaler.workers <= 64


def test_a_clock_that_began_long_ago_does_not_make_the_first_window_a_long_one() -> None:
    scaler = Autoscaler(2, 0, None, waits=2e-3)
    for number in range(200):
        scaler.observe(FinishedBatch(1e6 + number / 1000, 4, 0.1, 0.001))
        if number < 100:
            assert scaler.workers == 64


def test_limits_other_than_the_usual_ones_are_kept() -> None:
    limits = Limits(first_batch=3, smallest_batch=2, largest_batch=5, most_threads=4)
    scaler = Autoscaler(2, 0, None, limits=limits)
    assert scaler.batch == 3
    run = Run(scaler, saturating(64, a_call=1e-3)).until(20)
    assert run.scaler.workers == 4
    assert 2 <= run.scaler.batch <= 5
