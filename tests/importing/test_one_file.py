"""An import is built into one image or tar: rendered slices go through spool files, and nothing of it shows."""

import errno
import hashlib
import io
import json
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from planbalance import api, fs, packed_dataset
from planbalance.dataset_files import MANIFEST, PLAN, RECEIPT
from planbalance.engine import ApplyOptions, apply_plan, rendering
from planbalance.engine.journal import line, run_line
from planbalance.errors import IncompleteError, InputError, InterruptedRunError, PlanbalanceError, PlanError, UsageError
from planbalance.importing import import_kind
from planbalance.lock_owner import Node
from planbalance.model import Outcome, Progress
from planbalance.modes import MODE_TABLE
from planbalance.packed.entry import FIXED_TIME
from planbalance.planstore import ImportPlan
from planbalance.raw_images import RenderedSlice
from planbalance.shards import Shard
from tests.builders import tree_content, tree_state
from tests.cli.command import run, run_json
from tests.conftest import Trials
from tests.disks import remount, small_disk
from tests.faults import faulty
from tests.importing.raw_study import Study, write_study
from tests.packed import images
from tests.running import in_a_child, stop_after

# Forking is safe here: no thread of this process is left after an apply, and a child begins with one thread only.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
PACKED = ("squashfs", "tar")


class Scene:
    """A raw study of its own, its plan, and where the output goes."""

    def __init__(self, root: Path, study: Study, **changes: Any) -> None:
        self.root, self.study = root, study
        self.parent = root / "out"
        self.parent.mkdir()
        self.path = str(root / "import.json")
        api.import_dataset(output=str(self.parent / "set"), plan_file=self.path, options=study.request(**changes))

    def apply(self, mode: str, progress: Progress | None = None, **options: Any) -> Outcome:
        plan = ImportPlan.open(self.path)
        chosen = ApplyOptions(mode=mode, **options)  # type: ignore[arg-type]  # parametrized
        return apply_plan(plan, chosen, progress, import_kind(plan))

    def refused(self, kind: type[PlanbalanceError], mode: str, **options: Any) -> PlanbalanceError:
        with pytest.raises(kind) as caught:
            self.apply(mode, **options)
        return caught.value

    def output(self, mode: str) -> Path:
        return self.parent / f"set{MODE_TABLE[mode].one_file}"  # type: ignore[index]  # parametrized

    def own(self, mode: str) -> Path:
        """Return the folder of the partial build's own files."""
        return Path(fs.partial_path(str(self.output(mode)))) / ".planbalance"

    def spools(self, mode: str) -> list[Path]:
        return sorted(path for path in self.own(mode).iterdir() if path.name.startswith("rendered-"))

    def stop_between(self, mode: str) -> None:
        """Build up to the moment when all slices are rendered, and none has its place."""
        with faulty.calls(_no_room_ahead):
            error = self.refused(PlanError, mode, jobs=1)
        assert error.kind == "no-space"
        assert not self.output(mode).exists()

    def stop_in_the_second_pass(self, durability: str = "fast") -> None:
        """Build an image up to the moment when some slices have their places."""
        stop = stop_after(len(self.study.labels) + 2)
        with pytest.raises(InterruptedRunError) as caught:
            self.apply("squashfs", stop, jobs=1, durability=durability)
        assert "in place" in caught.value.message

    def expected(self, mode: str, **options: Any) -> bytes:
        """Return the bytes of a build without a fault."""
        at = self.root / f"whole.{mode}"
        self.apply(mode, output=str(at), **options)
        data = at.read_bytes()
        at.unlink()
        Path(f"{at}.sha256").unlink(missing_ok=True)
        return data


def _other_png(picture: RenderedSlice) -> bytes:
    """Return a picture as a PNG file that is not packed, and larger than any that `png_bytes` makes."""
    data, more = io.BytesIO(), PngInfo()
    more.add_text("Software", "another one")
    mode = "L" if len(picture.pixels) == picture.width * picture.height else "RGB"
    Image.frombytes(mode, (picture.width, picture.height), picture.pixels).save(data, "PNG", pnginfo=more)
    return data.getvalue()


