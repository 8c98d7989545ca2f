"""Shards as tasks of a Dask cluster: this machine's own, or one that runs already (dask-jobqueue users have one).

A shard is idempotent, so whatever is lost (a worker, the scheduler, this client) is simply run again; the client alone
puts together, once, after all shards are done.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from planbalance import audit, engine
from planbalance.audit import VerifyOptions
from planbalance.engine import ApplyOptions
from planbalance.engine.staging import pinned_shards
from planbalance.errors import IncompleteError, InputError, InterruptedRunError, PlanbalanceError, PlanError, UsageError
from planbalance.model import Audit, Block, Outcome, Progress, Silent
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
_ERRORS: Final[Mapping[str, type[PlanbalanceError]]] = {
    each.__name__: each for each in (UsageError, InputError, PlanError, IncompleteError, InterruptedRunError)
}


# ---- on a worker --------------------------------------------------------------------------------------------------


class ShardOutcome(NamedTuple):
    """What a task says about its shard: plain values, for exceptions of ours do not travel.

    Attributes:
        error: its class, and the arguments of that; None where the shard is done.
        value: what came out.
        worker: the address of the worker that ran it.
    """

    error: tuple[str, dict[str, Any]] | None
    value: Any
    worker: str


def run_task(work: Callable[..., Any], shard: tuple[int, int], *words: object) -> ShardOutcome:
    """Do the work of one shard: the task."""
    from distributed import get_worker

    worker = get_worker().address
    try:
        return ShardOutcome(None, work(Shard(*shard), *words), worker)
    except PlanbalanceError as error:
        more = {"kind": error.kind, "hint": error.hint, "paths": error.paths}
        return ShardOutcome((type(error).__name__, {"message": error.message, **more}), None, worker)
    except Exception as error:  # one that the client cannot unpickle would leave it waiting for ever
        more = {"kind": "shard-failed", "hint": "is the same planbalance installed on the workers?", "paths": ()}
        return ShardOutcome(("IncompleteError", {"message": f"{type(error).__name__}: {error}", **more}), None, worker)


def build_shard(shard: Shard, plan_path: str, options: Mapping[str, Any], allow_edited: bool) -> Outcome:  # noqa: FBT001 - positions travel
    """Build one shard of a plan."""
    plan = PlanFile.open(plan_path, allow_edited=allow_edited)
    return engine.apply_plan(plan, ApplyOptions(**options, shard=shard), Silent())


def judge_shard(shard: Shard, dataset: str, options: Mapping[str, Any]) -> bytes:
    """Judge one shard of a dataset."""
    chosen = VerifyOptions(**options)
    return audit.judge_shard(audit.subject_of(dataset, chosen), chosen, shard, Silent())


# ---- the client ---------------------------------------------------------------------------------------------------


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
    began = time.monotonic()
    _refuse(plan, options)
    # A plain mapping: a worker of another version refuses what it does not know, in words.
    plain = {name: value for name, value in asdict(options).items() if name not in {"shard", "finish"}}
    work = Work("apply", plan.header.blocks, build_shard, (plan.path, plain, allow_edited), lambda done: done.bytes)
    outcomes: dict[int, Outcome] = Crew(work, scheduler, progress, pinned=lambda: pinned_shards(plan, options)).run()
    outcome = _finished(plan, options, progress)
    return outcome._replace(
        bytes=sum(each.bytes for each in outcomes.values()),
        resumed=sum(each.resumed for each in outcomes.values()),
        seconds=time.monotonic() - began,
    )


def verify_on_dask(dataset: str | None, options: VerifyOptions, *, scheduler: str | None, progress: Progress) -> Audit:
    """Audit a dataset by shards on a Dask cluster; nothing is written anywhere.

    Raises InputError, PlanError, UsageError as `audit.verify` does, IncompleteError, InterruptedRunError.
    """
    _import()
    subject = audit.subject_of(dataset, options)
    plain = {name: getattr(options, name) for name in ("plan", "quick", "near_duplicates", "volume_pattern", "jobs")}
    work = Work("verify", subject.header.blocks, judge_shard, (subject.root, plain), lambda _: 0)
    crew = Crew(work, scheduler, progress, pinned=lambda: 0)
    parts: dict[int, bytes] = crew.run()
    packed = [(Shard(number, crew.total), part) for number, part in sorted(parts.items())]
    return audit.finish_from(dataset, options, packed, progress)


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
    _import()


def _import() -> None:
    try:
        import distributed  # noqa: F401 - is it there?
    except ImportError:
        raise UsageError(
            "--executor dask needs the extra [dask], which is not installed",
            kind="extra-missing",
            hint="python -m pip install 'planbalance[dask]'",
        ) from None


def _finished(plan: PlanFile, options: ApplyOptions, progress: Progress) -> Outcome:
    """Publish; a shard that an earlier client left behind on a worker ends first."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return engine.apply_plan(plan, replace(options, finish=True), progress)
        except IncompleteError as error:
            if error.kind != "locked" or time.monotonic() > until:
                raise
        time.sleep(_PAUSE)


