"""What an apply promises on a disk that works: the tree, its times and modes, and every refusal."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from planbalance import fs, lock_owner
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import IncompleteError, InterruptedRunError, PlanbalanceError, PlanError, UsageError
from planbalance.executor import autoscaler
from planbalance.planstore import PlanFile
from tests.builders import image_bytes, tree_content, tree_state, write, yolo_tree
from tests.engine.plans import saved_plan, sealed_plan
from tests.faults import faulty
from tests.running import Hold, make_batches_small, stop_after

VOLUMES = {"01-a": ".+_", "02-b": "..-+", "03-c": "+.", "04-d": "....."}
MODES = ("copy", "hardlink", "symlink")


class Scene:
    """A source, its plan, and where the output goes."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        self.source = yolo_tree(root / "in", VOLUMES)
        self.parent = root / "out"
        self.parent.mkdir()
        self.output = self.parent / "set"
        self.plan = saved_plan([self.source], self.output, root / "plan.json", **options)
        self.staging = Path(fs.partial_path(str(self.output)))

    def beside(self) -> list[str]:
        return sorted(path.name for path in self.parent.iterdir())


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def apply(scene: Scene, **options: Any) -> Any:
    return apply_plan(scene.plan, ApplyOptions(**options))


def refused(kind: type[PlanbalanceError], scene: Scene, **options: Any) -> PlanbalanceError:
    with pytest.raises(kind) as caught:
        apply(scene, **options)
    return caught.value


# ---- the tree -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["keep", "by-volume"])
@pytest.mark.parametrize("mode", MODES)
def test_every_slice_stands_where_the_plan_sends_it(tmp_path: Path, mode: str, layout: str) -> None:
    scene = Scene(tmp_path, layout=layout)
    before = tree_state(scene.source)
    outcome = apply(scene, mode=mode)
    below = {"keep": "", "by-volume": "01-a/"}[layout]
    image = scene.output / f"images/train/{below}IM2-01-a.png"
    assert image.read_bytes() == image_bytes("01-a/2")
    assert (scene.output / f"labels/train/{below}IM2-01-a.txt").read_bytes() == b"0 0.5 0.5 0.1 0.2\n"
    assert (scene.output / f"labels/train/{below}IM3-01-a.txt").read_bytes() == b" \n\t\n"
    assert (
        len(list((scene.output / "images").rglob("*.png"))) == 14 == len(list((scene.output / "labels").rglob("*.txt")))
    )
    source = scene.source / "images/train/IM2-01-a.png"
    assert (os.path.samefile(image, source), image.is_symlink()) == {
        "copy": (False, False),
        "hardlink": (True, False),
        "symlink": (True, True),
    }[mode]
    assert tree_state(scene.source) == before
    assert scene.beside() == ["set"]
    assert sorted(os.listdir(scene.output / ".planbalance")) == ["plan.json", "receipt.json"]
    outside = [p for p in scene.output.rglob("*") if not p.is_dir() and ".planbalance" not in p.parts]
    assert (outcome.published, outcome.resumed, outcome.files) == (True, 0, len(outside))


def test_a_symlink_says_the_planned_absolute_path(scene: Scene) -> None:
    apply(scene, mode="symlink")
    assert os.readlink(scene.output / "images/train/IM1-01-a.png") == f"{scene.source}/images/train/IM1-01-a.png"


@pytest.mark.parametrize("mode", ["hardlink", "symlink"])
def test_labels_placed_as_the_images_but_missing_ones_made(scene: Scene, mode: str) -> None:
    apply(scene, mode=mode, labels="same")
    label = scene.output / "labels/train/IM2-01-a.txt"
    assert os.path.samefile(label, scene.source / "labels/train/IM2-01-a.txt")
    assert label.is_symlink() == (mode == "symlink")
    made = scene.output / "labels/val/IM3-02-b.txt"
    assert (made.is_symlink(), made.read_bytes(), made.stat().st_nlink) == (False, b"", 1)


