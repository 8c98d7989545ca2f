"""What shards promise on disks that work: the tree of one apply, whatever the order, and every refusal in words."""

import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planbalance import fs
from planbalance.clean import find_partial, remove_partial
from planbalance.dataset_files import OWN_FOLDER
from planbalance.engine import ApplyOptions, apply_plan, job, shard, staging
from planbalance.errors import IncompleteError, PlanbalanceError, PlanError, UsageError
from planbalance.lock_owner import Node
from planbalance.planstore import PlanFile
from planbalance.shards import Shard, cut
from tests.shards.scene import Scene

MODES = ("copy", "hardlink", "symlink")


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def refused(kind: type[PlanbalanceError], work: Callable[[], object]) -> PlanbalanceError:
    with pytest.raises(kind) as caught:
        work()
    return caught.value


# ---- the tree -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["by-volume", "keep"])
@pytest.mark.parametrize(("mode", "labels"), [*((mode, "copy") for mode in MODES), ("hardlink", "same")])
def test_shards_in_any_order_and_their_finish_make_the_tree_of_one_apply(
    tmp_path: Path, layout: str, mode: Any, labels: Any
) -> None:
    scene, options = Scene(tmp_path, layout=layout), ApplyOptions(mode=mode, labels=labels)
    expected = scene.reference(options)
    outcomes = [scene.shard(number, 3, options) for number in (3, 1, 2)]
    assert [outcome.published for outcome in outcomes] == [False] * 3
    assert not scene.output.exists()
    assert scene.finish(options).published
    scene.check(expected)
    assert sum(outcome.files for outcome in outcomes) == 2 * sum(block.count for block in scene.plan.header.blocks)


def test_more_shards_than_folders_leaves_some_without_work(scene: Scene) -> None:
    expected = scene.reference(ApplyOptions())
    assert min({scene.shard(number, 40).files for number in range(40, 0, -1)}) == 0
    assert scene.finish().published
    scene.check(expected)


def test_one_shard_of_one_is_finished_like_any(scene: Scene) -> None:
    expected = scene.reference(ApplyOptions())
    assert not scene.shard(1, 1).published
    scene.finish()
    scene.check(expected)


def test_a_done_shard_is_not_done_again(scene: Scene) -> None:
    first = scene.shard(2, 3)
    before = {path: path.stat().st_ino for path in scene.staging.rglob("*.png")}
    again = scene.shard(2, 3)
    assert (again.published, again.resumed * 2, again.bytes) == (False, first.files, 0)
    assert {path: path.stat().st_ino for path in scene.staging.rglob("*.png")} == before
    assert len(list(scene.own().glob("journal-2-*"))) == 1


def test_a_shard_reads_its_own_blocks_of_the_plan_and_no_other(scene: Scene) -> None:
    body = scene.path.read_bytes().partition(b"\n")[2]
    read: list[tuple[int, int]] = []

    def noted(offset: int, size: int) -> bytes:
        read.append((offset, size))
        return body[offset : offset + size]

    plan = PlanFile(str(scene.path), scene.plan.header, noted)
    apply_plan(plan, ApplyOptions(shard=Shard(2, 3)))
    own = [plan.header.blocks[index] for index in cut(plan.header.blocks, 3)[1]]
    assert set(read) == {(block.offset, block.bytes) for block in own}


def test_a_damaged_block_is_refused_by_its_own_shard_and_by_the_finish(scene: Scene) -> None:
    blocks = scene.plan.header.blocks
    first = cut(blocks, 3)[0]
    data = bytearray(scene.path.read_bytes())
    at = len(data) - len(b"\n]}\n") - sum(block.bytes for block in blocks) + blocks[first.start].offset
    place = data.index(b'"image_size":', at) + len(b'"image_size":')
    data[place] = ord("9") if data[place] != ord("9") else ord("8")
    scene.path.write_bytes(data)
    for number in (2, 3):
        scene.shard(number, 3)
    assert refused(PlanError, lambda: scene.shard(1, 3)).kind == "plan-damaged"
    assert refused(PlanError, scene.finish).kind == "plan-damaged"
    assert not scene.output.exists()


# ---- too early ------------------------------------------------------------------------------------------------------