def _no_room_ahead(_number: int, name: str, real: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name == "fallocate":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return real(*args, **kwargs)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("raw") / "study")


@pytest.fixture
def scene(raw: Study, tmp_path: Path) -> Scene:
    """A study that no test changes."""
    return Scene(tmp_path, raw)


@pytest.fixture
def own(tmp_path: Path) -> Scene:
    """A study that a test may change."""
    return Scene(tmp_path, write_study(tmp_path / "study"))


def content(output: Path) -> dict[str, bytes]:
    dataset = packed_dataset.open_dataset(str(output))
    assert dataset is not None
    return {entry.path: dataset.read(entry, 1 << 30) for entry in dataset.files()}


# ---- content --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["flat", "by-volume"])
@pytest.mark.parametrize("mode", PACKED)
def test_it_holds_what_a_copy_holds(raw: Study, tmp_path: Path, mode: str, layout: str) -> None:
    scene = Scene(tmp_path, raw, layout=layout)
    before = tree_state(raw.root)
    outcome = scene.apply(mode)
    assert outcome.published
    found = content(scene.output(mode))
    scene.apply("copy")
    copied = {path: (scene.parent / "set" / path).read_bytes() for path in tree_content(scene.parent / "set")}
    own = {path: found.pop(path) for path in (PLAN, RECEIPT)}
    assert own[PLAN] == Path(scene.path).read_bytes()
    assert found == copied
    assert outcome.files == len(found)
    assert outcome.packed_size == scene.output(mode).stat().st_size
    assert tree_state(raw.root) == before


@pytest.mark.parametrize(
    ("mode", "program"),
    [*(("squashfs", each) for each in images.SQUASHFS_PROGRAMS), *(("tar", each) for each in images.TAR_PROGRAMS)],
)
def test_every_program_reads_it(scene: Scene, mode: str, program: str) -> None:
    scene.apply(mode)
    programs = images.SQUASHFS_PROGRAMS if mode == "squashfs" else images.TAR_PROGRAMS
    files, _ = programs[program](scene.output(mode), scene.root / "at")
    scene.apply("copy")
    copied = scene.parent / "set"
    paths = list(tree_content(copied))
    assert set(paths) <= set(files)
    for path in paths:
        data = (copied / path).read_bytes()
        assert (files[path].size, files[path].sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert files[path].mode == 0o644
        planned = int((copied / path).stat().st_mtime) if path.startswith("images/") else FIXED_TIME
        assert files[path].mtime == planned


@pytest.mark.parametrize("mode", PACKED)
def test_the_bytes_are_the_same_for_any_number_of_workers(scene: Scene, mode: str) -> None:
    builds = []
    for jobs in (1, 2, 5):
        output = scene.parent / f"{jobs}.file"
        scene.apply(mode, output=str(output), jobs=jobs)
        builds.append(output.read_bytes())
        assert Path(f"{output}.sha256").read_text() == f"{hashlib.sha256(builds[-1]).hexdigest()}  {output.name}\n"
        assert not Path(fs.partial_path(str(output))).exists()
    assert builds[0] == builds[1] == builds[2]


@pytest.mark.parametrize("mode", PACKED)
def test_without_sums_there_is_no_manifest(scene: Scene, mode: str) -> None:
    scene.apply(mode, checksum="none", durability="safe")
    assert MANIFEST not in content(scene.output(mode))
    assert [path.name for path in scene.parent.iterdir()] == [scene.output(mode).name]


def test_pictures_that_are_taken_as_they_are_need_no_spool(scene: Scene) -> None:
    scene.stop_between("squashfs")
    (spool,) = scene.spools("squashfs")
    scene.apply("copy", output=str(scene.parent / "copy"))
    rendered = [f"{name}.png" for name in scene.study.greys]
    sizes = [(scene.parent / "copy" / "images" / name).stat().st_size for name in rendered]
    assert spool.stat().st_size == sum(sizes) + 32 * len(sizes)


def coco(root: Path, pictures: dict[str, np.ndarray[Any, Any]]) -> Study:
    """Write a COCO source of some pictures, with a box on the first one."""
    (root / "pictures").mkdir(parents=True)
    described = []
    for number, (name, values) in enumerate(pictures.items()):
        Image.fromarray(values).save(root / "pictures" / name)
        described.append({"id": number, "file_name": name, "width": values.shape[1], "height": values.shape[0]})
    box = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [1, 1, 3, 3], "iscrowd": 0}
    document = {"images": described, "annotations": [box], "categories": [{"id": 1, "name": "tear"}]}
    (root / "instances.json").write_text(json.dumps(document))
    (root / "sources.toml").write_text(
        'classes = ["tear"]\n[[source]]\nname = "photos"\nformat = "coco"\nannotations = "instances.json"\n'
        'images = "pictures"\nvolume-pattern = "trailing-number"\n'
    )
    return Study(root)