class Work(NamedTuple):
    """What is shared out.

    Attributes:
        name: of the stage, for the bar.
        blocks: the plan's.
        task: called on a worker with a shard and `words`.
        words: the same for every shard.
        size: of what a task gave: bytes to report.
    """

    name: str
    blocks: tuple[Block, ...]
    task: Callable[..., Any]
    words: tuple[object, ...]
    size: Callable[[Any], int]


@dataclass(slots=True)
class _Waiting:
    """A shard that is not done yet: how often it failed, and the workers that cannot run it."""

    failures: int = 0
    banned: set[str] = field(default_factory=set)


class Crew:
    """Runs every shard of some work until all are done.

    Args:
        work: what.
        scheduler: the address of a running one; None starts a cluster on this machine.
        progress: where to report to.
        pinned: asked once for a number of shards that is settled already; 0 where none is.

    Attributes:
        total: into how many shards the work is cut.
    """

    def __init__(self, work: Work, scheduler: str | None, progress: Progress, *, pinned: Callable[[], int]) -> None:
        self.total = 0
        self._work = work
        self._scheduler = scheduler
        self._progress = progress
        self._pinned = pinned
        self._ranges: list[range] = []
        self._waiting: dict[int, _Waiting] = {}
        self._values: dict[int, Any] = {}

    def run(self) -> dict[int, Any]:
        """Return what each shard's task gave. Raises what a shard raises, and InterruptedRunError."""
        slices = sum(block.count for block in self._work.blocks)
        try:
            with _quiet(), _cluster(self._scheduler) as address:
                self._progress.begin(self._work.name, slices, "slices")
                try:
                    self._run_shards(address)
                finally:
                    self._progress.end()
        except KeyboardInterrupt:
            raise InterruptedRunError(
                "Interrupted; nothing was published" if self._work.name == "apply" else "Interrupted",
                kind="interrupted",
                hint="run the same command again",
            ) from None
        return self._values

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
        wished = max(_FEWEST_SHARDS, _SHARDS_A_WORKER * len(client.nthreads()))
        self.total = self._pinned() or max(1, min(len(self._work.blocks), wished))
        self._ranges = cut(self._work.blocks, self.total)
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
                    f"No worker can run shard {number}/{self.total}: {len(banned)} tried, and none sees the input",
                    kind="input-not-here",
                    hint="mount the input on the workers, or say where it is there with --map-input",
                )
        shard = (number, self.total)
        words = (self._work.task, shard, *self._work.words)
        submitted: Future = client.submit(run_task, *words, pure=False, workers=workers, retries=0)
        return submitted

    def _took_in(self, number: int, told: ShardOutcome) -> bool:
        """Take in what a task said; return whether the shard is done. Raises what cannot be mended by another try."""
        if told.error is None:
            del self._waiting[number]
            self._values[number] = told.value
            size = sum(self._work.blocks[index].count for index in self._ranges[number - 1])
            self._progress.advance(size, self._work.size(told.value))
            return True
        name, words = told.error[0], dict(told.error[1])
        error = _ERRORS.get(name, IncompleteError)(f"Shard {number}/{self.total}: {words.pop('message')}", **words)
        waiting = self._waiting[number]
        if error.kind == "input-not-here":
            waiting.banned.add(told.worker)
            return False
        waiting.failures += 1
        if not isinstance(error, IncompleteError) or error.kind == "locked" or waiting.failures >= _TRIES:
            raise error
        return False

    def _failed(self, number: int, error: BaseException | None) -> None:
        """Count a task that raised: workers that died under it too often (KilledWorker), or did not know it."""
        waiting = self._waiting[number]
        waiting.failures += 1
        if waiting.failures >= _TRIES:
            raise IncompleteError(
                f"Shard {number}/{self.total} failed {waiting.failures} times on the workers: "
                f"{type(error).__name__}: {error}",
                kind="shard-failed",
                hint="is the same planbalance installed on the workers, and is there memory? "
                "Run the same command again: what shards have built is kept",
            )


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
