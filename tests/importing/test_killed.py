"""An import that is killed at any moment resumes: nothing journaled is rendered twice, and it is published once.

As one file, it is killed while slices are rendered, and while they get their places.
"""

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pytest

from planbalance import api, fs, lock_owner, raw_images
from planbalance.engine import ApplyOptions, apply_plan, rendering
from planbalance.engine.job import make_job
from planbalance.engine.journal import read_journal
from planbalance.engine.resume import confirm
from planbalance.engine.schedule import ranges_by_block
from planbalance.errors import PlanbalanceError
from planbalance.executor import autoscaler
from planbalance.importing import import_kind
from planbalance.modes import MODE_TABLE, Mode
from planbalance.planstore import ImportPlan
from tests.builders import tree_content, tree_state
from tests.conftest import Trials
from tests.faults import faulty, powerloss
from tests.importing.raw_study import Study, write_study
from tests.running import in_a_child

# Forking is safe here: no thread of this process is left after an apply, and the child has one thread only.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


@dataclass
class ImportScene:
    """A raw study, its plan, and what a build without a fault leaves beside its output, that included."""

    root: Path
    study: Study
    mode: Mode = "copy"
    again: int = 1  # workers that a resume has

    def __post_init__(self) -> None:
        planned = self.root / "out" / "set"
        planned.parent.mkdir()
        self.path = str(self.root / "import.json")
        api.import_dataset(output=str(planned), plan_file=self.path, options=self.study.request())
        self.output = planned.with_name(f"set{MODE_TABLE[self.mode].one_file}")
        self.before = tree_state(self.study.root)
        self.apply()
        self.expected = self.published()
        self.remove_output()

    def published(self) -> dict[str, object]:
        """Return all that is there but what a run leaves that was killed at its end: staging folder, own files."""
        staging = Path(fs.partial_path(str(self.output)))
        found = {path: each for path, each in tree_content(self.output.parent).items() if "planbalance" not in path}
        return {**found, "of": sorted(path.name for path in self.output.parent.iterdir() if path != staging)}

    @cached_property
    def options(self) -> ApplyOptions:
        return ApplyOptions(mode=self.mode, jobs=1)

    @cached_property
    def rendered(self) -> Path:
        """Where each slice that is rendered is written down, by whichever process does it."""
        return self.root / "rendered"

    def apply(self, jobs: int | None = None) -> None:
        plan = ImportPlan.open(self.path)
        apply_plan(plan, replace(self.options, jobs=jobs or self.options.jobs), kind=import_kind(plan))

    def calls(self) -> int:
        with faulty.calls(faulty.only_count) as counter:
            self.apply()
        self.remove_output()
        return len(counter.seen)

    def is_killed(self, act: faulty.Act) -> bool:
        def work() -> None:
            with faulty.calls(act):
                self.apply()

        return os.WIFSIGNALED(os.waitpid(in_a_child(work), 0)[1])

    def check_after_fault(self) -> None:
        """The sources are untouched; the output is absent or whole, and only the staging folder may be beside it."""
        assert tree_state(self.study.root) == self.before
        staging = Path(fs.partial_path(str(self.output)))
        beside = {self.output.name, f"{self.output.name}.sha256", staging.name}
        assert {path.name for path in self.output.parent.iterdir()} <= beside
        if self.output.exists():
            assert self.published() == self.expected

    def check_resumed(self) -> None:
        """The same command again ends in the same output, and renders no slice that an earlier run has journaled."""
        journaled = self.journaled()
        before = self.counts()
        if not self.output.exists():
            self.apply(jobs=self.again)
        again = self.counts() - before
        assert not journaled & set(again), "a slice was rendered again that was journaled"
        assert self.published() == self.expected
        assert tree_state(self.study.root) == self.before
        self.remove_output()

    def journaled(self) -> set[str]:
        """Return the pixel sums of the slices that the journal lists and whose files exist."""
        path = Path(fs.partial_path(str(self.output)))
        one_file = bool(MODE_TABLE[self.mode].one_file)
        journal = path / ".planbalance" / (rendering._JOURNAL if one_file else fs.JOURNAL)
        if not journal.exists():
            return set()
        plan = ImportPlan.open(self.path)
        job = make_job(plan, self.options, import_kind(plan))
        summed = MODE_TABLE[self.mode].copies_images and not one_file
        records = read_journal(journal.read_bytes(), plan.header.blocks, job.node, with_sums=summed).records
        if one_file:
            done = ranges_by_block(part for record in records for part in record.ranges)
        else:
            tree = fs.Tree(str(path))
            done = confirm(job, self.options.mode, tree, records).done
            tree.close()
        return {
            operation.pixels
            for block, ranges in done.items()
            for start, stop in ranges
            for operation in plan.read_block(block)[start:stop]
            if operation.pixels
        }

    def counts(self) -> Counter[str]:
        return Counter(self.rendered.read_text().split()) if self.rendered.exists() else Counter()

    def remove_output(self) -> None:
        tree = fs.Tree(str(self.output.parent))
        fs.remove_below(tree.fd)
        tree.close()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("raw") / "study")


