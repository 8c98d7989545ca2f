"""Worker processes: the same tree as without them, and whatever dies, the right exit code and a resume.

They are forked only by a process without other threads, so each test runs in a forked child, which has one thread.
"""

import os
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from planbalance.engine import ApplyOptions, apply_plan
from planbalance.engine.job import make_job
from planbalance.engine.placer import SharedFlags
from planbalance.engine.placer_pool import PlacerPool
from planbalance.errors import IncompleteError, InterruptedRunError, PlanbalanceError, PlanError
from planbalance.executor import autoscaler, processes
from planbalance.executor.autoscaler import Limits
from planbalance.model import Outcome, Silent
from planbalance.planfile import BlockFacts
from planbalance.planstore import PlanFile
from tests.builders import tree_content, tree_state, yolo_tree
from tests.engine.plans import saved_plan
from tests.faults import faulty
from tests.running import After, make_batches_small
from tests.systems import needs_processes

VOLUMES = {f"{number:02d}-v": "+._-" * 3 for number in range(9)}
MODES = ("copy", "hardlink", "symlink")
Act = Callable[[], object]

# The child has one thread only, so forking again is safe there; no thread of this process is in an apply.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")


class Scene:
    """A source, its plan, and the tree that a run without worker processes makes of it."""

    def __init__(self, root: Path, mode: str = "copy", layout: str = "keep") -> None:
        self.root, self.mode = root, mode
        self.source = yolo_tree(root / "in", VOLUMES)
        self.output = root / "out" / "set"
        self.output.parent.mkdir()
        saved_plan([self.source], self.output, root / "plan.json", layout=layout)
        self.before = tree_state(self.source)
        self.apply(jobs=1)
        self.expected = tree_content(self.output)
        self.output.rename(root / "alone")

    def apply(self, *, jobs: int = 2, progress: Silent | None = None) -> Outcome:
        options = ApplyOptions(mode=self.mode, jobs=jobs)  # type: ignore[arg-type]  # parametrized
        return apply_plan(PlanFile.open(str(self.root / "plan.json")), options, progress)

    def check_resumed(self) -> None:
        assert not self.output.exists()
        self.apply(jobs=1)
        assert tree_content(self.output) == self.expected
        assert [path.name for path in self.output.parent.iterdir()] == ["set"]
        assert tree_state(self.source) == self.before


def start(act: Act) -> tuple[int, int]:
    """Run an apply in a forked child that has two cores and forks for any plan; return its pid and a pipe's end."""
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    os.close(read)
    try:
        # However busy the machine is, no file system is far.
        autoscaler.LIMITS = Limits(cores=2, worth_forking=0, worth_reading=1, far_seconds=1e9)
        make_batches_small(pytest.MonkeyPatch())
        os.write(write, pickle.dumps(_said(act)))
    finally:
        os._exit(0)


def _said(act: Act) -> object:
    try:
        return act()
    except PlanbalanceError as error:
        return error
    except BaseException as error:  # told to the test
        return repr(error)


def end(child: int, read: int) -> object:
    """Return what the apply returned or raised; None where it was killed."""
    with open(read, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(said) if said else None


def play(act: Act) -> object:
    return end(*start(act))


def workers_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@needs_processes
@pytest.mark.parametrize("layout", ["keep", "by-volume"])
@pytest.mark.parametrize("mode", MODES)
def test_two_processes_build_the_tree_that_one_builds(tmp_path: Path, mode: str, layout: str) -> None:
    scene = Scene(tmp_path, mode, layout)

    def act() -> Outcome:
        seen: list[int] = []
        outcome = scene.apply(progress=After(lambda: seen.extend(workers_of(os.getpid()))))
        assert len(seen) == 2
        assert workers_of(os.getpid()) == [], "the workers are gone"
        return outcome

    outcome = play(act)
    assert isinstance(outcome, Outcome), outcome
    assert outcome.published
    assert tree_content(scene.output) == scene.expected
    assert tree_state(scene.source) == scene.before


@needs_processes
@pytest.mark.parametrize("mode", MODES)
def test_a_worker_that_is_killed_ends_the_run_and_the_same_call_resumes(tmp_path: Path, mode: str) -> None:
    scene = Scene(tmp_path, mode)
    kill = After(lambda: os.kill(workers_of(os.getpid())[0], signal.SIGKILL))
    error = play(lambda: scene.apply(progress=kill))
    assert isinstance(error, IncompleteError), error
    assert (error.exit_code, error.kind) == (5, "worker-died")
    assert "signal 9" in error.message
    scene.check_resumed()


@needs_processes
def test_a_worker_that_is_killed_before_anything_is_written_leaves_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)

    def act() -> Outcome:
        real = PlacerPool.read_block_stats

        def killed_first(self: PlacerPool) -> Iterator[tuple[int, BlockFacts]]:
            for process in self._processes:
                os.kill(process._pid, signal.SIGKILL)
                with suppress(ConnectionError), open(process.fileno(), "rb", closefd=False) as answers:
                    answers.read()  # what it said before it died
            return real(self)

        PlacerPool.read_block_stats = killed_first  # type: ignore[method-assign]
        return scene.apply()

    error = play(act)
    assert isinstance(error, IncompleteError), error
    assert error.kind == "worker-died"
    assert list(scene.output.parent.iterdir()) == []


