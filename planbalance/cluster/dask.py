"""Shards as tasks of a Dask cluster: this machine's own, or one that runs already (dask-jobqueue users have one).

A shard is idempotent, so a shard that is lost with its worker, with the scheduler or with this client is run again.
Only the client finishes: it publishes the dataset, or joins the results, once all shards are done.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from planbalance import audit, engine
from planbalance.audit import VerifyOptions
from planbalance.engine import ApplyOptions
from planbalance.engine.staging import pinned_shards
from planbalance.errors import IncompleteError, InterruptedRunError, PlanbalanceError, UsageError
from planbalance.model import Audit, Block, Outcome, Progress, Silent
from planbalance.modes import MODE_TABLE
from planbalance.planstore import PlanFile
from planbalance.shards import Shard, cut

if TYPE_CHECKING:
    from distributed import Client, Future

_SHARDS_A_WORKER: Final = 4  # so that a slow worker does not hold up the end
_FEWEST_SHARDS: Final = 16
_TRIES: Final = 3  # of a shard that fails for another reason than a lost worker
_GIVE_UP_SECONDS: Final = 600.0  # without a scheduler, or while a shard of an earlier client still runs
_CONNECT_SECONDS: Final = 10
_PAUSE: Final = 1.0
_ERRORS: Final[Mapping[str, type[PlanbalanceError]]] = {
    each.__name__: each for each in PlanbalanceError.__subclasses__()
}


# ---- on a worker --------------------------------------------------------------------------------------------------


class ShardOutcome(NamedTuple):
    """What a task returns: plain values, since the exceptions of planbalance cannot be pickled.

    Attributes:
        error: the name of the exception's class and its arguments; None where the shard is done.
        value: what the work returned.
        worker: the address of the worker that ran it.
    """

    error: tuple[str, dict[str, Any]] | None
    value: Any
    worker: str


def run_task(work: Callable[..., Any], shard: tuple[int, int], *arguments: object) -> ShardOutcome:
    """Do the work of one shard: what a Dask task calls."""
    from distributed import get_worker

    worker = get_worker().address
    try:
        return ShardOutcome(None, work(Shard(*shard), *arguments), worker)
    except PlanbalanceError as error:
        more = {"kind": error.kind, "hint": error.hint, "paths": error.paths}
        return ShardOutcome((type(error).__name__, {"message": error.message, **more}), None, worker)
    except Exception as error:  # the client would wait for ever for one that it cannot unpickle
        more = {"kind": "shard-failed", "hint": "is the same planbalance installed on the workers?", "paths": ()}
        return ShardOutcome(("IncompleteError", {"message": f"{type(error).__name__}: {error}", **more}), None, worker)


def build_shard(shard: Shard, plan_path: str, options: Mapping[str, Any], allow_edited: bool) -> Outcome:  # noqa: FBT001 - sent by position
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
    # A plain mapping: a worker of another version refuses an option that it does not know, with a message.
    plain = {name: value for name, value in asdict(options).items() if name not in {"shard", "finish"}}
    one_file = bool(MODE_TABLE[options.mode].one_file)
    arguments = (plan.path, plain, allow_edited)
    work = Work("apply", plan.header.blocks, build_shard, arguments, lambda done: done.bytes, run_all=one_file)
    runner = ShardRunner(work, scheduler, progress, pinned=lambda: pinned_shards(plan, options))
    outcomes: dict[int, Outcome] = runner.run()
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
    runner = ShardRunner(work, scheduler, progress, pinned=lambda: 0)
    parts: dict[int, bytes] = runner.run()
    packed = [(Shard(number, runner.total), part) for number, part in sorted(parts.items())]
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
        import distributed  # noqa: F401 - whether it is installed
    except ImportError:
        raise UsageError(
            "--executor dask needs the extra [dask], which is not installed",
            kind="extra-missing",
            hint="python -m pip install 'planbalance[dask]'",
        ) from None


def _finished(plan: PlanFile, options: ApplyOptions, progress: Progress) -> Outcome:
    """Publish; wait where a shard of an earlier client still runs on a worker."""
    until = time.monotonic() + _GIVE_UP_SECONDS
    while True:
        try:
            return engine.apply_plan(plan, replace(options, finish=True), progress)
        except IncompleteError as error:
            if error.kind != "locked" or time.monotonic() > until:
                raise
        time.sleep(_PAUSE)


class Work(NamedTuple):
    """Work that is divided into shards.

    Attributes:
        name: of the stage, for the progress bar.
        blocks: the plan's.
        task: called on a worker with a shard and `arguments`.
        arguments: the same for every shard.
        size: bytes to report for the value that a task returned.
        run_all: as for `PendingShards`.
    """

    name: str
    blocks: tuple[Block, ...]
    task: Callable[..., Any]
    arguments: tuple[object, ...]
    size: Callable[[Any], int]
    run_all: bool = False


@dataclass(slots=True)
class _Attempts:
    """How often a shard failed, and the addresses of the workers that cannot run it."""

    failures: int = 0
    excluded: set[str] = field(default_factory=set)


class PendingShards:
    """The shards that are not done yet, and what happened when they were tried. It makes no call to Dask.

    Args:
        ranges: the blocks of each shard; a shard without a block is done from the beginning.
        run_all: whether a shard may have slices all the same, as of one file, which is cut within blocks.
    """

    def __init__(self, ranges: Sequence[range], *, run_all: bool = False) -> None:
        self.total = len(ranges)
        self._attempts = {number: _Attempts() for number, blocks in enumerate(ranges, start=1) if blocks or run_all}

    @property
    def numbers(self) -> list[int]:
        """The numbers of the shards that are not done, from 1."""
        return list(self._attempts)

    def add_outcome(self, number: int, outcome: ShardOutcome) -> bool:
        """Note what a shard's task returned; return whether the shard is done.

        Raises the shard's error where another try cannot help, or where there were enough tries.
        """
        if outcome.error is None:
            del self._attempts[number]
            return True
        name, arguments = outcome.error[0], dict(outcome.error[1])
        message = f"Shard {number}/{self.total}: {arguments.pop('message')}"
        error = _ERRORS.get(name, IncompleteError)(message, **arguments)
        attempts = self._attempts[number]
        if error.kind == "input-not-here":
            attempts.excluded.add(outcome.worker)
            return False
        attempts.failures += 1
        if not isinstance(error, IncompleteError) or error.kind == "locked" or attempts.failures >= _TRIES:
            raise error
        return False

    def add_failure(self, number: int, error: BaseException | None) -> None:
        """Note that Dask reports a task as failed: too many of its workers died (KilledWorker), or one lacks the code.

        Raises IncompleteError after enough tries.
        """
        attempts = self._attempts[number]
        attempts.failures += 1
        if attempts.failures >= _TRIES:
            raise IncompleteError(
                f"Shard {number}/{self.total} failed {attempts.failures} times on the workers: "
                f"{type(error).__name__}: {error}",
                kind="shard-failed",
                hint="is the same planbalance installed on the workers, and is there memory? "
                "Run the same command again: what shards have built is kept",
            )

    def workers_for(self, number: int, addresses: Iterable[str]) -> list[str] | None:
        """Return which of the workers may run a shard; None for all. Raises IncompleteError where none may."""
        excluded = self._attempts[number].excluded
        if not excluded:
            return None
        workers = [address for address in addresses if address not in excluded]
        if not workers:
            raise IncompleteError(
                f"No worker can run shard {number}/{self.total}: {len(excluded)} tried, and none sees the input",
                kind="input-not-here",
                hint="mount the input on the workers, or say where it is there with --map-input",
            )
        return workers


class ShardRunner:
    """Runs all shards of some work on a Dask cluster, and runs again what is lost, until all are done.

    Args:
        work: what to run.
        scheduler: the address of a running one; None starts a cluster on this machine.
        progress: where to report to.
        pinned: called once; returns the number of shards that an earlier run has fixed, 0 where none has.

    Attributes:
        total: the number of shards; 0 until it is decided.
    """

    def __init__(self, work: Work, scheduler: str | None, progress: Progress, *, pinned: Callable[[], int]) -> None:
        self.total = 0
        self._work = work
        self._scheduler = scheduler
        self._progress = progress
        self._pinned = pinned
        self._ranges: list[range] = []
        self._pending = PendingShards(())
        self._values: dict[int, Any] = {}

    def run(self) -> dict[int, Any]:
        """Return the value of each shard's task. Raises what a shard raises, and InterruptedRunError."""
        slices = sum(block.count for block in self._work.blocks)
        try:
            with _silent_dask_logs(), _cluster(self._scheduler) as address:
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
        """Connect and run what is not done; connect again where the connection is lost."""
        connected_at = time.monotonic()
        while True:
            try:
                with _client(address) as client:
                    self._cut(client)
                    connected_at = time.monotonic()
                    self._run_pending(client)
            except (OSError, RuntimeError) as error:  # CommClosedError is an OSError; a closed client the other one
                if time.monotonic() - connected_at > _GIVE_UP_SECONDS:
                    raise IncompleteError(
                        f"The Dask scheduler at {address} does not answer: {error}",
                        kind="scheduler-lost",
                        hint="start it again and run the same command: what shards have built is kept",
                    ) from None
            if self._ranges and not self._pending.numbers:
                return
            time.sleep(_PAUSE)

    def _cut(self, client: "Client") -> None:
        """Decide once how many shards there are: as many as an earlier run has fixed, else by the number of workers."""
        if self._ranges:
            return
        client.wait_for_workers(1)
        wanted = max(_FEWEST_SHARDS, _SHARDS_A_WORKER * len(client.nthreads()))
        self.total = self._pinned() or max(1, min(len(self._work.blocks), wanted))
        self._ranges = cut(self._work.blocks, self.total)
        self._pending = PendingShards(self._ranges, run_all=self._work.run_all)

    def _run_pending(self, client: "Client") -> None:
        """Submit all shards that are not done; handle results until none is left, or until the scheduler is lost."""
        from distributed import as_completed

        futures = {self._submit(client, number): number for number in self._pending.numbers}
        coming = as_completed(futures)
        for future in coming:
            number = futures.pop(future)
            if future.status == "finished":
                outcome: ShardOutcome = future.result()
                if self._pending.add_outcome(number, outcome):
                    self._keep(number, outcome.value)
                    continue
            elif future.status == "error":
                self._pending.add_failure(number, future.exception())
            else:  # cancelled or lost with its scheduler
                return
            again = self._submit(client, number)
            futures[again] = number
            coming.add(again)

    def _submit(self, client: "Client", number: int) -> "Future":
        workers = self._pending.workers_for(number, client.nthreads())
        arguments = (self._work.task, (number, self.total), *self._work.arguments)
        submitted: Future = client.submit(run_task, *arguments, pure=False, workers=workers, retries=0)
        return submitted

    def _keep(self, number: int, value: Any) -> None:  # noqa: ANN401 - what the work's task returns
        self._values[number] = value
        count = sum(self._work.blocks[index].count for index in self._ranges[number - 1])
        self._progress.advance(count, self._work.size(value))


@contextmanager
def _cluster(scheduler: str | None) -> Iterator[str]:
    """Yield a scheduler's address: the given one, or that of a cluster which runs on this machine until the end."""
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

    client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    try:
        with client.as_current():
            yield client
    finally:
        with suppress(Exception):  # the scheduler may be gone
            client.close(timeout=_CONNECT_SECONDS)


@contextmanager
def _silent_dask_logs() -> Iterator[None]:
    """Keep Dask's log messages about lost connections off the terminal: the outcome says what matters."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado.application")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
