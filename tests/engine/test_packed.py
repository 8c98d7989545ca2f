"""What a build of one file promises on a disk that works: content, permissions, publication, and every refusal."""

import hashlib
import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planbalance import fs, packed_dataset
from planbalance.dataset_files import MANIFEST, PLAN, RECEIPT
from planbalance.engine import ApplyOptions, apply_plan, packing
from planbalance.engine.job import make_job
from planbalance.engine.permissions import Enterable
from planbalance.errors import InputError, PlanbalanceError, PlanError, UsageError
from planbalance.executor import autoscaler
from planbalance.model import Outcome
from planbalance.modes import MODE_TABLE
from planbalance.packed.entry import FIXED_TIME
from planbalance.shards import Shard
from tests.builders import tree_content, tree_state, yolo_tree
from tests.engine.plans import saved_plan
from tests.faults import faulty
from tests.packed import images

VOLUMES = {"01-a": ".+_", "02-b": "..-+", "03-c": "+.", "04-d": "....."}
PACKED = ("squashfs", "tar")


class Scene:
    """A source, its plan, and where the output goes."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.root = root
        self.source = yolo_tree(root / "in", VOLUMES)
        self.parent = root / "out"
        self.parent.mkdir()
        self.plan = saved_plan([self.source], self.parent / "set", root / "plan.json", **options)

    def apply(self, mode: str, **options: Any) -> Outcome:
        return apply_plan(self.plan, ApplyOptions(mode=mode, **options))  # type: ignore[arg-type]  # parametrized

    def output(self, mode: str) -> Path:
        return self.parent / f"set{MODE_TABLE[mode].one_file}"  # type: ignore[index]  # parametrized

    def beside(self) -> list[str]:
        return sorted(path.name for path in self.parent.iterdir())

    def refused(self, kind: type[PlanbalanceError], mode: str, **options: Any) -> PlanbalanceError:
        with pytest.raises(kind) as caught:
            self.apply(mode, **options)
        return caught.value


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def content(output: Path) -> dict[str, bytes]:
    """Return every file of a packed dataset."""
    dataset = packed_dataset.open_dataset(str(output))
    assert dataset is not None
    return {entry.path: dataset.read(entry, 1 << 30) for entry in dataset.files()}


# ---- content --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["keep", "by-volume"])
@pytest.mark.parametrize("mode", PACKED)
def test_it_holds_what_a_copy_holds(tmp_path: Path, mode: str, layout: str) -> None:
    scene = Scene(tmp_path, layout=layout)
    before = tree_state(scene.source)
    outcome = scene.apply(mode)
    assert outcome.published
    found = content(scene.output(mode))
    scene.apply("copy")
    copied = {path: (scene.parent / "set" / path).read_bytes() for path in tree_content(scene.parent / "set")}
    lines = copied["dataset.yaml"].splitlines(keepends=True)
    assert lines[0].startswith(b"path: ")
    copied["dataset.yaml"] = b"".join(lines[1:])
    own = {path: found.pop(path) for path in (PLAN, RECEIPT)}
    assert own[PLAN] == (tmp_path / "plan.json").read_bytes()
    assert found == copied
    assert outcome.files == len(found)
    assert outcome.packed_size == scene.output(mode).stat().st_size
    assert tree_state(scene.source) == before


@pytest.mark.parametrize("program", [*images.SQUASHFS_PROGRAMS])
def test_every_program_reads_an_image(scene: Scene, program: str) -> None:
    scene.apply("squashfs")
    files, _ = images.SQUASHFS_PROGRAMS[program](scene.output("squashfs"), scene.root / "at")
    _check_read(scene, files)


@pytest.mark.parametrize("program", [*images.TAR_PROGRAMS])
def test_every_program_reads_a_tar(scene: Scene, program: str) -> None:
    scene.apply("tar")
    files, _ = images.TAR_PROGRAMS[program](scene.output("tar"), scene.root / "at")
    _check_read(scene, files)


def _check_read(scene: Scene, files: dict[str, images.Found]) -> None:
    scene.apply("copy")
    copied = scene.parent / "set"
    paths = [path for path in tree_content(copied) if path != "dataset.yaml"]
    assert set(paths) <= set(files)
    for path in paths:
        data = (copied / path).read_bytes()
        assert (files[path].size, files[path].sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert files[path].mode == 0o644
        planned = int((copied / path).stat().st_mtime) if path.startswith("images/") else FIXED_TIME
        assert files[path].mtime == planned


@pytest.mark.parametrize("mode", PACKED)
def test_its_manifest_and_the_sum_beside_it_are_right(scene: Scene, mode: str) -> None:
    scene.apply(mode)
    output = scene.output(mode)
    found = content(output)
    lines = {line[66:]: line[:64] for line in found[MANIFEST].decode().splitlines()}
    assert lines == {path: hashlib.sha256(found[path]).hexdigest() for path in lines}
    assert {path for path in found if path.startswith(("images/", "labels/"))} <= set(lines)
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    assert Path(f"{output}.sha256").read_text() == f"{digest}  {output.name}\n"
    assert scene.beside() == [output.name, f"{output.name}.sha256"]


@pytest.mark.parametrize("mode", PACKED)
def test_without_sums_there_is_no_manifest_and_nothing_beside_it(scene: Scene, mode: str) -> None:
    scene.apply(mode, checksum="none")
    assert MANIFEST not in content(scene.output(mode))
    assert scene.beside() == [scene.output(mode).name]


def test_mount_at_is_the_path_in_the_yaml_and_in_the_commands(scene: Scene) -> None:
    outcome = scene.apply("squashfs", mount_at="/data")
    assert content(scene.output("squashfs"))["dataset.yaml"].startswith(b'path: "/data"\n')
    assert "/data/dataset.yaml" in (outcome.train_commands["ultralytics"] or "")


@pytest.mark.parametrize("at", ["data", "", "/a\nb"])
def test_a_place_that_is_no_path_is_refused(scene: Scene, at: str) -> None:
    assert scene.refused(UsageError, "squashfs", mount_at=at).kind == "mount-at"


def test_a_place_of_a_mount_is_refused_for_a_folder(scene: Scene) -> None:
    assert scene.refused(UsageError, "copy", mount_at="/data").kind == "mount-at"


# ---- the same bytes, whoever builds it ------------------------------------------------------------------------------


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """Worker processes for small plans too, and segments of a few slices."""
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.LIMITS._replace(worth_forking=0))
    monkeypatch.setattr("planbalance.engine.packing.LEAST", 2)
    monkeypatch.setattr("planbalance.engine.packing.BOUNDARY", 1 << (10 if mode == "tar" else 8))


@pytest.mark.parametrize("mode", PACKED)
@pytest.mark.parametrize("layout", ["keep", "by-volume"])
def test_workers_and_shards_change_no_byte(tmp_path: Path, small_parts: None, mode: str, layout: str) -> None:
    scene = Scene(tmp_path, layout=layout)
    built = set()
    for jobs in (1, 2, 5):
        scene.apply(mode, jobs=jobs)
        built.add(scene.output(mode).read_bytes())
        _remove(scene, mode)
    for total in (1, 2, 3, 7):
        for number in range(total, 0, -1):
            scene.apply(mode, shard=Shard(number, total), jobs=1)
        scene.apply(mode, finish=True)
        built.add(scene.output(mode).read_bytes())
        assert scene.beside() == [scene.output(mode).name, f"{scene.output(mode).name}.sha256"]
        _remove(scene, mode)
    assert len(built) == 1


def _remove(scene: Scene, mode: str) -> None:
    scene.output(mode).unlink()
    Path(f"{scene.output(mode)}.sha256").unlink()


def test_where_and_how_carefully_it_is_built_changes_no_byte(scene: Scene) -> None:
    scene.apply("squashfs")
    scene.apply("squashfs", output=str(scene.parent / "other.sqfs"), durability="safe", labels="same", fallback="copy")
    moved = scene.source.rename(scene.root / "moved")
    pair = ((str(scene.source), str(moved)),)
    scene.apply("squashfs", output=str(scene.parent / "third.sqfs"), map_input=pair)
    assert len({(scene.parent / name).read_bytes() for name in ("set.sqfs", "other.sqfs", "third.sqfs")}) == 1


@pytest.mark.parametrize("mode", PACKED)
@pytest.mark.parametrize("layout", ["keep", "by-volume"])
def test_shards_begin_where_segments_do_also_within_a_block(
    tmp_path: Path, small_parts: None, mode: str, layout: str
) -> None:
    scene = Scene(tmp_path, layout=layout)
    scene.apply(mode)
    dataset = packed_dataset.open_dataset(str(scene.output(mode)))
    assert dataset is not None
    found = [dataset.run(entry) for entry in dataset.files() if entry.path.startswith("images/") and entry.size]
    contents = {place[0] for place in found if place is not None}
    job = make_job(scene.plan, ApplyOptions(mode=mode))  # type: ignore[arg-type]  # parametrized
    assert job.packing is not None
    blocks = scene.plan.header.blocks
    starts: set[tuple[tuple[int, int], int]] = set()
    planned: set[int] = set()
    for index, block in enumerate(blocks):
        places = job.packing.slice_places(index)
        heads = 512 * (mode == "tar")
        planned |= {start + heads for start in places.images}
        starts |= {(index, stop): places.start(stop) for stop in places.gaps if stop < block.count}.items()
    assert contents == planned
    assert len(starts) > 1
    assert all(start % packing.BOUNDARY == 0 for _, start in starts)
    within = {place for place, _ in starts}
    for total in (1, 2, 3, 10):
        cuts = {(cut.blocks.start, cut.first) for cut in job.packing.cut(total) if cut.first}
        assert cuts <= within
        assert total < 10 or cuts


@pytest.mark.parametrize("mode", PACKED)
def test_a_build_that_another_version_began_is_refused(scene: Scene, mode: str) -> None:
    (scene.source / "labels/train/IM1-03-c.txt").write_bytes(b"0 0.1 0.1 0.1 0.1\n" * 3)
    scene.refused(PlanError, mode)
    header = Path(fs.partial_path(str(scene.output(mode)))) / ".planbalance" / fs.HEADER
    pinned = json.loads(header.read_bytes())
    del pinned["packing_rule"]
    header.write_text(json.dumps(pinned), encoding="utf-8")
    error = scene.refused(UsageError, mode)
    assert error.kind == "mixed-versions"
    assert "rule 1" in str(error)


@pytest.mark.parametrize("mode", PACKED)
def test_it_is_the_same_where_no_room_can_be_given_ahead(
    tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """As on NFS before 4.2: the file grows, in whatever order shards write it."""
    scene = Scene(tmp_path, layout="by-volume")
    scene.apply(mode)
    whole = scene.output(mode).read_bytes()
    _remove(scene, mode)
    monkeypatch.setattr(type(fs._libc), "fallocate", faulty.not_supported)
    for number in (3, 1, 2):
        scene.apply(mode, shard=Shard(number, 3), jobs=1)
    scene.apply(mode, finish=True)
    assert scene.output(mode).read_bytes() == whole


@pytest.mark.parametrize("mode", PACKED)
def test_it_resumes(tmp_path: Path, mode: str) -> None:
    scene = Scene(tmp_path)
    scene.apply(mode)
    whole = scene.output(mode).read_bytes()
    _remove(scene, mode)
    label = scene.source / "labels/train/IM1-03-c.txt"
    data, time = label.read_bytes(), label.stat().st_mtime_ns
    label.write_bytes(data + b"0 0.1 0.1 0.1 0.1\n")
    assert scene.refused(PlanError, mode).kind == "plan-stale"
    label.write_bytes(data)
    os.utime(label, ns=(time, time))
    outcome = scene.apply(mode, jobs=2)
    assert outcome.resumed > 0
    assert scene.output(mode).read_bytes() == whole


@pytest.mark.parametrize("mode", PACKED)
@pytest.mark.parametrize("length", [None, 2_000])
def test_a_file_that_was_removed_or_cut_in_the_staging_folder_is_made_again(
    tmp_path: Path, mode: str, length: int | None
) -> None:
    scene = Scene(tmp_path)
    grown = scene.source / "labels/train/IM1-03-c.txt"
    data, time = grown.read_bytes(), grown.stat().st_mtime_ns
    grown.write_bytes(data + b"0 0.1 0.1 0.1 0.1\n")
    scene.refused(PlanError, mode)
    grown.write_bytes(data)
    os.utime(grown, ns=(time, time))
    staged = Path(fs.partial_path(str(scene.output(mode)))) / scene.output(mode).name
    if length is None:
        staged.unlink()
    else:
        os.truncate(staged, length)
    assert scene.apply(mode).resumed == 0
    assert hashlib.sha256(scene.output(mode).read_bytes()).hexdigest() in Path(
        f"{scene.output(mode)}.sha256"
    ).read_text(encoding="utf-8")


def test_other_options_than_pinned_are_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (scene.source / "labels/train/IM1-03-c.txt").write_bytes(b"0 0.1 0.1 0.1 0.1\n" * 3)
    scene.refused(PlanError, "squashfs")
    assert scene.refused(UsageError, "squashfs", mount_at="/data").kind == "pinned-options"


# ---- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", PACKED)
def test_a_file_that_exists_is_never_written_over(scene: Scene, mode: str) -> None:
    scene.output(mode).write_bytes(b"mine")
    assert scene.refused(PlanError, mode).kind == "output-exists"
    scene.output(mode).unlink()
    Path(f"{scene.output(mode)}.sha256").write_bytes(b"mine")
    assert scene.refused(PlanError, mode).kind == "output-exists"
    assert Path(f"{scene.output(mode)}.sha256").read_bytes() == b"mine"
    Path(f"{scene.output(mode)}.sha256").unlink()
    scene.output(mode).mkdir()
    assert scene.refused(PlanError, mode).kind == "output-exists"


@pytest.mark.parametrize("mode", PACKED)
def test_the_same_call_again_says_that_it_is_built(scene: Scene, mode: str) -> None:
    scene.apply(mode)
    error = scene.refused(PlanError, mode)
    assert error.kind == "already-built"
    assert "planbalance clean" not in error.hint
    Path(fs.partial_path(str(scene.output(mode)))).mkdir()  # of a run that was killed behind the rename
    assert "planbalance clean removes it" in scene.refused(PlanError, mode).hint


@pytest.mark.parametrize("mode", PACKED)
def test_a_name_that_appears_while_it_is_built_is_not_replaced(
    scene: Scene, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = fs.move_file

    def late(old: str, new: str) -> None:
        Path(new).write_bytes(b"mine")
        move(old, new)

    monkeypatch.setattr(fs, "move_file", late)
    error = scene.refused(PlanError, mode, checksum="none")
    assert error.kind == "output-exists"
    assert scene.output(mode).read_bytes() == b"mine"
    assert Path(fs.partial_path(str(scene.output(mode)))).is_dir()


@pytest.mark.parametrize("left", [b"", bytes(80), b"0" * 64 + b"  set.sqfs\n", b"0" * 30 + bytes(9)])
def test_a_sum_that_a_killed_run_has_left_is_replaced(scene: Scene, left: bytes) -> None:
    label = scene.source / "labels/train/IM1-03-c.txt"
    data, time = label.read_bytes(), label.stat().st_mtime_ns
    label.write_bytes(data + b"0 0.1 0.1 0.1 0.1\n")
    scene.refused(PlanError, "squashfs")
    label.write_bytes(data)
    os.utime(label, ns=(time, time))
    beside = Path(f"{scene.output('squashfs')}.sha256")
    beside.write_bytes(b"mine")
    assert scene.refused(PlanError, "squashfs").kind == "output-exists"
    beside.write_bytes(left)
    scene.apply("squashfs")
    assert beside.read_text().split()[0] == hashlib.sha256(scene.output("squashfs").read_bytes()).hexdigest()


@pytest.mark.parametrize("mode", PACKED)
def test_a_dry_run_says_the_exact_size_and_writes_nothing(scene: Scene, mode: str) -> None:
    size = scene.apply(mode, dry_run=True).packed_size
    assert scene.beside() == []
    scene.apply(mode)
    assert scene.output(mode).stat().st_size == size


def test_a_size_that_the_disk_has_not_is_refused_before_anything_is_written(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = scene.apply("tar", dry_run=True).packed_size
    assert size is not None
    monkeypatch.setattr(fs, "room", lambda _path: fs.Room(size - 1, None, 4096))
    assert scene.refused(PlanError, "tar").kind == "no-space"
    assert scene.refused(PlanError, "squashfs").kind == "no-space"
    assert scene.beside() == []
    monkeypatch.setattr(fs, "room", lambda _path: fs.Room(size, None, 4096))
    scene.apply("tar")


# ---- JPEGs that trainers would save again ---------------------------------------------------------------------------


def _with_jpeg(tmp_path: Path, end: bytes, size: int) -> Scene:
    scene = Scene(tmp_path)
    image = scene.source / "images/train/IM1-03-c.png"
    image.write_bytes(b"\xff\xd8\xff\xe0" + bytes(size) + end)
    scene.plan = saved_plan([scene.source], scene.parent / "set", tmp_path / "plan.json")
    return scene


@pytest.mark.parametrize("size", [100, 3_000_000])
@pytest.mark.parametrize("mode", PACKED)
def test_a_jpeg_that_trainers_would_save_again_is_refused(tmp_path: Path, mode: str, size: int) -> None:
    scene = _with_jpeg(tmp_path, b"\x00\x00", size)
    error = scene.refused(InputError, mode)
    assert (error.exit_code, error.kind) == (3, "jpeg-cut")
    assert error.paths == (f"{scene.source}/images/train/IM1-03-c.png",)
    assert not scene.output(mode).exists()
    assert scene.apply(mode, allow_cut_jpegs=True).published


@pytest.mark.parametrize("size", [100, 3_000_000])
@pytest.mark.parametrize("mode", PACKED)
def test_a_whole_jpeg_is_taken(tmp_path: Path, mode: str, size: int) -> None:
    scene = _with_jpeg(tmp_path, b"\xff\xd9", size)
    assert scene.apply(mode).published
    found = content(scene.output(mode))
    image = next(data for path, data in found.items() if path.endswith("IM1-03-c.png"))
    assert image == (scene.source / "images/train/IM1-03-c.png").read_bytes()


# ---- permissions ----------------------------------------------------------------------------------------------------


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def usual_umask() -> Any:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("mode", PACKED)
@pytest.mark.parametrize(
    ("path", "permissions", "wanted"),
    [
        ("images/train/IM1-03-c.png", 0o644, 0o644),
        ("images/train/IM1-03-c.png", 0o640, 0o640),
        ("images/train/IM1-03-c.png", 0o600, 0o600),
        ("labels/train/IM1-03-c.txt", 0o600, 0o600),
        ("labels/train", 0o750, 0o640),
        ("images", 0o700, 0o600),
        ("", 0o700, 0o600),
    ],
)
def test_it_is_as_strict_as_the_strictest_source(
    scene: Scene, mode: str, path: str, permissions: int, wanted: int
) -> None:
    os.chmod(scene.source / path, permissions)
    scene.apply(mode)
    assert mode_of(scene.output(mode)) == wanted


def test_a_group_that_is_not_the_source_s_reads_what_everybody_may(scene: Scene) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another group")
    image = scene.source / "images/train/IM1-03-c.png"
    os.chown(image, -1, 54_321)
    os.chmod(image, 0o640)
    scene.apply("squashfs")
    assert mode_of(scene.output("squashfs")) == 0o600


def test_each_source_folder_is_looked_at_once_for_all_workers(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a call waits, 64 workers that look at six folders each would begin a tenth of a second later."""
    looked: list[str] = []
    look = fs.look_through

    def slow(path: str) -> os.stat_result | None:
        looked.append(path.rstrip("/"))
        time.sleep(0.01)
        return look(path)

    monkeypatch.setattr(fs, "look_through", slow)
    root = f"{scene.source}/"
    enterable = Enterable(os.stat(root).st_gid)
    folders = ["images/train", "labels/train"] * 8
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda folder: enterable.of(root, folder), folders))
    assert set(found) == {0o777}
    assert sorted(looked) == sorted(
        str(scene.source / below) for below in ("", "images", "images/train", "labels", "labels/train")
    )


