import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from planbalance import fs, planstore
from planbalance.errors import PlanbalanceError, PlanError, UsageError
from planbalance.planfile import SealedPlan, seal
from planbalance.planstore import PlanFile, save_plan
from tests.plans import document, draft, operation, small_operations, small_plan


def saved(folder: Path, sealed: SealedPlan | None = None) -> str:
    path = str(folder / "plan.json")
    save_plan(path, sealed or small_plan())
    return path


# ---- saving ---------------------------------------------------------------------------------------------------------


def test_a_saved_plan_is_its_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = saved(tmp_path)
    assert Path(path).read_bytes() == document(small_plan())
    assert os.listdir(tmp_path) == ["plan.json"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_saved_plan_has_the_mode_of_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        path = saved(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == mode


def test_an_old_plan_is_replaced(tmp_path: Path) -> None:
    saved(tmp_path)
    path = saved(tmp_path, small_plan(output="/data/elsewhere"))
    assert PlanFile.open(path).header.output == "/data/elsewhere"


def test_through_a_link_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "plan.json").symlink_to("shared/plan.json")
    saved(tmp_path)
    assert (tmp_path / "plan.json").is_symlink()
    assert os.listdir(tmp_path / "shared") == ["plan.json"]


def test_the_present_folder_is_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_plan("plan.json", small_plan())
    PlanFile.open("plan.json").check()


def test_a_missing_folder_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="folder of the plan file does not exist") as refusal:
        save_plan(str(tmp_path / "none" / "plan.json"), small_plan())
    assert refusal.value.exit_code == 2
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["a folder", "a pipe"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "plan.json")
    with pytest.raises(UsageError, match="would replace a folder or a device"):
        saved(tmp_path)
    assert os.listdir(tmp_path) == ["plan.json"]


@pytest.mark.parametrize("call", ["open", "fsync", "rename"])
def test_a_failed_call_leaves_the_old_plan_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    saved(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(PlanError, match=r"cannot be written.*No space left") as refusal:
        saved(tmp_path, small_plan(output="/data/elsewhere"))
    monkeypatch.undo()
    assert (refusal.value.kind, refusal.value.exit_code) == ("plan-not-written", 4)
    assert os.listdir(tmp_path) == ["plan.json"]
    assert (tmp_path / "plan.json").read_bytes() == document(small_plan())


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saved(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PlanError, match="Permission denied"):
        saved(tmp_path)
    tmp_path.chmod(0o700)


# ---- opening --------------------------------------------------------------------------------------------------------


def no_file(path: Path) -> None:
    """Leave the place empty."""


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        pytest.param(no_file, "plan-not-found", "does not exist", id="nothing"),
        pytest.param(Path.mkdir, "plan-not-found", "no regular file", id="a folder"),
        pytest.param(os.mkfifo, "plan-not-found", "no regular file", id="a pipe nobody writes to"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), "plan-not-found", "no regular file", id="a device"),
        pytest.param(lambda path: path.symlink_to(path), "plan-unreadable", "symbolic links", id="a link to itself"),
        pytest.param(lambda path: path.symlink_to("gone"), "plan-not-found", "does not exist", id="a dangling link"),
        pytest.param(Path.touch, "plan-damaged", "empty", id="an empty file"),
    ],
)
@pytest.mark.parametrize("allow_edited", [False, True])
def test_what_is_no_plan_file_is_said(
    tmp_path: Path, make: Callable[[Path], None], kind: str, words: str, allow_edited: bool
) -> None:
    path = tmp_path / "plan.json"
    make(path)
    with pytest.raises(PlanError) as refusal:
        PlanFile.open(str(path), allow_edited=allow_edited)
    assert refusal.value.kind == kind
    assert words in refusal.value.message or allow_edited
    assert str(path) in refusal.value.message
    assert refusal.value.paths == (str(path),)
    assert refusal.value.hint


@pytest.mark.parametrize("path", ["a\0b", "x" * 300, "plan.json/below", ""])
def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    saved(tmp_path)
    with pytest.raises(PlanError):
        PlanFile.open(path)