def test_a_hard_link_is_to_the_final_file_of_a_linked_source(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", VOLUMES)
    image = source / "images/train/IM1-01-a.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    apply_plan(saved_plan([source], tmp_path / "set", tmp_path / "plan.json"), ApplyOptions(mode="hardlink"))
    made = tmp_path / "set/images/train/IM1-01-a.png"
    assert not made.is_symlink()
    assert os.path.samefile(made, tmp_path / "elsewhere.png")


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink"])
def test_copied_labels_keep_the_time_in_every_mode(scene: Scene, mode: str) -> None:
    full, empty = "labels/train/IM2-01-a.txt", "labels/train/IM1-01-a.txt"
    for path, time in ((full, 1_500_000_000_000_000_001), (empty, 1_400_000_000_000_000_002)):
        os.utime(scene.source / path, ns=(time, time))
    apply(scene, mode=mode)
    assert (scene.output / full).stat().st_mtime_ns == 1_500_000_000_000_000_001
    assert (scene.output / empty).stat().st_mtime_ns == 1_400_000_000_000_000_002


def test_copies_keep_the_time_and_take_the_umask(scene: Scene) -> None:
    image, label = scene.source / "images/train/IM1-01-a.png", scene.source / "labels/train/IM2-01-a.txt"
    for path, time in ((image, 1_600_000_000_123_456_789), (label, 1_500_000_000_000_000_001)):
        os.utime(path, ns=(time, time))
        path.chmod(0o600)
    scene.plan = saved_plan([scene.source], scene.output, scene.root / "plan.json")
    scene.parent.chmod(0o2775)
    old = os.umask(0o002)
    try:
        apply(scene)
    finally:
        os.umask(old)
    made = (scene.output / "images/train/IM1-01-a.png").stat()
    assert (made.st_mtime_ns, made.st_mode & 0o7777) == (1_600_000_000_123_456_789, 0o664)
    assert (scene.output / "labels/train/IM2-01-a.txt").stat().st_mtime_ns == 1_500_000_000_000_000_001
    assert (scene.output / "labels/val/IM3-02-b.txt").stat().st_mode & 0o7777 == 0o664
    for folder in (
        scene.output,
        scene.output / "images/train",
        scene.output / "labels/val",
        scene.output / ".planbalance",
    ):
        assert folder.stat().st_mode & 0o7777 == 0o2775, folder


def test_the_manifest_satisfies_sha256sum_also_for_a_backslash(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", VOLUMES | {"09\\x": "+"})
    plan = saved_plan([source], tmp_path / "set", tmp_path / "plan.json")
    apply_plan(plan, ApplyOptions(jobs=2))
    lines = (tmp_path / "set/manifest-sha256.txt").read_bytes().splitlines()
    said = subprocess.run(
        ["sha256sum", "--strict", "-c", "manifest-sha256.txt"], cwd=tmp_path / "set", capture_output=True, check=False
    )
    assert said.returncode == 0, said.stderr
    assert len(lines) == 2 * 15 + 1 + (tmp_path / "set/hyps").exists()
    names = [line.split(b"  ", 1)[1].replace(b"\\\\", b"\\") for line in lines]
    assert names == sorted(names)


@pytest.mark.parametrize("options", [{"mode": "hardlink"}, {"mode": "symlink"}, {"checksum": "none"}], ids=str)
def test_no_manifest_without_sums(scene: Scene, options: dict[str, Any]) -> None:
    apply(scene, **options)
    assert not (scene.output / "manifest-sha256.txt").exists()


def test_plan_and_receipt_lie_in_the_output(scene: Scene) -> None:
    apply(scene, mode="symlink")
    assert (scene.output / ".planbalance/plan.json").read_bytes() == (scene.root / "plan.json").read_bytes()
    receipt = orjson.loads((scene.output / ".planbalance/receipt.json").read_bytes())
    assert (
        receipt.items()
        >= {
            "schema": "planbalance/receipt/1",
            "digest": scene.plan.header.digest,
            "mode": "symlink",
            "labels": "copy",
            "checksum": "sha256",
            "fallback": "none",
            "durability": "fast",
            "output": str(scene.output),
        }.items()
    )


def test_two_builds_of_one_plan_are_equal_but_for_where_they_stand(scene: Scene) -> None:
    apply(scene, jobs=4)
    apply(scene, jobs=1, output=str(scene.parent / "again"))
    first, again = tree_content(scene.output), tree_content(scene.parent / "again")
    assert {p for p in first if first[p] != again.get(p)} == {"dataset.yaml"}
    assert first.keys() == again.keys()


def test_an_empty_folder_may_be_there_already(scene: Scene) -> None:
    scene.output.mkdir()
    assert apply(scene).published
    assert scene.beside() == ["set"]


def test_parents_of_the_output_are_made(scene: Scene) -> None:
    assert apply(scene, output=str(scene.parent / "folds/fold1")).published
    assert scene.beside() == ["folds"]


def test_safe_durability_syncs_data_before_the_name_appears(scene: Scene) -> None:
    order: list[str] = []
    libc, real_move = fs._libc, fs.move_folder

    def move(old: str, new: str, *, onto_empty: bool) -> None:
        order.append("publish")
        real_move(old, new, onto_empty=onto_empty)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fs, "_libc", _Noting(libc, order))  # the C library: no argument carries it
        patch.setattr(fs, "move_folder", move)
        patch.setattr(fs, "sync_folder", lambda path: order.append(f"sync {os.path.basename(path)}"))
        apply(scene, durability="safe")
    assert order[-4:] == ["syncfs", "publish", "rename_new", "sync out"]


class _Noting:
    def __init__(self, real: Any, order: list[str]) -> None:
        self._real, self._order = real, order

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any) -> Any:
            self._order.append(name)
            return getattr(self._real, name)(*args)

        return call


