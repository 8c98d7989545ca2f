"""Power loss under `--durability safe`: whatever the disk kept, the same apply again ends in an equal tree."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from planbalance import lock_owner
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import IncompleteError, InterruptedRunError, PlanError
from planbalance.model import Silent
from tests.builders import tree_state, yolo_tree
from tests.conftest import Trials
from tests.engine.plans import saved_plan
from tests.faults import faulty, powerloss
from tests.faults.scene import ALL, PACKED, VOLUMES, Scene
from tests.running import make_batches_small, stop_after


class Machine:
    """A scene on a machine that loses its power."""

    def __init__(self, root: Path, mode: str, patch: pytest.MonkeyPatch) -> None:
        self.scene = Scene(root)
        self._patch = patch
        self.options = ApplyOptions(mode=mode, jobs=1, durability="safe")  # type: ignore[arg-type]  # parametrized
        self.out = self.scene.output.parent
        self.boot = 0
        self.tried: set[int] = set()
        self.whole = self.scene.undisturbed(self.options)
        patch.setattr(lock_owner, "boot_id", lambda: f"boot-{self.boot}")

    def apply(self, progress: Silent | None = None) -> None:
        apply_plan(self.scene.plan(), self.options, progress)

    def sync_often(self, often: bool) -> None:
        """Let a sync follow every batch, or none."""
        self._patch.setattr("planbalance.engine.journal.SYNC_SECONDS", -1.0 if often else 1e9)

    def record(self, work: Callable[[], object], *, fail_sync: int = 0) -> powerloss.Log:
        return powerloss.record(self.out, work, fail_sync=fail_sync)

    def publishes(self, op: powerloss.Op) -> bool:
        """Tell whether this step gives the output its name."""
        return isinstance(op, powerloss.Names) and any(
            change[1] == self.scene.output_of(self.options).name and change[0] == powerloss.ROOT
            for change in op.changes
        )

    def crash(self, state: powerloss.State) -> bool:
        """Put a state on disk and boot; return False where it was tried before."""
        key = hash(tuple(sorted(state.items())))
        if key in self.tried:
            return False
        self.tried.add(key)
        self.scene.remove_output()
        powerloss.materialise(state, self.out)
        self.boot += 1
        return True

    def other_build(self) -> None:
        """Leave a partial build of another plan, with files that this plan does not have."""
        scene = self.scene
        source = yolo_tree(scene.root / "other", {"09-x": "+.", **VOLUMES})
        plan = saved_plan([source], scene.output, scene.root / "other.json")
        with pytest.raises(InterruptedRunError):
            apply_plan(plan, self.options, stop_after(4))

    def check_whole(self) -> None:
        assert self.scene.content(self.options) == self.whole

    def recover(self) -> None:
        """The output is absent or whole, and the same apply again ends in an equal tree with nothing beside it."""
        if self.scene.is_there(self.options):
            self.check_whole()
            with pytest.raises(PlanError, match="already built"):
                self.apply()
        else:
            with faulty.calls(_no_sync):
                self.apply()
            self.check_whole()
        names = {path.name for path in self.out.iterdir()}
        if self.options.mode in PACKED:  # a staging folder that holds nothing of worth any more
            names -= {f".{self.scene.output_of(self.options).name}.planbalance-partial"}
        assert names == self.scene.undisturbed_names(self.options)


def _no_sync(
    _: int, name: str, real: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]
) -> object:
    """The states are on a real disk already: that disk need not be synced for us."""
    return None if name in ("fsync", "syncfs") else real(*args, **kwargs)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of two slices, each followed by a sync and its line in the journal."""
    make_batches_small(monkeypatch)
    monkeypatch.setattr("planbalance.engine.journal.SYNC_SECONDS", -1.0)


@dataclass(frozen=True)
class Effort:
    """How many states are tried: at every `step`-th moment of each log, `most` at a moment; `again` second losses."""

    seed: int
    step: int
    most: int
    again: int


QUICK = Effort(seed=4, step=12, most=3, again=2)


def lose_power(machine: Machine, log: powerloss.Log, effort: Effort, recover: Callable[[], None]) -> int:
    """Put state after state on disk and recover from it; return how many there were."""
    draw = random.Random(effort.seed)
    count = 0
    for at in range(draw.randrange(effort.step), len(log.ops) + 1, effort.step):
        for state in powerloss.crash_states(log, at, draw, effort.most):
            if machine.crash(state):
                recover()
                count += 1
    return count


