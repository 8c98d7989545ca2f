"""Placing: batches handed to as many workers as the autoscaler wants, until nothing is left or it is time to stop."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import anyio.to_thread

from planbalance.engine.crew import Crew, Lane
from planbalance.engine.schedule import Schedule
from planbalance.engine.work import Result
from planbalance.executor.autoscaler import Autoscaler, FinishedBatch

_MOST_LANES: Final = 1_000
_SMALLEST: Final = 8


async def place_all(
    schedule: Schedule,
    crew: Crew,
    scaler: Autoscaler,
    *,
    finished: Callable[[Result], Awaitable[None]],
    stopping: Callable[[], bool],
) -> None:
    """Place what the schedule hands out; `finished` is awaited in the loop after each batch.

    Once `stopping` answers true, running batches finish and no new one starts. An exception from a worker or from
    `finished` ends the others the same way and is raised.
    """
    await _Hands(schedule, crew, scaler, finished, stopping).run()


class _Hands:
    """The lanes at work. Everything here happens in the loop's thread."""

    def __init__(
        self,
        schedule: Schedule,
        crew: Crew,
        scaler: Autoscaler,
        finished: Callable[[Result], Awaitable[None]],
        stopping: Callable[[], bool],
    ) -> None:
        self._schedule = schedule
        self._crew = crew
        self._scaler = scaler
        self._finished = finished
        self._stopping = stopping
        self._limiter = anyio.CapacityLimiter(_MOST_LANES)
        self._working = 0
        self._failures: list[Exception] = []

    async def run(self) -> None:
        async with anyio.create_task_group() as self._tasks:
            self._man()
        if self._failures:
            raise self._failures[0]

    def _man(self) -> None:
        """Set workers to work, up to the number wanted."""
        while self._working < self._scaler.workers and self._goes_on():
            lane = self._crew.lane(self._scaler.kind)
            if lane is None:
                return
            self._working += 1
            self._tasks.start_soon(self._work, lane)

    def _goes_on(self) -> bool:
        return bool(self._schedule.left) and not self._failures and not self._stopping()

    async def _work(self, lane: Lane) -> None:
        spent = False
        try:
            while self._goes_on() and self._wanted(lane) and not (spent := not await self._one_batch(lane)):
                self._man()
        except Exception as error:  # raised once the others have finished their batch
            self._failures.append(error)
        finally:
            self._working -= 1
            self._crew.rest(lane, spent=spent)
        if not self._wanted(lane):
            self._man()

    def _wanted(self, lane: Lane) -> bool:
        return lane.kind == self._scaler.kind and self._working <= self._scaler.workers

    async def _one_batch(self, lane: Lane) -> bool:
        """Place one batch; return whether there was one for this worker."""
        batch = self._schedule.take(self._size(), lane.owner, alone=self._working == 1)
        if not batch:
            return False
        result = await anyio.to_thread.run_sync(lane.place, batch, limiter=self._limiter)
        self._schedule.done(batch)
        self._scaler.observe(FinishedBatch(time.monotonic(), result.count, result.seconds, result.busy))
        await self._finished(result)
        return True

    def _size(self) -> int:
        """Return how large a batch is: the last ones small, so that all who work end together."""
        wanted = self._scaler.batch
        if self._working == 1:
            return wanted
        share = -(-self._schedule.left // (2 * self._scaler.workers))
        return max(min(wanted, share), min(-(-wanted // 2), _SMALLEST))