# ---- refusals -------------------------------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing_and_finds_what_is_stale(scene: Scene) -> None:
    before = tree_state(scene.root)
    outcome = apply(scene, dry_run=True)
    assert not outcome.published
    assert tree_state(scene.root) == before
    (scene.source / "labels/train/IM1-01-a.txt").write_bytes(b"0 0.1 0.1 0.1 0.1\n")
    assert refused(PlanError, scene, dry_run=True).kind == "plan-stale"
    assert scene.beside() == []


@pytest.mark.parametrize("mode", [*MODES, "list"])
@pytest.mark.parametrize("gone", ["the root", "every image"])
def test_an_input_that_is_gone_as_a_whole_is_named_with_the_way_to_say_where_it_is(
    scene: Scene, mode: Any, gone: str
) -> None:
    moved = scene.root / "elsewhere"
    if gone == "the root":
        scene.source.rename(moved)
    else:
        shutil.copytree(scene.source, moved)
        shutil.rmtree(scene.source / "images")
    error = refused(PlanError, scene, mode=mode)
    assert (error.exit_code, error.kind, list(error.paths)) == (4, "plan-stale", [str(scene.source)])
    assert error.message.endswith(f"a whole input is gone, not one image of it is there: {scene.source}")
    assert "IM1-01-a" not in error.message, "no list of all the files"
    command = error.hint.partition("NEW: ")[2]
    assert f"--map-input {scene.source}=NEW" in command
    pairs = ((str(scene.source), str(moved)),)
    assert apply(scene, mode=mode, map_input=pairs, restart="--restart" in command).published


def test_of_several_inputs_the_one_that_is_gone_is_named(tmp_path: Path) -> None:
    there, moved = yolo_tree(tmp_path / "there", {"01-a": "+."}), yolo_tree(tmp_path / "moved", {"02-b": "+."})
    plan = saved_plan([there, moved], tmp_path / "set", tmp_path / "plan.json")
    shutil.rmtree(moved)
    with pytest.raises(PlanError) as caught:
        apply_plan(plan, ApplyOptions(map_input=((str(there), str(there)),)))
    assert list(caught.value.paths) == [str(moved)]
    assert f"--map-input {there}={there} --map-input {moved}=NEW" in caught.value.hint