def test_finish_before_any_shard_says_so_and_makes_nothing(scene: Scene) -> None:
    error = refused(IncompleteError, scene.finish)
    assert (error.exit_code, error.kind) == (5, "shards-missing")
    assert "--shard 1/8" in error.hint
    assert not list(scene.parent.iterdir())


def test_finish_too_early_names_the_missing_shards_and_prints_their_commands(scene: Scene) -> None:
    scene.shard(2, 4, mode="symlink")
    error = refused(IncompleteError, lambda: scene.finish(mode="symlink"))
    assert "3 of 4 shards (1,3-4) are not done" in error.message
    commands = [line for line in error.hint.splitlines() if line.startswith("planbalance apply")]
    assert [command.split()[-1] for command in commands] == ["1/4", "3/4", "4/4"]
    assert all(f"apply {scene.path} --mode symlink --shard" in command for command in commands)
    assert not scene.output.exists()
    for number in (1, 3, 4):
        scene.shard(number, 4, mode="symlink")
    assert scene.finish(mode="symlink").published


def test_a_file_that_vanished_is_found_by_the_finish_and_made_by_its_shard(scene: Scene) -> None:
    expected = scene.reference(ApplyOptions())
    for number in (1, 2):
        scene.shard(number, 2)
    victim = min((scene.staging / "labels/val").rglob("*.txt"))
    victim.unlink()
    error = refused(IncompleteError, scene.finish)
    assert f"complete by the journal, but {socket.gethostname()} does not see 1 slice:" in error.message
    number = int(error.hint.rpartition("--shard ")[2].partition("/")[0])
    assert scene.shard(number, 2).resumed > 0
    scene.finish()
    scene.check(expected)


# ---- what cannot change during a build -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("work", "pinned"),
    [
        (lambda scene: scene.shard(1, 4), "--shard 1/3"),
        (lambda scene: scene.shard(4, 4), "--shard 3/3"),
        (lambda scene: scene.shard(1, 3, mode="symlink"), "--shard 1/3"),
        (lambda scene: scene.finish(mode="symlink"), "--finish"),
        (lambda scene: apply_plan(scene.plan, ApplyOptions()), "--finish"),
    ],
    ids=["other-count", "other-count-high", "other-mode", "finish-other-mode", "plain"],
)
def test_another_count_or_mode_is_exit_2_with_the_pinned_command(
    scene: Scene, work: Callable[[Scene], object], pinned: str
) -> None:
    scene.shard(2, 3)
    error = refused(UsageError, lambda: work(scene))
    assert (error.exit_code, error.kind) == (2, "pinned-options")
    assert f"planbalance apply {scene.path} {pinned} " in error.hint


def test_a_build_begun_without_shards_takes_none(scene: Scene) -> None:
    apply_and_lose(scene)
    for work in (lambda: scene.shard(1, 2), scene.finish):
        error = refused(UsageError, work)
        assert f"planbalance apply {scene.path}   (or" in error.hint