@pytest.mark.parametrize("mode", PACKED)
def test_a_resume_and_shards_remember_how_strict_sources_were(tmp_path: Path, small_parts: None, mode: str) -> None:
    scene = Scene(tmp_path, layout="by-volume")
    image = scene.source / "images/train/IM1-03-c.png"
    os.chmod(image, 0o600)
    for number in (1, 2, 3):
        scene.apply(mode, shard=Shard(number, 3))
    os.chmod(image, 0o644)
    scene.apply(mode, finish=True)
    assert mode_of(scene.output(mode)) == 0o600


def test_nobody_else_can_read_it_before_it_is_published(scene: Scene) -> None:
    (scene.source / "labels/train/IM1-03-c.txt").write_bytes(b"0 0.1 0.1 0.1 0.1\n" * 3)
    scene.refused(PlanError, "squashfs")
    staged = Path(fs.partial_path(str(scene.output("squashfs")))) / "set.sqfs"
    assert mode_of(staged) == 0o600


def test_its_name_may_be_any(scene: Scene) -> None:
    outcome = apply_plan(
        scene.plan, replace(ApplyOptions(mode="squashfs"), output=str(scene.parent / "knee data.squashfs"))
    )
    assert outcome.output.endswith("/knee data.squashfs")
    assert (scene.parent / "knee data.squashfs").is_file()