@pytest.mark.parametrize("mode", PACKED)
@pytest.mark.parametrize("kind", ["rendered", "as it is", "large"])
def test_one_slice(tmp_path: Path, mode: str, kind: str) -> None:
    draw = np.random.default_rng(3)
    pictures: dict[str, np.ndarray[Any, Any]] = {
        "rendered": draw.integers(0, 4000, (20, 30)).astype(np.uint16),
        "as it is": draw.integers(0, 255, (20, 30)).astype(np.uint8),
        "large": draw.integers(0, 1 << 16, (1200, 1300)).astype(np.uint16),  # more than 1 MiB as a PNG file
    }
    scene = Scene(tmp_path, coco(tmp_path / "study", {"knee-1.png": pictures[kind]}))
    scene.apply(mode)
    scene.apply("copy")
    found = content(scene.output(mode))
    assert found["images/IM1-knee.png"] == (scene.parent / "set/images/IM1-knee.png").read_bytes()
    assert api.verify(str(scene.output(mode))).ok


def test_the_file_is_as_strict_as_the_strictest_source(own: Scene) -> None:
    source = next((own.study.root / "dicom" / "knee0").iterdir())
    source.chmod(0o600)
    own.apply("squashfs", jobs=1)
    assert own.output("squashfs").stat().st_mode & 0o777 == 0o600