def apply_and_lose(scene: Scene) -> None:
    """Leave a partial build behind, as a full disk does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fs, "move_folder", lambda *_, **__: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(IncompleteError):
            apply_plan(scene.plan, ApplyOptions())


@pytest.mark.parametrize(
    "options",
    [{"shard": Shard(1, 2), "finish": True}, {"shard": Shard(1, 2), "restart": True}, {"finish": True, "restart": True},
     {"finish": True, "dry_run": True}],
    ids=str,
)  # fmt: skip
def test_options_that_contradict_each_other(scene: Scene, options: dict[str, Any]) -> None:
    assert refused(UsageError, lambda: apply_plan(scene.plan, ApplyOptions(**options))).kind == "shard"


def test_a_dry_run_of_a_shard_writes_nothing(scene: Scene) -> None:
    assert not scene.shard(1, 2, dry_run=True).published
    assert not list(scene.parent.iterdir())


# ---- side by side ---------------------------------------------------------------------------------------------------


def side_by_side(*works: Callable[[], object]) -> list[object]:
    """Run them at once in threads; return what each gave or raised."""
    results: list[object] = [None] * len(works)

    def run(at: int) -> None:
        try:
            results[at] = works[at]()
        except PlanbalanceError as error:
            results[at] = error

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize("mode", MODES)
def test_running_all_shards_twice_at_once_is_safe(scene: Scene, mode: Any) -> None:
    options = ApplyOptions(mode=mode, jobs=2)
    expected = scene.reference(options)
    works = [lambda number=number: scene.shard(number, 3, options) for number in (1, 2, 3, 1, 2, 3)]
    assert all(getattr(result, "published", None) is False for result in side_by_side(*works))
    scene.finish(options)
    scene.check(expected)


def test_one_of_two_finishes_publishes(scene: Scene) -> None:
    for number in (1, 2):
        scene.shard(number, 2)
    results = side_by_side(scene.finish, scene.finish, scene.finish)
    published = [result for result in results if getattr(result, "published", False)]
    errors = [result for result in results if isinstance(result, PlanbalanceError)]
    assert (len(published), len(errors)) == (1, 2)
    assert {error.kind for error in errors} <= {"locked", "already-built", "shards-missing"}


def test_while_a_shard_runs_publish_restart_and_clean_are_refused(scene: Scene) -> None:
    scene.shard(1, 2)
    folder = os.open(scene.own(), os.O_RDONLY)
    lock = fs.Lock(folder, b'{"host":"n1","pid":7,"slurm_job":"42","shard":"2/2"}', shared=True)
    try:
        assert refused(IncompleteError, scene.finish).kind == "shards-missing"
        assert not scene.shard(2, 2).published  # a shard beside it is welcome
        for work in (scene.finish, lambda: apply_plan(scene.plan, ApplyOptions(restart=True))):
            error = refused(IncompleteError, work)
            assert (error.kind, error.exit_code) == ("locked", 5)
            assert "shard 2/2, process 7 on n1 (Slurm job 42)" in error.message
        partial = find_partial(str(scene.parent))[0]
        assert partial.holder is not None
        assert refused(IncompleteError, lambda: remove_partial(partial)).kind == "locked"
    finally:
        lock.release()
        os.close(folder)
    assert scene.finish().published


def test_clean_removes_what_dead_shards_left(scene: Scene) -> None:
    scene.shard(1, 2)
    os.utime(next(scene.own().glob("journal-1-*")), (time.time() - 7200, time.time() - 7200))
    assert 7000 < find_partial(str(scene.parent))[0].age < 9000
    remove_partial(find_partial(str(scene.parent))[0])
    assert not list(scene.parent.iterdir())


def test_temporary_files_of_an_interrupted_shard_are_removed(scene: Scene) -> None:
    expected = scene.reference(ApplyOptions())
    for number in (1, 2):
        scene.shard(number, 2)
    folder = next(path.parent for path in scene.staging.rglob("*.png"))
    (folder / f"{fs.TEMPORARY}0123-4").write_bytes(b"half")
    scene.finish()
    scene.check(expected)


# ---- many nodes -----------------------------------------------------------------------------------------------------


class Nodes:
    """Lets one process play several nodes, each with a boot and a name of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = "n0"
        monkeypatch.setattr(job, "this_node", lambda: Node(self.now, f"boot of {self.now}"))