def test_an_input_is_not_called_gone_while_one_of_its_images_is_there(scene: Scene) -> None:
    left, *others = sorted((scene.source / "images/train").iterdir())
    for image in others:
        image.unlink()
    error = refused(PlanError, scene)
    assert f"{len(others)} source files are not what was planned" in error.message
    assert str(left) not in error.paths


WAYS = [
    {"mode": "copy"},
    {"mode": "copy", "checksum": "none"},
    {"mode": "hardlink"},
    {"mode": "symlink", "labels": "same"},
    {"mode": "list"},
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(way.values()))
def test_a_dry_run_tells_the_files_and_bytes_of_the_run_after_it(scene: Scene, way: dict[str, Any]) -> None:
    told = apply(scene, dry_run=True, **way)
    done = apply(scene, **way)
    assert (told.files, told.bytes) == (done.files, done.bytes)
    there = [path for path in scene.output.rglob("*") if not path.is_dir() and ".planbalance" not in path.parts]
    assert told.files == len(there) > 0


def test_a_full_output_is_refused_and_kept(scene: Scene) -> None:
    write(scene.output / "precious.txt", b"1")
    error = refused(PlanError, scene)
    assert (error.exit_code, error.kind) == (4, "output-exists")
    assert tree_content(scene.output) == {"precious.txt": hashlib.sha256(b"1").hexdigest()}
    assert scene.beside() == ["set"]


@pytest.mark.parametrize("checksum", ["sha256", "none"])
def test_an_image_that_is_written_to_while_it_is_copied_is_stale(
    scene: Scene, checksum: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "SMALL", 0)
    image = scene.source / "images/train/IM1-01-a.png"
    real = fs.Copier.copy

    def copy(self: fs.Copier, source: int, *arguments: Any, **named: Any) -> int:
        if os.path.samestat(os.fstat(source), os.stat(image)):
            os.utime(image)
        return real(self, source, *arguments, **named)

    monkeypatch.setattr(fs.Copier, "copy", copy)
    with pytest.raises(PlanError, match="was modified while it was copied") as caught:
        apply(scene, checksum=checksum)
    assert caught.value.kind == "plan-stale"
    assert not scene.output.exists()


@pytest.mark.parametrize("kind", ["file", "link to a folder", "dangling link"])
def test_an_output_that_is_no_folder_is_refused(scene: Scene, kind: str) -> None:
    if kind == "file":
        scene.output.write_bytes(b"")
    else:
        scene.output.symlink_to(scene.root / ("in" if kind == "link to a folder" else "nowhere"))
    expected = UsageError if kind == "link to a folder" else PlanError
    refused(expected, scene)
    assert scene.beside() == ["set"]


def test_the_same_plan_again_says_already_built(scene: Scene) -> None:
    apply(scene)
    error = refused(PlanError, scene)
    assert (error.exit_code, error.kind) == (4, "already-built")
    assert "already built" in error.message
    assert error.hint == f"planbalance verify {scene.output}"


@pytest.mark.parametrize("where", ["in", "in/images/new", "."])
def test_an_output_on_in_or_around_an_input_is_wrong_usage(scene: Scene, where: str) -> None:
    error = refused(UsageError, scene, output=str(scene.root / where))
    assert (error.exit_code, error.kind) == (2, "output-overlaps-input")
    assert not (scene.root / "in/images/new").exists()


@pytest.mark.parametrize("where", ["way/new", "way/images/train/x"])
def test_a_link_does_not_hide_an_overlap(scene: Scene, where: str) -> None:
    (scene.root / "way").symlink_to(scene.source)
    assert refused(UsageError, scene, output=str(scene.root / where)).kind == "output-overlaps-input"


def test_an_image_folder_linked_elsewhere_counts_as_input(scene: Scene) -> None:
    shutil.move(scene.source / "images/train", scene.root / "far")
    (scene.source / "images/train").symlink_to(scene.root / "far")
    assert refused(UsageError, scene, output=str(scene.root / "far/set")).kind == "output-overlaps-input"