def test_a_first_line_without_end_is_not_read_to_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planstore, "HEADER_BYTES", 1 << 21)
    with open(tmp_path / "plan.json", "wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(PlanError, match="does not end in"):
        PlanFile.open(str(tmp_path / "plan.json"))


def test_the_hint_says_how_to_make_a_plan(tmp_path: Path) -> None:
    with pytest.raises(PlanError) as refusal:
        PlanFile.open(str(tmp_path / "plan.json"))
    assert "`planbalance plan INPUT --output DIR`" in refusal.value.hint


# ---- reading --------------------------------------------------------------------------------------------------------


def opened(tmp_path: Path, kind: str) -> PlanFile:
    if kind == "in memory":
        return PlanFile.of(small_plan())
    return PlanFile.open(saved(tmp_path), allow_edited=kind == "edited")


@pytest.mark.parametrize("kind", ["on disk", "edited", "in memory"])
def test_a_plan_reads_the_same_however_it_is_held(tmp_path: Path, kind: str) -> None:
    plan = opened(tmp_path, kind)
    plan.check()
    assert plan.header == small_plan().header
    assert list(plan.operations()) == sorted(small_operations(), key=lambda each: each.image)
    assert [len(plan.read_block(index)) for index in (2, 0, 1)] == [3, 3, 8]
    assert b"".join(plan.parts()) == document(small_plan())
    assert plan.path == ("" if kind == "in memory" else str(tmp_path / "plan.json"))


def test_a_plan_replaced_meanwhile_is_read_as_it_was(tmp_path: Path) -> None:
    plan = PlanFile.open(saved(tmp_path))
    saved(tmp_path, seal(draft([operation()]), [operation()]))
    plan.check()
    assert sum(1 for _ in plan.operations()) == 14


@pytest.mark.parametrize("use", [PlanFile.check, lambda plan: list(plan.operations()), lambda plan: list(plan.parts())])
def test_a_plan_cut_off_meanwhile_is_refused(tmp_path: Path, use: Callable[[PlanFile], object]) -> None:
    path = saved(tmp_path)
    plan = PlanFile.open(path)
    os.truncate(path, os.path.getsize(path) - 200)
    with pytest.raises(PlanError) as refusal:
        use(plan)
    assert refusal.value.kind == "plan-damaged"
    assert path in refusal.value.message


def test_small_blocks_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a remote file system each read is a round trip, and by volume a block has ten slices."""
    plan = PlanFile.open(saved(tmp_path))
    reads: list[int] = []
    pread = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        reads.append(offset)
        return pread(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", counted)
    assert len(list(plan.operations())) == 14
    assert len(plan.header.blocks) == 3
    assert len(reads) == 2  # the second finds the end


def test_a_stretch_that_was_read_ahead_is_no_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path)
    for ahead in (1, 100, 1000):
        monkeypatch.setattr(planstore, "READ_AHEAD", ahead)
        plan = PlanFile.open(path)
        assert b"".join(plan.parts()) == document(small_plan())
        assert [len(plan.read_block(index)) for index in (2, 0, 1)] == [3, 3, 8]


def test_blocks_can_be_read_by_several_threads(tmp_path: Path) -> None:
    plan = PlanFile.open(saved(tmp_path))
    expected = [plan.read_block(index) for index in range(3)]
    wrong: list[bool] = []

    def read() -> None:
        wrong.extend(plan.read_block(number % 3) != expected[number % 3] for number in range(60))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [False] * 240


def test_a_plan_is_closed_once_nothing_refers_to_it(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        PlanFile.open(path)
        with pytest.raises(PlanbalanceError):
            PlanFile.open(os.devnull)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_all_collisions_are_listed_in_one_pass() -> None:
    operations = small_operations()
    wrong = [
        each._replace(split="val", volume="04", image=each.image.replace("IM", "im").replace("train", "val"))
        for each in operations[:5]
    ]
    everything = [*operations, *wrong]
    with pytest.raises(PlanError) as refusal:
        PlanFile.of(seal(draft(everything), everything)).check()
    assert refusal.value.kind == "plan-hostile"
    assert refusal.value.paths == tuple(sorted(f"/data/in/{each.image}" for each in wrong))
    assert "(5 in all)" in refusal.value.message


def test_counts_that_differ_from_the_operations_are_refused() -> None:
    operations = small_operations()
    header = draft(operations)
    positives = [volume._replace(positives=0) for volume in header.volumes]
    with pytest.raises(PlanError, match="volume '01' are not as many"):
        PlanFile.of(seal(header._replace(volumes=tuple(positives)), operations)).check()


# ---- what is kept ---------------------------------------------------------------------------------------------------


def test_a_different_plan_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    path = saved(tmp_path)
    older = Path(path).read_bytes()
    assert save_plan(path, small_plan(output="/data/elsewhere")) == f"{path}.bak"
    assert (tmp_path / "plan.json.bak").read_bytes() == older
    assert PlanFile.open(path).header.output == "/data/elsewhere"


def test_the_same_plan_and_a_first_plan_keep_nothing(tmp_path: Path) -> None:
    assert save_plan(str(tmp_path / "plan.json"), small_plan()) == ""
    assert save_plan(str(tmp_path / "plan.json"), small_plan()) == ""
    assert os.listdir(tmp_path) == ["plan.json"]


@pytest.mark.parametrize("linked", [True, False], ids=["hard links", "no hard links"])
def test_of_several_different_plans_none_is_lost_and_none_is_kept_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, linked: bool
) -> None:
    if not linked:
        monkeypatch.setattr(os, "link", no_links)
    plans = [small_plan(output=f"/data/out{number}") for number in range(3)]
    path = str(tmp_path / "plan.json")
    kept = [save_plan(path, plans[number]) for number in (0, 1, 2, 1, 2, 0)]
    assert [os.path.basename(name) for name in kept] == [
        "", "plan.json.bak", "plan.json.bak2", "plan.json.bak3", "plan.json.bak2", "plan.json.bak3",
    ]  # fmt: skip
    there = {(tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}
    assert there == {document(plan) for plan in plans}


def no_links(*_arguments: object, **_settings: object) -> None:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@pytest.mark.parametrize("there", [b"my notes\n", b""], ids=["notes", "an empty file"])
def test_a_file_that_is_no_plan_is_kept_too(tmp_path: Path, there: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(there)
    (tmp_path / "plan.json.bak").write_bytes(b"somebody's own backup")
    assert save_plan(str(tmp_path / "plan.json"), small_plan()) == str(tmp_path / "plan.json.bak2")
    assert (tmp_path / "plan.json.bak2").read_bytes() == there
    assert (tmp_path / "plan.json.bak").read_bytes() == b"somebody's own backup"


def test_a_folder_or_a_link_in_the_place_of_the_kept_file_is_left_alone(tmp_path: Path) -> None:
    path = saved(tmp_path)
    (tmp_path / "plan.json.bak").mkdir()
    (tmp_path / "plan.json.bak2").symlink_to("plan.json")
    assert save_plan(path, small_plan(output="/data/elsewhere")) == f"{path}.bak3"
    assert (tmp_path / "plan.json.bak2").is_symlink()


def test_behind_a_link_the_older_plan_is_kept_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    saved(tmp_path / "shared")
    (tmp_path / "plan.json").symlink_to("shared/plan.json")
    kept = save_plan(str(tmp_path / "plan.json"), small_plan(output="/data/elsewhere"))
    assert kept == str(tmp_path / "shared/plan.json.bak")


def test_the_plan_of_another_user_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path)
    before = Path(path).read_bytes()
    monkeypatch.setattr("planbalance.fs.owner_of_another", lambda _path: 0)
    with pytest.raises(UsageError, match=r"belongs to root and is not replaced: .*--plan-file") as refusal:
        save_plan(path, small_plan(output="/data/elsewhere"))
    assert (refusal.value.exit_code, refusal.value.kind) == (2, "plan-of-another-user")
    assert (os.listdir(tmp_path), Path(path).read_bytes()) == (["plan.json"], before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_owner_is_seen_unless_all_files_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path)
    assert fs.owner_of_another(path) is None
    os.chown(path, 4321, -1)
    assert fs.owner_of_another(path) == 4321
    os.chown(path, os.geteuid(), -1)
    monkeypatch.setattr(os, "geteuid", lambda: 4321)  # a mount that gives every file one owner
    assert fs.owner_of_another(path) is None
    assert os.listdir(tmp_path) == ["plan.json"]