def test_every_shard_on_a_node_of_its_own(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scene.reference(ApplyOptions())
    nodes = Nodes(monkeypatch)
    for number in (1, 2, 3):
        nodes.now = f"n{number}"
        scene.shard(number, 3)
    nodes.now = "login"
    scene.finish()
    scene.check(expected)


def test_what_a_lost_node_did_not_sync_is_done_again_elsewhere(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scene.reference(ApplyOptions())
    nodes = Nodes(monkeypatch)
    nodes.now = "n1"
    with monkeypatch.context() as patch:  # the node dies between its last file and the sync
        patch.setattr("planbalance.engine.journal.JournalFile.checkpoint", lambda *_: _raise(OSError(5, "lost")))
        refused(IncompleteError, lambda: scene.shard(1, 2))
    nodes.now = "n2"
    scene.shard(2, 2)
    assert "Shard 1 of 2 is not done" in refused(IncompleteError, scene.finish).message
    assert scene.shard(1, 2).resumed == 0
    scene.finish()
    scene.check(expected)


def _raise(error: Exception) -> None:
    raise error


def test_a_node_without_access_to_the_input_says_so(scene: Scene) -> None:
    hidden = scene.source.rename(scene.root / "not mounted")
    error = refused(IncompleteError, lambda: scene.shard(1, 2))
    assert (error.kind, error.exit_code) == ("input-not-here", 5)
    assert f"does not see the input {scene.source}" in error.message
    assert not list(scene.parent.iterdir())
    hidden.rename(scene.source)
    assert not scene.shard(1, 2).published


def test_a_header_that_another_node_wrote_and_this_one_sees_late(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Close-to-open caching: the name exists when we write it, and is not there yet when we read or list it."""
    scene.shard(1, 2)
    real, unseen = staging.read_header, iter([True, True, True])
    monkeypatch.setattr(staging, "read_header", lambda tree: None if next(unseen, False) else real(tree))
    assert not scene.shard(2, 2).published
    real_list = fs.list_folder
    own_only = {OWN_FOLDER, fs.LOCK}  # what this node has made itself
    monkeypatch.setattr(fs, "list_folder", lambda fd: {n: kind for n, kind in real_list(fd).items() if n in own_only})
    monkeypatch.setattr(staging, "read_header", lambda _: None)
    monkeypatch.setattr(staging, "SEEN_SECONDS", 0.0)
    error = refused(IncompleteError, lambda: scene.shard(2, 2))
    assert (error.kind, error.exit_code) == ("seen-late", 5)


def test_a_header_written_between_two_looks_of_another_shard(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    real, looks = staging.read_header, iter([True])

    def nothing_yet(tree: fs.Tree) -> Any:
        if next(looks, False):
            monkeypatch.setattr(staging, "read_header", real)
            scene.shard(1, 2)  # begins and builds right between our look for a header and our look for files
            return None
        return real(tree)

    monkeypatch.setattr(staging, "read_header", nothing_yet)
    assert not scene.shard(2, 2).published
    assert scene.finish().published


def test_names_that_another_node_wrote_and_this_one_sees_late(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scene.reference(ApplyOptions())
    nodes = Nodes(monkeypatch)
    for number in (1, 2):
        nodes.now = f"n{number}"
        scene.shard(number, 2)
    hidden = next(scene.staging.rglob("*.png"))
    hidden.rename(scene.root / "late")

    async def appears(_: float) -> None:
        if not hidden.exists():
            (scene.root / "late").rename(hidden)

    monkeypatch.setattr("planbalance.engine.finish.anyio.sleep", appears)
    scene.finish()
    scene.check(expected)


def test_nodes_whose_clocks_differ_make_the_same_tree(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scene.reference(ApplyOptions())
    real = time.time
    for number, off in ((1, 86_400.0), (2, -1e8), (3, 0.0)):
        monkeypatch.setattr(time, "time", lambda off=off: real() + off)
        scene.shard(number, 3)
        for path in scene.own().iterdir():  # as a server with another clock dates what that node writes
            os.utime(path, (real() + off, real() + off))
    scene.finish()
    scene.check(expected)


def test_versions_that_cut_alike_are_named_in_a_warning(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, version in ((1, "0.1.0"), (2, "0.2.0")):
        monkeypatch.setattr(shard, "tool_version", lambda version=version: version)
        scene.shard(number, 2)
    assert any("several versions of planbalance (0.1.0, 0.2.0)" in warning for warning in scene.finish().warnings)


def test_versions_that_cut_differently_are_refused(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.shard(1, 2)
    monkeypatch.setattr(staging, "RULE", 2)
    for work in (lambda: scene.shard(2, 2), scene.finish):
        error = refused(UsageError, work)
        assert (error.kind, error.exit_code) == ("mixed-versions", 2)


def test_a_journal_of_another_count_of_shards_does_not_count(scene: Scene) -> None:
    scene.shard(1, 2)
    scene.shard(2, 2)
    journal = next(scene.own().glob("journal-1-*"))
    data = journal.read_bytes()
    assert b'"shard":[1,2]' in data.partition(b"\n")[0]
    journal.write_bytes(data.replace(b"\t", b"x\t", 1))  # its first line is damaged
    assert "Shard 1 of 2" in refused(IncompleteError, scene.finish).message