def test_a_parent_that_is_not_writable(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:  # root may write everywhere: ask a folder whose kernel says no
        error = refused(PlanError, scene, output="/proc/planbalance-set")
    else:
        scene.parent.chmod(0o555)
        error = refused(PlanError, scene)
        scene.parent.chmod(0o755)
    assert (error.exit_code, error.kind) == (4, "parent-not-writable")
    assert scene.beside() == []


@pytest.mark.parametrize(("free", "inodes", "kind"), [(1000, 10**6, "no-space"), (10**9, 20, "no-inodes")])
def test_no_room_is_said_before_anything_is_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, free: int, inodes: int, kind: str
) -> None:
    monkeypatch.setattr(fs, "room", lambda _path: fs.Room(free, inodes, 4096))
    error = refused(PlanError, scene)
    assert (error.exit_code, error.kind) == (4, kind)
    assert "an estimate" in error.message
    assert scene.beside() == []


def test_a_file_system_that_does_not_count_is_not_asked(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fs, "room", lambda _path: fs.Room(None, None, 4096))
    assert apply(scene).published


def test_reflink_is_refused_where_the_file_system_has_none_and_nothing_stays(scene: Scene) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fs, "clone", faulty.not_supported)
        assert refused(PlanError, scene, mode="reflink").kind == "mode-refused"
    assert scene.beside() == []


def cross_device(*_args: Any, **_kwargs: Any) -> None:
    raise OSError(18, "Invalid cross-device link")


def test_a_mode_that_the_file_system_refuses_is_exit_4_and_leaves_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fs, "hard_link", cross_device)
    error = refused(PlanError, scene, mode="hardlink")
    assert (error.exit_code, error.kind) == (4, "mode-refused")
    assert "different file systems" in error.message
    assert scene.beside() == []