@needs_processes
@pytest.mark.parametrize("mode", MODES)
def test_no_worker_survives_its_parent_and_the_same_call_resumes(tmp_path: Path, mode: str) -> None:
    """Nobody may place names in a staging folder whose lock is free."""
    scene = Scene(tmp_path, mode)
    told = tmp_path / "workers"

    def wait() -> None:
        told.with_suffix(".new").write_text(" ".join(map(str, workers_of(os.getpid()))))
        told.with_suffix(".new").rename(told)
        time.sleep(60)

    child, read = start(lambda: scene.apply(progress=After(wait)))
    wait_until(told.exists)
    os.kill(child, signal.SIGKILL)
    assert end(child, read) is None
    workers = told.read_text().split()
    assert len(workers) == 2
    wait_until(lambda: not any(_lives(pid) for pid in workers))
    scene.check_resumed()


def _lives(pid: str) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_is_handled_by_the_parent(tmp_path: Path, number: int) -> None:
    """As a terminal and Slurm send it."""
    scene = Scene(tmp_path)

    def send() -> None:
        for pid in (*workers_of(os.getpid()), os.getpid()):
            os.kill(pid, number)

    error = play(lambda: scene.apply(progress=After(send)))
    assert isinstance(error, InterruptedRunError), error
    assert error.exit_code == 130
    scene.check_resumed()


def test_a_damaged_block_is_refused_in_the_same_words(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    plan = scene.root / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b'"positive":true', b'"positive":null', 1))
    with pytest.raises(PlanError) as alone:
        scene.apply(jobs=1)
    error = play(scene.apply)
    assert isinstance(error, PlanError), error
    assert (error.message, error.kind, error.hint) == (alone.value.message, alone.value.kind, alone.value.hint)
    assert list(scene.output.parent.iterdir()) == []


def test_a_stale_source_is_found_by_every_worker(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    changed = [scene.source / f"labels/train/IM1-{volume}.txt" for volume in VOLUMES]
    for path in changed:
        path.write_bytes(b"")
    error = play(scene.apply)
    assert isinstance(error, PlanError), error
    assert (error.kind, sorted(error.paths)) == ("plan-stale", sorted(map(str, changed)))


def test_a_call_that_fails_in_a_worker_names_the_file(tmp_path: Path) -> None:
    scene = Scene(tmp_path, "symlink")

    def act() -> Outcome:
        with faulty.calls(_fail_symlinks_to("IM1-04-v.png")):
            return scene.apply()

    error = play(act)
    assert isinstance(error, IncompleteError), error
    assert error.paths == (f"{scene.source}/images/train/IM1-04-v.png",)
    scene.check_resumed()


def _fail_symlinks_to(name: str) -> faulty.Act:
    def act(_count: int, call: str, real: Callable[..., object], args: tuple[object, ...], kwargs: object) -> object:
        if call == "symlink" and str(args[0]).endswith(name):
            raise OSError(5, "Input/output error")
        return real(*args, **kwargs)  # type: ignore[arg-type]  # passed through

    return act


@needs_processes
def test_where_no_process_can_be_forked_threads_do(tmp_path: Path) -> None:
    """A user's limit of processes, or no memory for one more."""
    scene = Scene(tmp_path)

    def act() -> Outcome:
        real, forked = os.fork, []

        def fork() -> int:
            forked.append(1)
            if len(forked) > 1:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            return real()

        os.fork = fork
        outcome = scene.apply()
        assert len(forked) == 2
        assert workers_of(os.getpid()) == []
        return outcome

    outcome = play(act)
    assert isinstance(outcome, Outcome), outcome
    assert tree_content(scene.output) == scene.expected


def test_no_process_is_forked_beside_other_threads() -> None:
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert processes.process_count(1_000_000, None, Limits(cores=8)) == 0
    finally:
        done.set()
        other.join()


@pytest.mark.parametrize(
    ("slices", "jobs", "cores", "expected"),
    [
        (1_000_000, None, 2, 2),
        (1_000_000, None, 64, 8),
        (1_000_000, 1, 8, 0),
        (1_000_000, 3, 2, 3),
        (1_000_000, 64, 2, 8),
        (100, None, 8, 0),
    ],
)
def test_as_many_processes_as_cores_where_there_is_enough_to_do(
    monkeypatch: pytest.MonkeyPatch, slices: int, jobs: int | None, cores: int, expected: int
) -> None:
    monkeypatch.setattr(processes, "may_fork", lambda: True)
    assert processes.process_count(slices, jobs, Limits(cores=cores)) == expected


def test_the_statistics_of_many_small_blocks_are_read_to_the_end(tmp_path: Path) -> None:
    """If all were asked for at once, the parent would wait for a worker that waits for its answers to be read."""
    volumes = {f"{number:04d}-v": "+" if number % 3 else "." for number in range(2_400)}
    plan = saved_plan([yolo_tree(tmp_path / "in", volumes)], tmp_path / "set", tmp_path / "p.json", layout="by-volume")

    def act() -> int:
        signal.alarm(100)  # as a failure, not as a test that hangs
        job = make_job(plan, ApplyOptions())
        workers = PlacerPool(job, SharedFlags(), 2)
        found = list(workers.read_block_stats())
        workers.close()
        assert len(found) == len(job.stats.sources())
        return len(found)

    assert play(act) == len(plan.header.blocks) > 2_000