def lose_once(machine: Machine, log: powerloss.Log, draw: random.Random) -> None:
    """Put a state on disk in which the build is under way; often one whose journal survived what it speaks of."""
    while True:
        at = draw.randint(len(log.ops) // 4, len(log.ops) - 4)
        states = list(powerloss.crash_states(log, at, draw, 100))
        likely = powerloss.only_kept(log, at, "journal")
        machine.tried.clear()  # a state may be a beginning and an end
        machine.crash(likely if draw.random() < 0.5 else draw.choice(states))
        if not machine.scene.is_there(machine.options):
            return


def interrupted(machine: Machine, slices: int) -> Callable[[], None]:
    def work() -> None:
        with suppress(InterruptedRunError):  # the signal may come too late to stop anything
            machine.apply(stop_after(slices))

    return work


# ---- the ways in which a machine can be lost ------------------------------------------------------------------------


def recover_or_restart(machine: Machine, options: ApplyOptions) -> None:
    """Recover, by `--restart` where an apply asks for it."""
    machine.options = options
    try:
        machine.recover()
    except PlanError as refusal:
        if refusal.kind not in ("partial-build-of-another-plan", "staging-damaged"):
            raise
        machine.options = replace(options, restart=True)
        machine.recover()


def during_a_build(machine: Machine, effort: Effort) -> int:
    return lose_power(machine, machine.record(machine.apply), effort, machine.recover)


def during_a_resume(machine: Machine, effort: Effort) -> int:
    """Power is lost, the machine resumes, and power is lost again; what the first boot claimed may be half redone."""
    draw = random.Random(effort.seed)
    count = 0
    for number in range(effort.again):
        machine.scene.remove_output()
        machine.sync_often(number % 2 == 1)
        first = machine.record(machine.apply)
        machine.sync_often(True)
        lose_once(machine, first, draw)
        second = machine.record(interrupted(machine, 4) if draw.random() < 0.5 else machine.apply)
        count += lose_power(machine, second, effort, machine.recover)
    return count


def after_an_interrupt(machine: Machine, effort: Effort) -> int:
    """What an orderly end has synced counts for another boot too."""
    return lose_power(machine, machine.record(interrupted(machine, 2)), effort, machine.recover)


def after_a_restart(machine: Machine, effort: Effort) -> int:
    """What --restart threw away may come back; it must not get into the new tree."""
    machine.other_build()
    plain = machine.options
    machine.options = replace(plain, restart=True)
    log = machine.record(machine.apply)

    return lose_power(machine, log, effort, lambda: recover_or_restart(machine, plain))


def after_a_failed_sync(machine: Machine, effort: Effort) -> int:
    """A sync fails: exit 5, and what it should have kept is not in a dataset that a second try calls safe."""
    count = 0
    syncs = sum(isinstance(op, powerloss.Sync) for op in machine.record(machine.apply).ops)
    for failing in range(1, syncs + 1):
        machine.scene.remove_output()

        def work() -> None:
            with pytest.raises((IncompleteError, PlanError)):
                machine.apply()
            with suppress(PlanError):  # "already built": the sync that failed was that of the output's own name
                machine.apply()

        log = machine.record(work, fail_sync=failing)
        few = replace(effort, seed=effort.seed + failing, step=4 * effort.step)  # there are many such runs
        count += lose_power(machine, log, few, machine.recover)
    return count


def before_a_fast_build_is_published(machine: Machine, effort: Effort) -> int:
    """Without `safe` a lost machine may cost all work, and --restart be asked for; a wrong tree is never made."""
    plain = machine.options = replace(machine.options, durability="fast")
    log = machine.record(machine.apply)
    published = next(at for at, op in enumerate(log.ops) if machine.publishes(op))
    log.ops = log.ops[:published]
    return lose_power(machine, log, effort, lambda: recover_or_restart(machine, plain))


WAYS = (
    before_a_fast_build_is_published,
    during_a_build,
    during_a_resume,
    after_an_interrupt,
    after_a_restart,
    after_a_failed_sync,
)
# How hard each way is tried in each mode: about 4,000 states together.
WHOLE = (
    (before_a_fast_build_is_published, Effort(seed=0, step=1, most=6, again=0)),
    (during_a_build, Effort(seed=0, step=1, most=20, again=0)),
    (during_a_resume, Effort(seed=0, step=6, most=4, again=30)),
    (after_an_interrupt, Effort(seed=0, step=1, most=12, again=0)),
    (after_a_restart, Effort(seed=0, step=1, most=20, again=0)),
    (after_a_failed_sync, Effort(seed=0, step=2, most=8, again=0)),
)


def tried(
    root: Path, patch: pytest.MonkeyPatch, mode: str, way: Callable[[Machine, Effort], int], effort: Effort
) -> int:
    machine = Machine(root, mode, patch)
    before = tree_state(machine.scene.source)
    count = way(machine, effort)
    assert tree_state(machine.scene.source) == before
    return count


@pytest.mark.parametrize("mode", ["copy", "squashfs"])
@pytest.mark.parametrize("way", WAYS)
def test_a_sample_of_states(
    in_memory: Path, monkeypatch: pytest.MonkeyPatch, often: None, way: Callable[[Machine, Effort], int], mode: str
) -> None:
    assert tried(in_memory, monkeypatch, mode, way, QUICK) >= 5


@pytest.mark.torture(row=4)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", ALL)
@pytest.mark.parametrize(("way", "effort"), WHOLE, ids=lambda value: getattr(value, "__name__", ""))
def test_many_states(
    in_memory: Path,
    monkeypatch: pytest.MonkeyPatch,
    often: None,
    trials: Trials,
    way: Callable[[Machine, Effort], int],
    effort: Effort,
    mode: str,
) -> None:
    trials.count(tried(in_memory, monkeypatch, mode, way, replace(effort, seed=trials.seed)))