def test_the_fallback_is_taken_only_where_asked_for_and_is_said(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(fs, "hard_link", cross_device)
        outcome = apply(scene, mode="hardlink", fallback="copy")
    assert outcome.mode == "copy"
    assert any("copied instead" in warning for warning in outcome.warnings)
    assert (scene.output / "images/train/IM1-01-a.png").stat().st_nlink == 1
    assert (scene.output / "manifest-sha256.txt").exists()
    other = apply(scene, mode="hardlink", fallback="copy", output=str(scene.parent / "works"))
    assert other.mode == "hardlink"


# ---- resume ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    make_batches_small(monkeypatch)


@pytest.fixture
def cut_off(scene: Scene, small_batches: None, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A build that stopped after its first batch, by a disk that failed once."""
    with monkeypatch.context() as patch:
        _fail_images(patch, scene, lambda name: name != "IM1-01-a.png")
        error = refused(IncompleteError, scene)
    assert error.exit_code == 5
    return scene


def _fail_images(patch: pytest.MonkeyPatch, scene: Scene, failing: Any) -> None:
    real = fs.write_new

    def write_new(name: str, *arguments: Any, **keywords: Any) -> None:
        if name.endswith(".png") and failing(name):
            raise OSError(5, "Input/output error")
        real(name, *arguments, **keywords)

    patch.setattr(fs, "write_new", write_new)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("mode", MODES)
def test_a_signal_finishes_running_batches_and_the_same_call_resumes(
    scene: Scene, small_batches: None, monkeypatch: pytest.MonkeyPatch, mode: str, number: int
) -> None:
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.LIMITS._replace(far_seconds=1e9))
    handler = signal.getsignal(number)
    with pytest.raises(InterruptedRunError) as caught:
        apply_plan(scene.plan, ApplyOptions(mode=mode), stop_after(4, number))  # type: ignore[arg-type]  # parametrized
    assert caught.value.exit_code == 130
    assert f"planbalance apply {scene.root}/plan.json" in caught.value.hint
    assert signal.getsignal(number) == handler
    assert scene.beside() == [".set.planbalance-partial"]
    outcome = apply(scene, mode=mode)
    assert 4 <= outcome.resumed < 14
    resumed = tree_content(scene.output)
    shutil.rmtree(scene.output)
    apply(scene, mode=mode)
    assert tree_content(scene.output) == resumed


def test_an_io_error_names_the_files_and_the_rest_goes_on(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        _fail_images(patch, scene, lambda name: name in ("IM1-01-a.png", "IM2-02-b.png"))
        error = refused(IncompleteError, scene)
    assert (error.exit_code, error.kind) == (5, "io-error")
    assert sorted(error.paths) == [f"{scene.source}/images/train/IM{name}.png" for name in ("1-01-a", "2-02-b")]
    assert apply(scene).resumed == 12


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EMLINK, "as many hard links as this file system allows"),
        (errno.EPERM, "fs.protected_hardlinks"),
        (errno.EXDEV, "different file systems"),
    ],
)
def test_a_hard_link_refused_in_the_middle_is_said_in_words_with_what_to_do(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    """The mode is pinned by then: another one needs --restart, and then works."""
    real = fs.hard_link

    def hard_link(source: str, source_fd: int, name: str, dir_fd: int) -> None:
        if name == "IM2-02-b.png":
            raise OSError(number, os.strerror(number))
        real(source, source_fd, name, dir_fd)

    monkeypatch.setattr(fs, "hard_link", hard_link)
    error = refused(IncompleteError, scene, mode="hardlink")
    assert (error.exit_code, error.paths) == (5, (f"{scene.source}/images/train/IM2-02-b.png",))
    assert said in error.message
    assert "--mode symlink or copy, with --restart" in error.hint
    assert apply(scene, mode="symlink", restart=True).published


def test_a_full_disk_stops_early(scene: Scene, small_batches: None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    real = fs.write_new

    def full(name: str, *arguments: Any, **keywords: Any) -> None:
        if not name.endswith(".png"):
            real(name, *arguments, **keywords)
            return
        seen.append(name)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fs, "write_new", full)
    error = refused(IncompleteError, scene, jobs=1)
    assert "no space" in error.message
    assert len(seen) == 2


def test_a_name_that_vanished_is_made_again_whatever_the_journal_says(cut_off: Scene) -> None:
    (cut_off.staging / "images/train/IM1-01-a.png").unlink()
    assert apply(cut_off).resumed == 0
    assert (cut_off.output / "images/train/IM1-01-a.png").read_bytes() == image_bytes("01-a/1")


def test_a_name_that_vanished_and_was_half_made_again_does_not_count(
    cut_off: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs have a line for it: the first had placed it, the second was interrupted while it placed it again."""
    image = cut_off.staging / "images/train/IM1-01-a.png"
    image.unlink()
    with monkeypatch.context() as patch:
        _fail_images(patch, cut_off, lambda _: True)
        refused(IncompleteError, cut_off)
    image.write_bytes(b"torn")
    assert apply(cut_off).resumed == 0
    assert (cut_off.output / "images/train/IM1-01-a.png").read_bytes() == image_bytes("01-a/1")


def test_what_the_journal_does_not_claim_is_made_again(cut_off: Scene) -> None:
    half = cut_off.staging / "images/train/IM2-01-a.png"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_bytes(b"torn")
    (cut_off.staging / ".planbalance/journal").unlink(missing_ok=True)
    write(cut_off.staging / ".planbalance/journal", b"")
    assert apply(cut_off).resumed == 0
    assert (cut_off.output / "images/train/IM2-01-a.png").read_bytes() == image_bytes("01-a/2")


def test_nothing_counts_after_a_reboot(cut_off: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = cut_off.staging / ".planbalance/journal"
    lines = [line for line in journal.read_bytes().splitlines(keepends=True) if not line.startswith(b'{"synced"')]
    journal.write_bytes(b"".join(lines))
    monkeypatch.setattr(lock_owner, "boot_id", lambda: "another-boot")
    assert apply(cut_off).resumed == 0


def test_what_an_orderly_end_has_synced_counts_for_other_boots_and_nodes(
    cut_off: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_owner, "boot_id", lambda: "another-boot")
    assert apply(cut_off).resumed == 1


def test_other_options_than_pinned_are_wrong_usage_and_name_the_command(cut_off: Scene) -> None:
    for options in ({"mode": "symlink"}, {"checksum": "none"}, {"durability": "safe"}, {"labels": "same"}):
        error = refused(UsageError, cut_off, **options)
        assert (error.exit_code, error.kind) == (2, "pinned-options")
        assert f"planbalance apply {cut_off.root}/plan.json" in error.hint
        assert "--mode" not in error.hint
    assert apply(cut_off, jobs=3).published


def test_another_plan_is_refused_until_restart(cut_off: Scene) -> None:
    (cut_off.source / "images/train/IM5-04-d.png").unlink()
    cut_off.plan = saved_plan([cut_off.source], cut_off.output, cut_off.root / "other.json")
    error = refused(PlanError, cut_off)
    assert error.exit_code == 4
    assert "--restart" in error.hint
    outcome = apply(cut_off, restart=True)
    assert outcome.resumed == 0
    assert not (cut_off.output / "images/train/IM5-04-d.png").exists()
    assert cut_off.beside() == ["set"]


def test_a_folder_that_we_did_not_make_is_not_taken_over(scene: Scene) -> None:
    write(scene.staging / "mine.txt", b"1")
    assert refused(PlanError, scene).kind == "staging-damaged"
    assert (scene.staging / "mine.txt").exists()


@pytest.mark.parametrize("header", [b"", b"{}", b'{"schema":"planbalance/staging/9"}', b"\xff"])
def test_a_damaged_header_is_refused_not_adopted(cut_off: Scene, header: bytes) -> None:
    (cut_off.staging / ".planbalance/staging.json").write_bytes(header)
    assert refused(PlanError, cut_off).kind == "staging-damaged"
    assert apply(cut_off, restart=True).published


def test_a_header_with_an_impossible_effective_mode_is_refused(cut_off: Scene) -> None:
    path = cut_off.staging / ".planbalance/staging.json"
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | {"way": "teleport"}))
    assert refused(PlanError, cut_off).kind == "staging-damaged"


def test_a_staging_folder_that_is_a_link_is_not_followed(scene: Scene) -> None:
    (scene.root / "elsewhere").mkdir()
    scene.staging.symlink_to(scene.root / "elsewhere")
    assert refused(PlanError, scene).exit_code == 4
    assert list((scene.root / "elsewhere").iterdir()) == []


def test_a_link_below_the_staging_folder_is_not_followed(cut_off: Scene) -> None:
    (cut_off.root / "elsewhere").mkdir()
    shutil.rmtree(cut_off.staging / "images")
    (cut_off.staging / "images").symlink_to(cut_off.root / "elsewhere")
    with pytest.raises(PlanbalanceError):
        apply(cut_off)
    assert list((cut_off.root / "elsewhere").iterdir()) == []
    assert apply(cut_off, restart=True).published
    assert list((cut_off.root / "elsewhere").iterdir()) == []


# ---- locks ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"restart": True}], ids=["apply", "--restart"])
def test_a_second_apply_is_refused_while_the_first_works(scene: Scene, options: dict[str, Any]) -> None:
    hold, result = Hold(), []
    first = threading.Thread(target=lambda: result.append(apply_plan(scene.plan, ApplyOptions(), hold)))
    first.start()
    assert hold.inside.wait(60)
    try:
        error = refused(IncompleteError, scene, **options)
        in_another_process = subprocess.run(
            [sys.executable, "-c", _SECOND, str(scene.root / "plan.json")],
            check=False,
        ).returncode
    finally:
        hold.go.set()
        first.join()
    assert (error.exit_code, error.kind) == (5, "locked")
    assert f"process {os.getpid()} of {lock_owner.user_name(os.geteuid())} on " in error.message
    assert in_another_process == 5
    assert result[0].published
    assert scene.beside() == ["set"]


_SECOND = """
import sys
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import PlanbalanceError
from planbalance.planstore import PlanFile
try:
    apply_plan(PlanFile.open(sys.argv[1]), ApplyOptions())
except PlanbalanceError as error:
    sys.exit(error.exit_code)
"""


def test_the_lock_names_the_slurm_job(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    hold = Hold()
    first = threading.Thread(target=lambda: apply_plan(scene.plan, ApplyOptions(), hold))
    first.start()
    assert hold.inside.wait(60)
    error = refused(IncompleteError, scene)
    hold.go.set()
    first.join()
    assert "(Slurm job 4711)" in error.message


# ---- another place --------------------------------------------------------------------------------------------------


def test_inputs_in_another_place_are_judged_by_size_and_label_content(scene: Scene) -> None:
    moved = scene.root / "scratch"
    shutil.copytree(scene.source, moved, copy_function=shutil.copyfile)
    shutil.rmtree(scene.source)
    pairs = ((str(scene.source), str(moved)),)
    outcome = apply(scene, mode="symlink", map_input=pairs)
    assert outcome.published
    assert os.readlink(scene.output / "images/train/IM1-01-a.png") == f"{moved}/images/train/IM1-01-a.png"
    (moved / "labels/train/IM2-01-a.txt").write_bytes(b"0 0.5 0.5 0.1 0.3\n")
    (moved / "images/train/IM3-01-a.png").write_bytes(b"short")
    error = refused(PlanError, scene, map_input=pairs, output=str(scene.parent / "other"))
    assert sorted(error.paths) == [f"{moved}/images/train/IM3-01-a.png", f"{moved}/labels/train/IM2-01-a.txt"]


def test_of_two_maps_the_closer_one_counts_whatever_their_order(tmp_path: Path) -> None:
    one = yolo_tree(tmp_path / "data/one", {"01-a": "+.", "02-b": ".."})
    two = yolo_tree(tmp_path / "data/two", {"03-c": "+.", "04-d": ".."})
    plan = saved_plan([one, two], tmp_path / "set", tmp_path / "plan.json")
    two.rename(tmp_path / "elsewhere")
    (tmp_path / "data").rename(tmp_path / "moved")
    pairs = ((str(two), str(tmp_path / "elsewhere")), (str(tmp_path / "data"), str(tmp_path / "moved")))
    for number, given in enumerate((pairs, pairs[::-1])):
        assert apply_plan(plan, ApplyOptions(map_input=given, output=str(tmp_path / f"set{number}"))).published


def test_a_map_that_names_no_input_is_wrong_usage(scene: Scene) -> None:
    assert refused(UsageError, scene, map_input=(("/nowhere", "/else"),)).kind == "map-input"


def test_an_edited_plan_in_memory_is_built_as_any(scene: Scene) -> None:
    plan = PlanFile.of(sealed_plan([scene.source], scene.output))
    assert apply_plan(plan, ApplyOptions()).published
    assert (scene.output / ".planbalance/plan.json").read_bytes() == (scene.root / "plan.json").read_bytes()


def test_two_inputs_are_pooled(tmp_path: Path) -> None:
    one = yolo_tree(tmp_path / "one", {"01-a": "+.", "02-b": ".."})
    two = yolo_tree(tmp_path / "two", {"03-c": "+.", "04-d": ".."})
    apply_plan(saved_plan([one, two], tmp_path / "set", tmp_path / "plan.json"), ApplyOptions(mode="hardlink"))
    for root, name in ((one, "images/val/IM1-02-b.png"), (two, "images/test/IM1-03-c.png")):
        assert os.path.samefile(tmp_path / "set" / name, root / "images/train" / Path(name).name)


def test_options_are_a_value() -> None:
    assert replace(ApplyOptions(), mode="symlink") == ApplyOptions(mode="symlink")


def test_a_lock_is_given_up_where_the_run_fails_right_after_taking_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_fd: int) -> tuple[int, int]:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(fs, "open_identity", broken)
        with pytest.raises(PlanbalanceError):
            apply(scene)
    assert apply(scene).published