@pytest.fixture(params=["copy", "squashfs", "tar"])
def scene(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> ImportScene:
    found = ImportScene(tmp_path, study, request.param)
    digest = raw_images.pixel_digest

    def noted(width: int, height: int, pixels: bytes) -> str:
        sum_ = digest(width, height, pixels)
        with open(found.rendered, "a") as file:
            file.write(f"{sum_}\n")
        return sum_

    monkeypatch.setattr("planbalance.importing.placer.pixel_digest", noted)
    # small batches, as of a long build: each line of the journal is a moment between two of them
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.LIMITS._replace(cores=1, largest_batch=2))
    return found


def kill_at(scene: ImportScene, at: int, *, after: bool) -> bool:
    killed = scene.is_killed(faulty.kill(at, after=after))
    scene.check_after_fault()
    scene.check_resumed()
    return killed


def test_killed_at_a_sample_of_moments(scene: ImportScene) -> None:
    total = scene.calls()
    moments = sorted({*range(1, total, max(1, total // 12)), total - 9, total - 4, total})
    assert sum(kill_at(scene, at, after=bool(at % 2)) for at in moments) > len(moments) // 2


def test_killed_again_during_the_resume(scene: ImportScene) -> None:
    total = scene.calls()
    for first, second in ((total // 2, total // 3), (total * 3 // 4, total // 4)):
        assert scene.is_killed(faulty.kill(first, after=True))
        scene.check_after_fault()
        scene.is_killed(faulty.kill(second, after=True))
        scene.check_after_fault()
        scene.check_resumed()


@pytest.mark.parametrize("mode", ["copy", "squashfs"])
def test_killed_with_its_processes_at_work(study: Study, tmp_path: Path, mode: Mode) -> None:
    """The process that reads the journal is killed; its workers end with it, and the next run renders the rest."""
    scene, draw = ImportScene(tmp_path, study, mode), random.Random(7)
    scene.options = ApplyOptions(mode=mode, jobs=2)
    killed = 0
    for _ in range(12):
        child = in_a_child(scene.apply)
        time.sleep(draw.random() * 0.5)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        scene.check_after_fault()
        if scene.output.exists():
            scene.remove_output()
    scene.check_resumed()
    assert killed


one_file = pytest.mark.parametrize("scene", ["squashfs", "tar"], indirect=True)  # of a folder, `tests/faults` does it


def lose_power(scene: ImportScene, patch: pytest.MonkeyPatch, draw: random.Random, *, step: int, most: int) -> int:
    """Lose the power at every `step`-th moment of a build, and go on from what the disk may have kept; count these."""
    out, boot = scene.output.parent, [0]
    patch.setattr(lock_owner, "boot_id", lambda: f"boot-{boot[0]}")
    patch.setattr("planbalance.engine.journal.SYNC_SECONDS", -1.0)  # a sync follows every batch
    scene.options = replace(scene.options, durability="safe")
    log = powerloss.record(out, scene.apply)
    tried: set[int] = set()
    for at in range(draw.randrange(step), len(log.ops) + 1, step):
        for state in powerloss.crash_states(log, at, draw, most):
            key = hash(tuple(sorted(state.items())))
            if key in tried:
                continue
            tried.add(key)
            scene.remove_output()
            powerloss.materialise(state, out)
            boot[0] += 1
            if not scene.output.exists():
                scene.apply()
            assert scene.published() == scene.expected
    return len(tried)


@one_file
def test_power_is_lost_at_a_sample_of_moments(scene: ImportScene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lose_power(scene, monkeypatch, random.Random(4), step=12, most=3) > 20


@one_file
@pytest.mark.torture(row=4)
@pytest.mark.timeout(3600)
def test_power_is_lost_at_any_moment(scene: ImportScene, monkeypatch: pytest.MonkeyPatch, trials: Trials) -> None:
    trials.count(lose_power(scene, monkeypatch, trials.draw, step=1, most=6))


def fail_at(scene: ImportScene, at: int, number: int, *, for_good: bool) -> None:
    """A call fails: the build ends well, or in a refusal, and the next one ends well."""
    with faulty.calls(faulty.fail(at, number, for_good=for_good)), suppress(PlanbalanceError):
        scene.apply()
    scene.check_after_fault()
    scene.check_resumed()


def test_a_sample_of_failing_calls(scene: ImportScene) -> None:
    total = scene.calls()
    for place, at in enumerate(range(1, total, max(1, total // 25))):
        fail_at(scene, at, faulty.ERRNOS[place % len(faulty.ERRNOS)], for_good=bool(place % 2))


@pytest.mark.torture(row=2)
@pytest.mark.timeout(3600)
def test_five_hundred_failing_calls(scene: ImportScene, trials: Trials) -> None:
    total = scene.calls()
    for _ in range(500):
        scene.again = trials.draw.choice((1, 1, 1, 2, 5))
        number, at = trials.draw.choice(faulty.ERRNOS), trials.draw.randint(1, total)
        fail_at(scene, at, number, for_good=trials.draw.random() < 0.5)
        trials.count(True)


@pytest.mark.torture(row=1)
@pytest.mark.timeout(3600)
def test_killed_at_a_thousand_moments(scene: ImportScene, trials: Trials) -> None:
    """Each resume works with another number of workers."""
    total, killed = scene.calls(), 0
    while killed < 1_000:
        scene.again = trials.draw.choice((1, 1, 1, 2, 5))
        done = kill_at(scene, trials.draw.randint(1, total), after=trials.draw.random() < 0.5)
        killed += done
        trials.count(done)
