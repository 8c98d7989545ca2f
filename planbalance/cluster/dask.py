"""Shards as tasks of a Dask cluster: this machine's own, or one that runs already (dask-jobqueue users have one).

A shard is idempotent, so whatever is lost (a worker, the scheduler, this client) is simply run again; the client alone
publishes, once, after all shards are done.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from planbalance import engine
from planbalance.engine import ApplyOptions
from planbalance.errors import IncompleteError, InterruptedRunError, PlanbalanceError, PlanError, UsageError
from planbalance.model import Outcome, Progress, Silent
from planbalance.planstore import PlanFile
from planbalance.shards import Shard, cut

if TYPE_CHECKING:
    from distributed import Client, Future

_SHARDS_A_WORKER: Final = 4  # so that a slow worker does not hold up the end
_FEWEST_SHARDS: Final = 16
_TRIES: Final = 3  # of a shard that fails for another reason than a lost worker
_PATIENCE: Final = 600.0  # seconds without a scheduler, or with an earlier client's shard still at work
_CONNECT: Final = 10
_PAUSE: Final = 1.0


class Told(NamedTuple):
    """What a task says about its shard: plain values, for exceptions of ours do not travel.

    Attributes:
        error: its class, and the arguments of that; None where the shard is done.
        outcome: what was done.
        worker: the address of the worker that ran it.
    """

    error: tuple[str, dict[str, Any]] | None
    outcome: Outcome | None
    worker: str


def run_shard(plan_path: str, options: Mapping[str, Any], shard: tuple[int, int], *, allow_edited: bool) -> Told:
    """Run one shard: the task, on a worker."""
    from distributed import get_worker

    worker = get_worker().address
    try:
        plan = PlanFile.open(plan_path, allow_edited=allow_edited)
        return Told(None, engine.apply_plan(plan, ApplyOptions(**options, shard=Shard(*shard)), Silent()), worker)
    except PlanbalanceError as error:
        words = {"kind": error.kind, "hint": error.hint, "paths": error.paths}
        return Told((type(error).__name__, {"message": error.message, **words}), None, worker)
    except Exception as error:  # one that the client cannot unpickle would leave it waiting for ever
        words = {"kind": "shard-failed", "hint": "is the same planbalance installed on the workers?", "paths": ()}
        return Told(("IncompleteError", {"message": f"{type(error).__name__}: {error}", **words}), None, worker)


def apply_on_dask(
    plan: PlanFile, options: ApplyOptions, *, scheduler: str | None, progress: Progress, allow_edited: bool = False
) -> Outcome:
    """Build a plan by shards on a Dask cluster and publish it; called again after any interruption, it resumes.

    Args:
        plan: on a path that the workers see too.
        options: as for `apply_plan`.
        scheduler: the address of a running one; None starts a cluster on this machine.
        progress: where to report to.
        allow_edited: the plan was edited by hand.

    Raises UsageError, PlanError, IncompleteError, InterruptedRunError as `apply_plan` does; UsageError where the extra
    [dask] is not installed.
    """
    _refuse(plan, options)
    try:
        return _Build(plan, options, scheduler, progress, allow_edited=allow_edited).run()
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "Interrupted; nothing was published",
            kind="interrupted",
            hint="run the same command again: what shards have built is kept",
        ) from None


def _refuse(plan: PlanFile, options: ApplyOptions) -> None:
    given = [("--shard", options.shard), ("--finish", options.finish), ("--restart", options.restart)]
    given.append(("--dry-run", options.dry_run))
    if refused := [name for name, value in given if value]:
        raise UsageError(
            f"--executor dask does not go with {refused[0]}",
            kind="executor",
            hint="`planbalance clean` removes a partial build; --dry-run checks without --executor",
        )
    if not plan.path:
        raise UsageError("--executor dask needs a plan file that the workers see", kind="executor")
    try:
        import distributed  # noqa: F401 - is it there?
    except ImportError:
        raise UsageError(
            "--executor dask needs the extra [dask], which is not installed",
            kind="extra-missing",
            hint="python -m pip install 'planbalance[dask]'",
        ) from None


@dataclass(slots=True)
class _Waiting:
    """A shard that is not done yet: how often it failed, and the workers that cannot run it."""

    failures: int = 0
    banned: set[str] = field(default_factory=set)


class _Build:
    """One build while it runs."""

    def __init__(
        self, plan: PlanFile, options: ApplyOptions, scheduler: str | None, progress: Progress, *, allow_edited: bool
    ) -> None:
        self._plan = plan
        self._options = options
        self._scheduler = scheduler
        self._progress = progress
        self._allow_edited = allow_edited
        self._waiting: dict[int, _Waiting] = {}
        self._ranges: list[range] = []
        self._copied = 0
        self._resumed = 0
        self._began = time.monotonic()

    def run(self) -> Outcome:
        """Run all shards, then finish."""
        with _quiet(), _cluster(self._scheduler) as address:
            self._progress.begin("apply", sum(block.count for block in self._plan.header.blocks), "slices")
            try:
                self._run_shards(address)
            finally:
                self._progress.end()
        outcome = self._finish()
        seconds = time.monotonic() - self._began
        return replace(outcome, bytes=self._copied, resumed=self._resumed, seconds=seconds)

    def _run_shards(self, address: str) -> None:
        heard = time.monotonic()
        while True:
            try:
                with _client(address) as client:
                    self._cut(client)
                    heard = time.monotonic()
                    self._round(client)
            except (OSError, RuntimeError) as error:  # CommClosedError is an OSError; a client that closed, the other
                if time.monotonic() - heard > _PATIENCE:
                    raise IncompleteError(
                        f"The Dask scheduler at {address} does not answer: {error}",
                        kind="scheduler-lost",
                        hint="start it again and run the same command: what shards have built is kept",
                    ) from None
            if self._ranges and not self._waiting:
                return
            time.sleep(_PAUSE)

    def _cut(self, client: "Client") -> None:
        """Settle how many shards there are, once: as a partial build has pinned it, else by the number of workers."""
        if self._ranges:
            return
        client.wait_for_workers(1)
        blocks = self._plan.header.blocks
        wished = max(_FEWEST_SHARDS, _SHARDS_A_WORKER * len(client.nthreads()))
        total = engine.pinned_shards(self._plan, self._options) or max(1, min(len(blocks), wished))
        self._ranges = cut(blocks, total)
        self._waiting = {number: _Waiting() for number, run in enumerate(self._ranges, start=1) if run}

    def _round(self, client: "Client") -> None:
        """Hand out what is not done; take in what comes back until nothing is left, or the scheduler is lost."""
        from distributed import as_completed

        futures = {self._submit(client, number): number for number in self._waiting}
        coming = as_completed(futures)
        for future in coming:
            number = futures.pop(future)
            if future.status == "finished":
                if self._took_in(number, future.result()):
                    continue
            elif future.status == "error":
                self._failed(number, future.exception())
            else:  # cancelled or lost with its scheduler
                return
            again = self._submit(client, number)
            futures[again] = number
            coming.add(again)

    def _submit(self, client: "Client", number: int) -> "Future":
        banned = self._waiting[number].banned
        workers = None
        if banned:
            workers = [address for address in client.nthreads() if address not in banned]
            if not workers:
                raise IncompleteError(
                    f"No worker can run shard {number}/{len(self._ranges)}: none of {len(banned)} sees the input",
                    kind="input-not-here",
                    hint="mount the input on the workers, or say where it is there with --map-input",
                    paths=self._plan.header.inputs,
                )
        options = {
            each: value for each, value in asdict(self._options).items() if each not in {"shard", "finish"}
        }  # a plain mapping: a worker of another version refuses what it does not know in words
        shard = (number, len(self._ranges))
        submitted: Future = client.submit(
            run_shard,
            self._plan.path,
            options,
            shard,
            allow_edited=self._allow_edited,
            pure=False,
            workers=workers,
            retries=0,
        )
        return submitted

    def _took_in(self, number: int, told: Told) -> bool:
        """Take in what a task said; return whether the shard is done. Raises what cannot be mended by another try."""
        if told.outcome is not None:
            del self._waiting[number]
            run = self._ranges[number - 1]
            size = sum(self._plan.header.blocks[index].count for index in run)
            self._progress.advance(size, told.outcome.bytes)
            self._copied += told.outcome.bytes
            self._resumed += told.outcome.resumed
            return True
        name, words = told.error or ("IncompleteError", {})
        kinds: dict[str, type[PlanbalanceError]] = {
            each.__name__: each for each in (UsageError, PlanError, InterruptedRunError)
        }
        words = dict(words)
        error = kinds.get(name, IncompleteError)(f"Shard {number}/{len(self._ranges)}: {words.pop('message')}", **words)
        waiting = self._waiting[number]
        if error.kind == "input-not-here":
            waiting.banned.add(told.worker)
            return False
        waiting.failures += 1
        if not isinstance(error, IncompleteError) or error.kind == "locked" or waiting.failures >= _TRIES:
            raise error
        return False

    def _failed(self, number: int, error: BaseException | None) -> None:
        """Count a task that raised: workers that died under it too often (KilledWorker), or a bug."""
        waiting = self._waiting[number]
        waiting.failures += 1
        if waiting.failures >= _TRIES:
            raise IncompleteError(
                f"Shard {number}/{len(self._ranges)} failed {waiting.failures} times on the workers: "
                f"{type(error).__name__}: {error}",
                kind="shard-failed",
                hint="is the same planbalance installed on the workers, and is there memory? "
                "Run the same command again: what shards have built is kept",
            )

    def _finish(self) -> Outcome:
        """Publish; a shard that an earlier client left behind on a worker ends first."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return engine.apply_plan(self._plan, replace(self._options, finish=True), self._progress)
            except IncompleteError as error:
                if error.kind != "locked" or time.monotonic() > until:
                    raise
            time.sleep(_PAUSE)


@contextmanager
def _cluster(scheduler: str | None) -> Iterator[str]:
    """Yield a scheduler's address: the one given, or of a cluster on this machine that lives as long as the build."""
    if scheduler is not None:
        yield scheduler
        return
    from distributed import LocalCluster

    settings = {"dashboard_address": None, "host": "127.0.0.1", "silence_logs": logging.CRITICAL}
    with LocalCluster(threads_per_worker=1, **settings) as cluster:
        yield cluster.scheduler_address


@contextmanager
def _client(address: str) -> Iterator["Client"]:
    from distributed import Client

    client = Client(address, timeout=_CONNECT, set_as_default=False)
    try:
        with client.as_current():
            yield client
    finally:
        with suppress(Exception):  # a scheduler that is gone cannot be said goodbye to
            client.close(timeout=_CONNECT)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's reports of lost connections off the terminal: what matters is said by the outcome."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado.application")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
