"""The audit of a dataset in one file: the same verdict as of the folder, and every damage is found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from planbalance import api, packed_dataset
from planbalance.dataset_files import MANIFEST
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import InputError, PlanbalanceError, PlanError, UsageError
from planbalance.model import Audit
from planbalance.packed import tar_layout
from planbalance.packed.folder import PackedFolder
from planbalance.packed.squashfs_reader import SquashfsReader
from tests.builders import image_bytes, yolo_tree
from tests.conftest import Trials
from tests.engine.plans import saved_plan
from tests.packed import images

VOLUMES = {"01-a": ".+_", "02-b": "..-+", "03-c": "+.", "04-d": "....."}
PACKED = {"squashfs": ".sqfs", "tar": ".tar"}


def built(root: Path, mode: str, **options: Any) -> Path:
    source = yolo_tree(root / "in", VOLUMES)
    plan = saved_plan([source], root / "set", root / "plan.json")
    outcome = apply_plan(plan, ApplyOptions(mode=mode, **options))  # type: ignore[arg-type]  # parametrized
    return Path(outcome.output)


def failed(audit: Audit) -> dict[str, set[str]]:
    """Return the kinds of the errors, by check."""
    found = {
        check.name: {problem.kind for problem in check.problems if problem.severity == "error"}
        for check in audit.checks
    }
    return {name: kinds for name, kinds in found.items() if kinds}


@pytest.mark.parametrize("mode", PACKED)
@pytest.mark.parametrize("quick", [False, True])
def test_an_undamaged_one_passes_every_check_that_a_copy_passes(tmp_path: Path, mode: str, quick: bool) -> None:
    packed = api.verify(str(built(tmp_path, mode)), quick=quick)
    copied = api.verify(str(built(tmp_path, "copy")), quick=quick)
    assert packed.ok
    assert {check.name: (check.ok, check.count) for check in packed.checks} == {
        check.name: (check.ok, check.count) for check in copied.checks
    }
    assert packed.leaks == copied.leaks
    assert packed.loads == copied.loads


@pytest.mark.parametrize("mode", PACKED)
def test_it_is_found_by_its_plan_alone(tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path, mode)
    monkeypatch.chdir(tmp_path)
    assert api.verify(plan="plan.json").ok


def changed(output: Path, old: bytes, new: bytes) -> None:
    """Replace bytes of a file that was built; there must be one place."""
    data = output.read_bytes()
    assert data.count(old) >= 1
    assert len(old) == len(new)
    output.write_bytes(data.replace(old, new, 1))


@pytest.mark.parametrize("mode", PACKED)
def test_a_changed_image_is_found(tmp_path: Path, mode: str) -> None:
    output = built(tmp_path, mode)
    data = image_bytes("01-a/2")
    changed(output, data, data[:-1] + bytes([data[-1] ^ 1]))
    audit = api.verify(str(output))
    assert failed(audit) == {"image-checksums": {"checksum"}}
    assert api.verify(str(output), quick=True).ok, "quick does not read images"


@pytest.mark.parametrize("mode", PACKED)
def test_a_changed_label_is_found(tmp_path: Path, mode: str) -> None:
    output = built(tmp_path, mode)
    changed(output, b"0 0.5 0.5 0.1 0.2\n", b"7 0.5 0.5 0.1 0.2\n")
    assert "checksum" in failed(api.verify(str(output)))["label-checksums"]


@pytest.mark.parametrize("mode", PACKED)
def test_a_changed_manifest_is_found(tmp_path: Path, mode: str) -> None:
    output = built(tmp_path, mode)
    dataset = packed_dataset.open_dataset(str(output))
    assert dataset is not None
    entry = dataset.entry(MANIFEST)
    assert entry is not None
    line = dataset.read(entry, 1 << 20).splitlines()[1]
    changed(output, line, b"0" * 64 + line[64:])
    assert failed(api.verify(str(output)))


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    output = built(tmp_path, "squashfs")
    os.truncate(output, output.stat().st_size - 4096)
    with pytest.raises(InputError) as caught:
        api.verify(str(output))
    assert (caught.value.exit_code, caught.value.kind) == (3, "packed-unreadable")
    assert "cut off" in caught.value.message


def test_a_tar_with_a_file_that_is_not_planned(tmp_path: Path) -> None:
    output = built(tmp_path, "tar")
    data = output.read_bytes().rstrip(b"\0")
    data += bytes(-len(data) % 512)
    extra = tar_layout.header("images/train/extra.png", 3, 0) + b"abc" + bytes(509)
    output.write_bytes(data + extra + bytes(1024))
    assert failed(api.verify(str(output))) == {"files": {"extra"}, "counts": {"counts"}}


def test_a_tar_that_holds_a_path_twice_is_refused(tmp_path: Path) -> None:
    output = built(tmp_path, "tar")
    data = output.read_bytes().rstrip(b"\0")
    data += bytes(-len(data) % 512)
    extra = tar_layout.header("dataset.yaml", 0, 0)
    output.write_bytes(data + extra + bytes(1024))
    with pytest.raises(InputError, match="twice"):
        api.verify(str(output))


def test_damage_is_found_the_same_whether_names_are_read_at_once_or_one_by_one(
    tmp_path: Path, trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = built(tmp_path, "squashfs")
    data = output.read_bytes()
    tables = int.from_bytes(data[64:72], "little")  # of inodes, names and fragments; content lies before
    at_once, listed = SquashfsReader._folders_at_once, []

    def counted(reader: SquashfsReader) -> dict[str, PackedFolder] | None:
        found = at_once(reader)
        listed.append(found is not None)
        return found

    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(trials.draw.choice((1, 1, 3))):
            damaged[trials.draw.randrange(tables, len(data))] = trials.draw.randrange(256)
        output.write_bytes(damaged)
        said = []
        for way in (counted, lambda _: None):
            monkeypatch.setattr(SquashfsReader, "_folders_at_once", way)
            said.append(verdict(output))
        assert said[0] == said[1]
    assert sum(listed) > 10
    trials.count(60)


def verdict(output: Path) -> object:
    try:
        return api.verify(str(output))
    except PlanbalanceError as error:
        return (error.kind, error.message)


@pytest.mark.parametrize("mode", PACKED)
def test_plans_are_shown_and_compared_from_it(tmp_path: Path, mode: str) -> None:
    output = built(tmp_path, mode)
    assert api.open_plan(str(output)).header == api.open_plan(str(tmp_path / "plan.json")).header
    assert len(list(api.open_plan(str(output)).operations())) == 14
    assert api.diff(str(output), str(tmp_path / "plan.json")).identical


@pytest.mark.parametrize("mode", PACKED)
def test_its_yaml_is_printed_for_a_mount(tmp_path: Path, mode: str) -> None:
    output = built(tmp_path, mode)
    before = output.read_bytes()
    assert api.packed_yaml(str(output), "/data").startswith('path: "/data"\n')
    with pytest.raises(UsageError):
        api.packed_yaml(str(output), "data")
    with pytest.raises(InputError, match="never changed"):
        api.relocate(str(output))
    assert output.read_bytes() == before


@pytest.mark.parametrize("mode", PACKED)
def test_a_page_is_made_of_it(tmp_path: Path, mode: str) -> None:
    output = built(tmp_path, mode)
    reported = api.report(str(output), html=str(tmp_path / "page.html"), audit="full")
    assert reported.audit is not None
    assert reported.audit.ok
    with pytest.raises(UsageError):
        api.report(str(output), html=str(output))


def test_a_shard_cannot_keep_its_result_in_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one file, which is never changed"):
        api.verify(str(built(tmp_path, "squashfs")), shard="1/2")


# ---- made by other tools --------------------------------------------------------------------------------------------


def foreign(root: Path) -> Path:
    """Return a folder that another tool made, with a volume in two splits."""
    folder = root / "foreign"
    shutil.copytree(yolo_tree(root / "in", VOLUMES), folder)
    for what, suffix in (("images", "png"), ("labels", "txt")):
        (folder / what / "val").mkdir()
        (folder / what / "train" / f"IM3-04-d.{suffix}").rename(folder / what / "val" / f"IM3-04-d.{suffix}")
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames: [tear]\n", encoding="utf-8")
    return folder


def pack(tool: str, folder: Path, output: Path) -> None:
    images.need(tool)
    words = {
        "mksquashfs": ["mksquashfs", str(folder), str(output), "-quiet", "-no-progress"],
        "gensquashfs": ["gensquashfs", "-q", "-D", str(folder), str(output)],
        "tar": ["tar", "-cf", str(output), "-C", str(folder.parent), folder.name],
        "sqfstar": ["sh", "-c", f"tar -cf - -C '{folder}' . | sqfstar -quiet -no-progress '{output}'"],
    }
    subprocess.run(words[tool], check=True, capture_output=True)


def comparable(audit: Audit, root: str) -> list[Any]:
    return [
        (check.name, check.ok, check.count, sorted(str(problem).replace(root, "") for problem in check.problems))
        for check in audit.checks
    ]


@pytest.mark.parametrize("tool", ["mksquashfs", "gensquashfs", "sqfstar", "tar"])
@pytest.mark.parametrize("quick", [False, True])
def test_one_of_another_tool_is_audited_as_its_folder(tmp_path: Path, tool: str, quick: bool) -> None:
    folder, output = foreign(tmp_path), tmp_path / "foreign.packed"
    pack(tool, folder, output)
    audit = api.verify(str(output), quick=quick)
    assert not audit.ok
    assert failed(audit) == {"volume-overlap": {"volume-overlap"}}
    shown = f"{output}/foreign" if tool == "tar" else str(output)
    assert comparable(audit, shown) == comparable(api.verify(str(folder), quick=quick), str(folder))


LABELS = {
    "twice": b"0 0.5 0.5 0.1 0.2\n0 0.5 0.5 0.1 0.2\n",
    "outside": b"0 0.5 0.5 0.1 1e3\n",
    "blank": b" \n\t\n",
    "letters": b"tear 0.5 0.5 0.1 0.2\n",
    "not text": b"\xff\x00 0.5\n",
}


@pytest.mark.parametrize("tool", ["mksquashfs", "tar"])
@pytest.mark.parametrize("listed", [False, True])
def test_its_labels_are_read_as_those_of_its_folder(tmp_path: Path, tool: str, listed: bool) -> None:
    folder, output = foreign(tmp_path), tmp_path / "foreign.packed"
    train = folder / "labels/train"
    for path, data in zip(sorted(train.iterdir()), LABELS.values(), strict=False):
        path.write_bytes(data)
    (train / "classes.txt").write_text("tear\n")
    (train / "IM99-09-z.txt").mkdir()
    (train / "orphan.txt").write_bytes(b"0 0.5 0.5 0.1 0.2\n")
    (folder / "images/train/IM7-07-g.png").write_bytes(image_bytes("new"))
    (folder / "images/train/IM7-07-g.txt").write_bytes(b"0 0.5 0.5 0.1 0.2\n")  # beside its image
    if listed:
        for split in ("train", "val"):
            names = sorted(path.name for path in (folder / "images" / split).glob("*.png"))
            (folder / f"{split}.txt").write_text("".join(f"./images/{split}/{name}\n" for name in names))
        (folder / "data.yaml").write_text("train: train.txt\nval: val.txt\nnames: [tear]\n", encoding="utf-8")
    pack(tool, folder, output)
    audit, shown = api.verify(str(output)), f"{output}/foreign" if tool == "tar" else str(output)
    whole = api.verify(str(folder))
    assert comparable(audit, shown) == comparable(whole, str(folder))
    assert (audit.loads, audit.counts) == (whole.loads, whole.counts)
    assert any("labels" in check.name and check.problems for check in audit.checks)


def test_a_folder_for_temporary_files_may_be_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, output = foreign(tmp_path), tmp_path / "foreign.packed"
    pack("mksquashfs", folder, output)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "link"))
    assert comparable(api.verify(str(output)), str(output)) == comparable(api.verify(str(folder)), str(folder))


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, output = foreign(tmp_path), tmp_path / "foreign.packed"
    pack("mksquashfs", folder, output)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)
    assert comparable(api.verify(str(output)), str(output)) == comparable(api.verify(str(folder)), str(folder))


def test_it_is_compared_with_another_dataset(tmp_path: Path) -> None:
    folder, output = foreign(tmp_path), tmp_path / "foreign.sqfs"
    pack("mksquashfs", folder, output)
    audit = api.verify(str(output), against=[str(folder)])
    other = api.verify(str(folder), against=[str(output)])
    assert {leak["kind"] for leak in audit.leaks} == {leak["kind"] for leak in other.leaks}
    assert any("against" in str(leak) or "across" in str(leak) or leak["kind"] for leak in audit.leaks)


def test_nothing_is_left_in_the_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, output = foreign(tmp_path), tmp_path / "foreign.sqfs"
    pack("mksquashfs", folder, output)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    api.verify(str(output))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_file_that_is_neither_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.sqfs").write_bytes(b"nothing" * 100)
    with pytest.raises(InputError) as caught:
        api.verify(str(tmp_path / "x.sqfs"))
    assert caught.value.kind == "packed-unreadable"
    with pytest.raises(PlanError):
        api.open_plan(str(tmp_path / "x.sqfs"))


def test_the_command_ends_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(bytes(range(256)) * 40)
    ended = subprocess.run(
        [sys.executable, "-m", "planbalance", "verify", str(tmp_path / "x.tar")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "Traceback" not in ended.stderr