def test_pictures_of_an_older_import_are_used_again(own: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    own.apply("copy", output=str(own.root / "older"))
    expected = content_of_folder(own.root / "older")
    path = str(own.root / "again.json")
    request = own.study.request(reuse=str(own.root / "older"))
    api.import_dataset(output=str(own.parent / "again"), plan_file=path, options=request)
    monkeypatch.setattr("planbalance.importing.placer.render_file", lambda *_: pytest.fail("a slice was rendered"))
    api.apply(path, mode="tar", jobs=1)
    found = content(own.parent / "again.tar")
    assert {name: found[name] for name in expected} == expected


def content_of_folder(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and path.parent.name in {"images", "labels"}]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


# ---- reading it -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", PACKED)
def test_verify_report_and_show_read_it(scene: Scene, mode: str) -> None:
    scene.apply(mode)
    output = scene.output(mode)
    found = run_json("verify", output)
    assert {check["name"]: check["ok"] for check in found["checks"]} == dict.fromkeys(
        ("plan", "files", "pixels", "labels", "ledger", "documents", "manifest", "sources"), True
    )
    assert run_json("verify", "--plan", scene.path)["ok"]  # finds the file beside the planned folder
    assert run_json("show", output)["digest"] == run_json("show", scene.path)["digest"]
    run("report", output, "--html", scene.root / "page.html", "--audit", "full")
    page = (scene.root / "page.html").read_text()
    assert page.count("data:image/") > len(scene.study.volumes)
    assert "all of it is as planned" in page
    run("report", output, "--format", "md", "--output", scene.root / "report.md")
    assert "| ledger | ok |" in (scene.root / "report.md").read_text()


@pytest.mark.parametrize("what", ["images/IM1-knee0.png", "labels/IM2-knee0.txt"])
def test_verify_finds_damage(scene: Scene, what: str) -> None:
    scene.apply("tar")
    output = scene.output("tar")
    data = output.read_bytes()
    place = data.index(content(output)[what]) + 6
    output.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    found = api.verify(str(output))
    assert not found.ok
    assert any(failure.startswith(("pixels", "labels")) for failure in found.failures)


def test_what_cannot_be_had_is_refused_in_one_sentence(scene: Scene) -> None:
    scene.apply("squashfs")
    output = scene.output("squashfs")
    run("plan", output, "--output", scene.root / "x", code=3)
    run("export", output, "--format", "csv", code=2)
    assert scene.refused(PlanError, "squashfs").kind == "already-built"


def test_import_with_build_ends_with_the_audit(raw: Study, tmp_path: Path) -> None:
    words = ["import", "--sources", raw.toml, "--group-key", tmp_path / "key", "--output", tmp_path / "set"]
    plan = ["--plan-file", tmp_path / "i.json"]
    found = run_json(*words, *plan, "--build", "--mode", "squashfs")
    assert found["apply"]["output"] == f"{tmp_path}/set.sqfs"
    assert found["apply"]["next_command"] is None
    assert found["verify"]["ok"]
    assert found["build"] is None
    again = run(*words, *plan, "--build", "--mode", "squashfs").output
    assert "is built already" in again
    assert "mount or unpack the file" in " ".join(again.split())


def test_with_a_place_to_mount_it_the_next_command_is_given(scene: Scene) -> None:
    outcome = api.apply(scene.path, mode="squashfs", mount_at="/data")
    assert outcome.next_command == (
        f"planbalance plan /data --group-map /data/groups.csv --output {scene.parent}/set-balanced"
    )


@pytest.mark.parametrize("mode", PACKED)
def test_a_dry_run_says_about_how_large_it_will_be(scene: Scene, mode: str) -> None:
    outcome = scene.apply(mode, dry_run=True)
    assert list(scene.parent.iterdir()) == []
    assert outcome.packed_size is None
    size = len(scene.expected(mode))
    assert outcome.packed_about is not None
    assert size <= outcome.packed_about < 2 * size
    text = run("apply", scene.path, "--mode", mode, "--dry-run").output
    assert "one file of about" in text


# ---- sources that change --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["dicom/knee0", "pictures"])
def test_a_source_that_changed_since_the_plan_is_found(own: Scene, folder: str) -> None:
    source = min((own.study.root / folder).iterdir())
    data = source.read_bytes()
    source.write_bytes(data[:-40] + bytes(40))
    error = own.refused(PlanError, "squashfs")
    assert error.kind == "plan-stale"
    assert error.paths == (str(source),) or list(error.paths) == [str(source)]
    assert not own.output("squashfs").exists()


def test_a_source_that_changes_after_it_was_rendered_changes_nothing(own: Scene) -> None:
    """What was rendered is what was planned: its pixels were compared."""
    expected = own.expected("squashfs")
    own.stop_between("squashfs")
    shutil.rmtree(own.study.root / "dicom")
    assert own.apply("squashfs").resumed
    assert own.output("squashfs").read_bytes() == expected


def test_a_picture_that_changes_between_the_passes_is_found(own: Scene) -> None:
    own.stop_between("tar")
    source = min((own.study.root / "pictures").iterdir())
    source.write_bytes(b"other")
    assert own.refused(PlanError, "tar").kind == "plan-stale"
    assert not own.output("tar").exists()


def test_inputs_elsewhere_are_read_there(own: Scene) -> None:
    expected = own.expected("tar")
    shutil.move(own.study.root, own.root / "moved")
    own.apply("tar", map_input=((str(own.study.root), str(own.root / "moved")),))
    assert own.output("tar").read_bytes() == expected


def test_a_jpeg_that_is_cut_is_refused_unless_it_is_allowed(tmp_path: Path) -> None:
    study = coco(tmp_path / "study", {"knee-1.jpg": np.full((20, 30), 90, np.uint8)})
    picture = tmp_path / "study" / "pictures" / "knee-1.jpg"
    picture.write_bytes(picture.read_bytes() + b"\0\0")
    scene = Scene(tmp_path, study)
    assert scene.refused(InputError, "squashfs").kind == "jpeg-cut"
    scene.apply("squashfs", allow_cut_jpegs=True)
    assert content(scene.output("squashfs"))["images/IM1-knee.jpg"] == picture.read_bytes()


# ---- interruptions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", PACKED)
def test_a_resume_renders_nothing_that_was_rendered(scene: Scene, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = scene.expected(mode)
    scene.stop_between(mode)
    with monkeypatch.context() as patch:
        patch.setattr("planbalance.importing.placer.render_file", lambda *_: pytest.fail("a slice was rendered again"))
        outcome = scene.apply(mode, jobs=1)
    assert outcome.resumed == len(scene.study.greys)
    assert scene.output(mode).read_bytes() == expected


def test_an_interruption_says_how_far_it_is(scene: Scene) -> None:
    with pytest.raises(InterruptedRunError) as caught:
        scene.apply("squashfs", stop_after(1), jobs=1)
    assert "slices rendered; nothing was published" in caught.value.message
    expected = scene.expected("squashfs")
    scene.apply("squashfs", jobs=2)
    assert scene.output("squashfs").read_bytes() == expected


@pytest.mark.parametrize("lose", ["gone", "cut off"])
def test_a_spool_file_that_is_lost_is_rendered_again(scene: Scene, lose: str) -> None:
    expected = scene.expected("tar")
    scene.stop_between("tar")
    (spool,) = scene.spools("tar")
    if lose == "gone":
        spool.unlink()
    else:
        os.truncate(spool, spool.stat().st_size - 1)
    scene.apply("tar")
    assert scene.output("tar").read_bytes() == expected


def test_a_spool_file_that_does_not_count_any_more_takes_no_room(scene: Scene) -> None:
    """As after a power loss: the lines of another boot do not count."""
    scene.stop_between("tar")
    (old,) = scene.spools("tar")
    journal = scene.own("tar") / rendering._JOURNAL
    journal.write_bytes(run_line(Node("here", "an earlier boot")) + journal.read_bytes().partition(b"\n")[2])
    scene.stop_between("tar")
    (new,) = scene.spools("tar")
    assert new != old
    scene.apply("tar")
    assert api.verify(str(scene.output("tar"))).ok


def test_a_spool_file_that_is_damaged_is_found_and_rendered_again(scene: Scene) -> None:
    expected = scene.expected("squashfs")
    scene.stop_between("squashfs")
    (spool,) = scene.spools("squashfs")
    data = bytearray(spool.read_bytes())
    data[len(data) // 2] ^= 1
    spool.write_bytes(data)
    error = scene.refused(IncompleteError, "squashfs")
    assert "was damaged in the staging folder" in error.message
    assert "run the same command again" in error.hint
    assert not scene.output("squashfs").exists()
    scene.apply("squashfs")
    assert scene.output("squashfs").read_bytes() == expected


def test_slices_that_are_rendered_to_other_sizes_meanwhile_get_other_places(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another build of zlib makes other PNG files of the same pixels: nothing of the old file may be left."""
    expected = scene.expected("squashfs", jobs=1)
    with monkeypatch.context() as patch:
        patch.setattr("planbalance.importing.placer.png_bytes", _other_png)
        scene.stop_in_the_second_pass()
    for spool in scene.spools("squashfs"):
        spool.unlink()
    scene.apply("squashfs", jobs=1)
    assert scene.output("squashfs").read_bytes() == expected


@pytest.mark.parametrize("durability", ["fast", "safe"])
def test_what_one_version_placed_does_not_count_after_another_one_worked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, durability: str
) -> None:
    expected = scene.expected("squashfs", jobs=1)
    scene.stop_in_the_second_pass(durability)
    for spool in scene.spools("squashfs"):
        spool.unlink()
    with monkeypatch.context() as patch:
        patch.setattr("planbalance.importing.placer.png_bytes", _other_png)
        scene.stop_in_the_second_pass(durability)
    for spool in scene.spools("squashfs"):
        spool.unlink()
    scene.apply("squashfs", jobs=1, durability=durability)
    assert scene.output("squashfs").read_bytes() == expected


def test_a_journal_that_was_tampered_with_counts_as_far_as_it_is_whole(scene: Scene) -> None:
    expected = scene.expected("tar")
    scene.stop_between("tar")
    path = scene.own("tar") / rendering._JOURNAL
    kept = path.read_bytes()
    for value in (
        {"name": "../../etc/passwd", "at": 0, "sizes": [3]},
        {"name": f"rendered-{'0' * 16}", "at": -1, "sizes": [3]},
        {"name": f"rendered-{'0' * 16}", "at": 0, "sizes": [3, 4]},
        {"name": f"rendered-{'0' * 16}", "at": 0, "sizes": [-3]},
        {"name": f"rendered-{'0' * 16}", "at": 1 << 62, "sizes": [1 << 62]},
        "rendered",
    ):
        path.write_bytes(kept + line({"done": [[0, 0, 1]], "sums": "", "spooled": value}))
        scene.stop_between("tar")
    scene.apply("tar")
    assert scene.output("tar").read_bytes() == expected


# ---- shards ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", PACKED)
def test_shards_render_and_the_finish_puts_the_slices_together(raw: Study, tmp_path: Path, mode: str) -> None:
    scene = Scene(tmp_path, raw, layout="by-volume")  # six blocks
    expected = scene.expected(mode)
    assert scene.refused(IncompleteError, mode, finish=True).kind == "shards-missing"
    for number in (3, 1):
        assert not scene.apply(mode, shard=Shard(number, 3), jobs=number).published
    error = scene.refused(IncompleteError, mode, finish=True)
    assert "Shard 2 of 3 is not done" in error.message
    scene.apply(mode, shard=Shard(2, 3))
    again = scene.apply(mode, shard=Shard(2, 3))
    assert again.resumed == again.files // 2
    assert scene.apply(mode, finish=True, jobs=2).published
    assert scene.output(mode).read_bytes() == expected
    assert sorted(path.name for path in scene.parent.iterdir()) == [
        scene.output(mode).name,
        f"{scene.output(mode).name}.sha256",
    ]


def test_a_shard_whose_spool_file_is_lost_is_named_and_renders_again(raw: Study, tmp_path: Path) -> None:
    scene = Scene(tmp_path, raw, layout="by-volume")
    expected = scene.expected("squashfs")
    for number in (1, 2):
        scene.apply("squashfs", shard=Shard(number, 2), jobs=1)
    scene.spools("squashfs")[0].unlink()
    error = scene.refused(IncompleteError, "squashfs", finish=True)
    (number,) = [each for each in (1, 2) if f"Shard {each} of 2" in error.message]
    assert f"--shard {number}/2" in error.hint
    scene.apply("squashfs", shard=Shard(number, 2))
    scene.apply("squashfs", finish=True)
    assert scene.output("squashfs").read_bytes() == expected


@pytest.mark.parametrize("count", [1, 19, 21])
def test_shards_and_finishes_that_are_interrupted_go_on(raw: Study, tmp_path: Path, count: int) -> None:
    scene = Scene(tmp_path, raw, layout="by-volume")
    expected = scene.expected("tar")
    for number in (1, 2):
        with suppress(InterruptedRunError):
            scene.apply("tar", stop_after(count), shard=Shard(number, 2), jobs=1)
        scene.apply("tar", shard=Shard(number, 2))
    with suppress(InterruptedRunError):
        scene.apply("tar", stop_after(count), finish=True, jobs=1)
    if not scene.output("tar").exists():
        scene.apply("tar", finish=True)
    assert scene.output("tar").read_bytes() == expected


def killed_shards(scene: Scene, mode: str, draw: random.Random) -> None:
    """Build in shards that are killed, in any order, and finish, which is killed too."""
    total = draw.choice((1, 2, 3, 5))
    for number in draw.sample(range(1, total + 1), total):
        for _ in range(draw.randint(0, 2)):
            attempt(scene, mode, draw.randint(1, 260), shard=Shard(number, total))
        scene.apply(mode, shard=Shard(number, total), jobs=draw.choice((1, 2)))
    for _ in range(draw.randint(0, 3)):
        if not scene.output(mode).exists():
            attempt(scene, mode, draw.randint(1, 260), finish=True)
    if not scene.output(mode).exists():
        scene.apply(mode, finish=True, jobs=draw.choice((1, 2)))


def attempt(scene: Scene, mode: str, at: int, **options: Any) -> None:
    """Work in a process that is killed at a call, if it comes so far."""

    def work() -> None:
        with faulty.calls(faulty.kill(at, after=bool(at % 2))):
            scene.apply(mode, jobs=1, **options)

    os.waitpid(in_a_child(work), 0)


def many_killed_shards(scene: Scene, mode: str, draw: random.Random, rounds: int) -> int:
    expected = scene.expected(mode)
    for _ in range(rounds):
        killed_shards(scene, mode, draw)
        assert scene.output(mode).read_bytes() == expected
        for path in scene.parent.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return rounds


@pytest.mark.parametrize("mode", PACKED)
def test_shards_and_finishes_that_are_killed(raw: Study, tmp_path: Path, mode: str) -> None:
    many_killed_shards(Scene(tmp_path, raw, layout="by-volume"), mode, random.Random(3), 3)


@pytest.mark.torture(row=8)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", PACKED)
def test_a_hundred_builds_in_shards_that_are_killed(raw: Study, tmp_path: Path, mode: str, trials: Trials) -> None:
    trials.count(many_killed_shards(Scene(tmp_path, raw, layout="by-volume"), mode, trials.draw, 100))


def test_batch_files_build_it_on_several_nodes(raw: Study, tmp_path: Path) -> None:
    scene = Scene(tmp_path, raw, layout="by-volume")
    files = api.slurm(scene.path, nodes=3, into=str(tmp_path), mode="squashfs")
    assert "--mode squashfs" in files.array
    with pytest.raises(UsageError) as caught:
        api.slurm(scene.path, nodes=7, into=str(tmp_path), mode="squashfs")
    assert "6 blocks" in caught.value.message


# ---- a full disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of its own."""
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


def noisy(root: Path) -> Study:
    """Write a study whose slices take 2 MB as PNG files."""
    draw = np.random.default_rng(5)
    values = {f"knee-{number}.png": draw.integers(0, 1 << 16, (300, 350)).astype(np.uint16) for number in range(20)}
    return coco(root, values)


@pytest.mark.parametrize("mode", PACKED)
def test_too_small_a_disk_is_refused_before_anything_is_written(disk: Path, tmp_path: Path, mode: str) -> None:
    scene = Scene(tmp_path, noisy(tmp_path / "study"))
    remount(disk, "size=3m")
    error = scene.refused(PlanError, mode, output=str(disk / "set"))
    assert error.kind == "no-space"
    assert "for the rendered slices, and for the file that they are then copied into" in error.message
    assert "build a folder with --mode copy" in error.hint
    assert list(disk.iterdir()) == []


def test_a_resume_asks_for_room_for_what_is_left_alone(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that was begun has its room already."""
    scene.stop_in_the_second_pass()
    monkeypatch.setattr(fs, "room", lambda _path: fs.Room(4096, None, 4096))
    assert scene.apply("squashfs", jobs=1).published


def test_clean_counts_what_was_rendered(scene: Scene) -> None:
    scene.stop_between("tar")
    (partial,) = api.clean(str(scene.parent))
    assert partial.bytes >= scene.spools("tar")[0].stat().st_size
    api.clean(str(scene.parent), remove=True)
    assert list(scene.parent.iterdir()) == []


@pytest.mark.parametrize("mode", PACKED)
@pytest.mark.parametrize("size", ["1m", "3m"], ids=["in the first pass", "in the second pass"])
def test_a_disk_that_is_full_in_a_pass_stops_it_and_it_resumes(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, size: str
) -> None:
    scene = Scene(tmp_path, noisy(tmp_path / "study"))
    expected = scene.expected(mode)
    remount(disk, f"size={size}")
    output = disk / "set"
    with monkeypatch.context() as patch:
        patch.setattr(fs, "room", lambda _path: fs.Room(None, None, 4096))  # a quota that statvfs does not show
        error = scene.refused(PlanbalanceError, mode, output=str(output))
    assert error.exit_code in {4, 5}
    assert "no space" in error.message or error.kind == "no-space"
    assert not output.exists()
    remount(disk, "size=64m")
    assert scene.apply(mode, output=str(output)).resumed
    assert output.read_bytes() == expected
