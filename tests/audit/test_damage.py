"""docs/reliability.md, row 5: all damage is found and named with its file, and nothing else is called damage."""

import itertools
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from planbalance.audit import dispatch
from planbalance.engine import ApplyOptions, apply_plan
from planbalance.errors import InputError, PlanError
from planbalance.executor import autoscaler
from planbalance.modes import Mode
from planbalance.relocate import relocate
from tests.audit.built import Built, built, found
from tests.audit.damages import DAMAGES
from tests.builders import LABELS, tree_state, write
from tests.conftest import Trials, memory_folder
from tests.disks import made_disk

ANYWHERE: tuple[tuple[Mode, bool], ...] = (
    ("copy", False),
    ("hardlink", False),
    ("hardlink", True),
    ("symlink", False),
    ("symlink", True),
    ("list", False),
    ("list", True),
)
MODES: tuple[tuple[Mode, bool], ...] = (*ANYWHERE, ("reflink", False), ("reflink", True))
FOUND_QUICKLY = {"missing", "extra", "size", "link-target", "dangling", "not-same-inode", "dataset-yaml", "metadata"}


@pytest.fixture(scope="module")
def clones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system whose files can share blocks."""
    kind = next((each for each in ("btrfs", "xfs") if shutil.which(f"mkfs.{each}")), "btrfs")
    with memory_folder(tmp_path_factory.mktemp("clones")) as folder, made_disk(folder, kind) as disk:
        yield disk.folder


@pytest.fixture
def where(mode: Mode, in_memory: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Where a mode can be tried."""
    if mode != "reflink":
        yield in_memory
        return
    folder = Path(tempfile.mkdtemp(dir=request.getfixturevalue("clones")))
    yield folder
    shutil.rmtree(folder)


def layout_for(mode: Mode, draw: random.Random) -> str:
    return "keep" if mode == "list" else draw.choice(("keep", "by-volume"))


def damaged_and_found(where: Path, kind: str, mode: Mode, seed: int, *, hashed: bool) -> bool:
    """Damage a dataset and see that it is found; return False where the damage does not exist in that mode."""
    draw = random.Random(f"{kind} {mode} {seed}")
    layout = layout_for(mode, draw)
    made = built(where, mode=mode, hashed=hashed, seed=seed, layout=layout)
    assert made.audit().ok
    wanted = DAMAGES[kind](made, draw)
    if wanted is None:
        return False
    before = tree_state(made.output)
    audit = made.audit()
    if mode in ("copy", "reflink") and kind == "source edited under a link":
        assert audit.ok
        assert wanted <= found(audit, "warning")
        return True
    assert not audit.ok
    assert wanted <= found(audit, "error"), (seed, audit.checks)
    assert tree_state(made.output) == before
    quick = made.audit(quick=True)
    assert {pair for pair in wanted if pair[0] in FOUND_QUICKLY} <= found(quick, "error")
    assert {check.name for check in quick.checks if check.ok is None} >= {"image-checksums", "labels", "balance"}
    return True


@pytest.mark.parametrize(("mode", "hashed"), MODES)
@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_found_and_named(where: Path, kind: str, mode: Mode, hashed: bool) -> None:
    damaged_and_found(where, kind, mode, 1, hashed=hashed)


@pytest.mark.torture(row=5)
@pytest.mark.parametrize("seed", range(2, 22))
@pytest.mark.parametrize(("mode", "hashed"), MODES)
@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_found_every_time(
    where: Path, kind: str, mode: Mode, hashed: bool, seed: int, trials: Trials
) -> None:
    trials.count(int(damaged_and_found(where, kind, mode, seed, hashed=hashed)))


def clean_tree(where: Path, seed: int) -> Built:
    draw = random.Random(seed)
    mode, hashed = draw.choice(ANYWHERE)
    letters = "".join(draw.choice((".", "_", "+")) for _ in range(7))
    tree = {f"{draw.randrange(100):02d}-{index:04d}": "." + letters[index % 7 :] + "+." for index in range(9)}
    tree |= {f"{draw.randrange(100):02d}-{index:04d}": "." * draw.randint(1, 9) for index in range(9, 18)}
    options: dict[str, Any] = {
        "layout": layout_for(mode, draw),
        "negatives_per_positive": draw.choice((None, Decimal(1), Decimal(2))),
        "volumes": tree,
        "apply": {"labels": draw.choice(("copy", "same"))} | ({"checksum": "none"} if draw.random() < 0.3 else {}),
    }
    if mode == "list":
        options["apply"] = {}
    return built(where, mode=mode, hashed=hashed, **options)


def used_by_a_trainer(made: Built, draw: random.Random) -> None:
    places = [made.output, *([made.source] if made.mode == "list" else [])]
    for folder, _, _ in [each for place in places for each in os.walk(place)]:
        if draw.random() < 0.5:
            write(Path(f"{folder}.cache"), b"cache") if folder != str(made.output) else None
            write(Path(folder) / "IM1.npy", b"array")


def no_false_alarm(where: Path, seed: int) -> None:
    made = clean_tree(where, seed)
    assert found(made.audit()) == set()
    used_by_a_trainer(made, random.Random(seed))
    for quick in (False, True):
        audit = made.audit(quick=quick)
        assert audit.ok, (seed, [check for check in audit.checks if check.problems])
        assert found(audit) == set()


@pytest.mark.parametrize("seed", range(8))
def test_a_clean_tree_is_clean_also_after_a_trainer_used_it(in_memory: Path, seed: int) -> None:
    no_false_alarm(in_memory, seed)


@pytest.mark.torture(row=5)
@pytest.mark.parametrize("seed", range(100, 600))
def test_no_clean_tree_is_called_damaged(in_memory: Path, seed: int) -> None:
    no_false_alarm(in_memory, seed)


@pytest.mark.parametrize(("mode", "hashed"), MODES)
def test_a_moved_tree_is_a_warning_that_says_where_trainers_read(where: Path, mode: Mode, hashed: bool) -> None:
    made = built(where, mode=mode, hashed=hashed)
    moved = Built(made.source, where / "moved", made.plan, mode, hashed)
    os.rename(made.output, moved.output)
    audit = moved.audit()
    assert audit.ok
    assert found(audit) == {("dataset-yaml", "dataset.yaml")}
    said = next(problem.message for check in audit.checks for problem in check.problems)
    assert said.startswith(f"moved; trainers read {made.output}")


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink"])
@pytest.mark.parametrize("hashed", [False, True])
def test_a_build_from_inputs_in_another_place_than_planned(tmp_path: Path, mode: Mode, hashed: bool) -> None:
    """`apply --map-input` and `relocate --source` record where links lead; times prove nothing there."""
    made = built(tmp_path, hashed=hashed)
    shutil.rmtree(made.output)
    shutil.copytree(made.source, tmp_path / "scratch", copy_function=shutil.copy)
    shutil.rmtree(made.source)
    pair = (str(made.source), str(tmp_path / "scratch"))
    apply_plan(made.plan, ApplyOptions(mode=mode, map_input=(pair,)))
    for quick in (False, True):
        assert found(made.audit(quick=quick)) == set()
    if mode == "symlink":
        one, other = made.images()[:2]
        (made.output / one).unlink()
        os.symlink(os.readlink(made.output / other), made.output / one)
        assert ("link-target", one) in found(made.audit(), "error")


def test_links_that_were_relocated_and_brought_back(tmp_path: Path) -> None:
    made = built(tmp_path, mode="symlink")
    places = [str(made.source), str(tmp_path / "elsewhere"), str(tmp_path / "third"), str(made.source)]
    for old, new in itertools.pairwise(places):
        os.rename(old, new)
        relocate(str(made.output), ((old, new),))
        for quick in (False, True):
            assert found(made.audit(quick=quick)) == set()


def test_a_copy_of_a_tree_of_hard_links_is_no_tree_of_broken_ones(tmp_path: Path) -> None:
    made = built(tmp_path, mode="hardlink")
    shutil.copytree(made.output, tmp_path / "copy")
    audit = Built(made.source, tmp_path / "copy", made.plan, "hardlink", hashed=False).audit()
    assert audit.ok
    links = next(check for check in audit.checks if check.name == "links")
    assert (links.ok, links.problems) == (None, ())
    assert "moved or copied" in links.reason


def test_a_tree_whose_inputs_are_gone_is_checked_as_far_as_it_can_be(tmp_path: Path) -> None:
    for mode in ("copy", "hardlink"):
        made = built(tmp_path / mode, mode=mode)
        shutil.rmtree(made.source)
        audit = made.audit()
        assert audit.ok
        by_name = {check.name: check for check in audit.checks}
        assert by_name["sources"].ok is None
        assert (by_name["links"].ok, by_name["files"].ok) == (None, True)
    made = built(tmp_path / "symlink", mode="symlink")
    shutil.rmtree(made.source)
    audit = made.audit()
    assert {path for kind, path in found(audit) if kind == "dangling"} == set(made.images())


@pytest.mark.parametrize("quick", [False, True])
def test_links_whose_source_was_moved_name_relocate_once(tmp_path: Path, quick: bool) -> None:
    made = built(tmp_path, mode="symlink")
    made.source.rename(tmp_path / "moved")
    links = next(check for check in made.audit(quick=quick).checks if check.name == "links")
    assert f"{len(made.images())} links lead to files that are gone" in links.reason
    assert links.reason.endswith(f"planbalance relocate {made.output} --source {made.source}=NEW")
    relocate(str(made.output), ((str(made.source), str(tmp_path / "moved")),))
    assert made.audit(quick=quick).ok


def test_a_few_dangling_links_are_counted_and_no_move_is_suggested(tmp_path: Path) -> None:
    made = built(tmp_path, mode="symlink")
    for image in made.images()[:2]:
        (made.output / image).resolve().unlink()
    links = next(check for check in made.audit().checks if check.name == "links")
    assert links.reason == "2 links lead to files that are gone"


@pytest.mark.parametrize("mode", ["symlink", "list"])
def test_relative_pairs_of_map_input_are_kept_as_what_they_name(
    tmp_path: Path, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = built(tmp_path)
    shutil.rmtree(made.output)
    made.source.rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    apply_plan(made.plan, ApplyOptions(mode=mode, map_input=((made.source.name, "moved"),)))
    assert found(made.audit()) == set()


def test_a_pipe_in_the_place_of_an_image_is_named_and_never_waited_for(tmp_path: Path) -> None:
    made = built(tmp_path)
    image, other = made.images()[:2]
    for path in (image, made.label_of(other)):
        (made.output / path).unlink()
        os.mkfifo(made.output / path)
    assert {("missing", image), ("missing", made.label_of(other))} <= found(made.audit(), "error")


@pytest.mark.parametrize("forked", [False, True])
def test_a_folder_in_the_place_of_an_image_is_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forked: bool
) -> None:
    if forked:
        monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.Limits(worth_forking=1))
    made = built(tmp_path)
    image = made.images()[0]
    (made.output / image).unlink()
    write(made.output / image / "IM9-99.png", b"trainers would load it")
    for quick in (False, True):
        audit = made.audit(quick=quick)
        assert found(audit, "error") >= {("missing", image), ("extra", f"{image}/IM9-99.png")}
        manifest = next(check for check in audit.checks if check.name == "manifest")
        assert manifest.ok


def test_a_folder_of_links_is_not_walked(tmp_path: Path) -> None:
    made = built(tmp_path)
    os.symlink("/", made.output / "images" / "root")
    os.symlink("..", made.output / "images" / "train" / "up")
    assert found(made.audit(), "error") == {("extra", "images/root"), ("extra", "images/train/up")}


def test_hidden_files_are_a_warning_since_trainers_pass_over_them(tmp_path: Path) -> None:
    made = built(tmp_path)
    write(made.output / "images/train/._IM1.png", b"1")
    audit = made.audit()
    assert (audit.ok, found(audit)) == (True, {("extra", "images/train/._IM1.png")})


def test_a_damaged_plan_in_the_dataset_fails_and_the_rest_is_audited_without_one(tmp_path: Path) -> None:
    made = built(tmp_path)
    plan = made.output / ".planbalance/plan.json"
    text = plan.read_bytes()
    for damaged in (
        text.replace(b'"train"', b'"val"', 1),
        text[:200],
        b"",
        b"{" * 100_000,
        text.replace(b"IM1", b"../", 1),
    ):
        plan.write_bytes(damaged)
        audit = made.audit()
        assert not audit.ok
        assert ("metadata", ".planbalance/plan.json") in found(audit, "error")
        assert next(check for check in audit.checks if check.name == "volume-overlap").ok is True
    plan.unlink()
    assert ("missing", ".planbalance/plan.json") in found(made.audit(), "error")
    os.mkfifo(plan)
    assert ("metadata", ".planbalance/plan.json") in found(made.audit(), "error")


def test_a_plan_that_the_caller_names_and_that_is_damaged_is_refused(tmp_path: Path) -> None:
    made = built(tmp_path)
    text = Path(made.plan.path).read_bytes()
    Path(made.plan.path).write_bytes(text[:-300])
    with pytest.raises(PlanError):
        made.audit(plan=made.plan.path)
    with pytest.raises(PlanError):
        made.audit(plan=str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    "damaged",
    [b"", b"[]", b"{}", b'{"schema":"planbalance/receipt/1"}', b'{"schema":"planbalance/receipt/1","mode":"x"}'],
)
def test_a_damaged_receipt_is_an_error_and_the_tree_tells_the_mode(tmp_path: Path, damaged: bytes) -> None:
    for mode in ("copy", "hardlink", "symlink"):
        made = built(tmp_path / mode, mode=mode)
        write(made.output / ".planbalance/receipt.json", damaged)
        assert found(made.audit()) == {("metadata", ".planbalance/receipt.json")}


def test_another_plan_than_the_one_that_was_built(tmp_path: Path) -> None:
    made = built(tmp_path / "one")
    other = built(tmp_path / "two", seed=5)
    audit = made.audit(plan=other.plan.path)
    assert {("metadata", ".planbalance/receipt.json"), ("dataset-yaml", "dataset.yaml")} <= found(audit, "error")


def test_without_its_own_folder_a_tree_is_audited_by_the_plan_that_is_named(tmp_path: Path) -> None:
    for mode in ("copy", "hardlink", "symlink"):
        made = built(tmp_path / mode, mode=mode)
        shutil.rmtree(made.output / ".planbalance")
        assert found(made.audit(plan=made.plan.path)) == set()


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("a line is gone", lambda text: text.partition(b"\n")[2]),
        ("a line is twice", lambda text: text.partition(b"\n")[0] + b"\n" + text),
        ("a line is none", lambda text: b"no sum\n" + text),
        ("a file more", lambda text: text + b"0" * 64 + b"  images/train/ghost.png\n"),
        ("another sum", lambda text: text.replace(text[:4], b"0000", 1)),
        ("empty", lambda _: b""),
    ],
)
def test_a_manifest_that_was_changed(tmp_path: Path, what: str, change: Any) -> None:
    made = built(tmp_path)
    manifest = made.output / "manifest-sha256.txt"
    manifest.write_bytes(change(manifest.read_bytes()))
    audit = made.audit()
    assert not audit.ok, what
    assert {kind for kind, _ in found(audit)} == {"checksum"}


def test_metadata_of_an_older_version_are_those_of_the_plan(tmp_path: Path) -> None:
    """Before 0.3, nothing counted the volumes with a kept slice; a count that is there must be right."""
    made = built(tmp_path, mode="symlink")
    path = made.output / "balanced_dataset_metadata.json"
    metadata = json.loads(path.read_text())
    kept = metadata["volume_statistics"].pop("kept_volumes")
    path.write_text(json.dumps(metadata))
    assert made.audit().ok
    metadata["volume_statistics"]["kept_volumes"] = kept | {"train": 0}
    path.write_text(json.dumps(metadata))
    assert ("metadata", path.name) in found(made.audit(), "error")


def test_hyperparameters_are_held_against_the_plan(tmp_path: Path) -> None:
    for mode in ("copy", "symlink"):
        made = built(tmp_path / mode, mode=mode, negatives_per_positive=Decimal(1))
        hyps = made.output / "hyps/hyp.balanced.yaml"
        hyps.write_text(hyps.read_text().replace("lr0: 0.005", "lr0: 0.5"))
        assert ("metadata", "hyps/hyp.balanced.yaml") in found(made.audit(), "error")
        hyps.unlink()
        assert ("missing", "hyps/hyp.balanced.yaml") in found(made.audit(), "error")


def test_invalid_lines_that_the_plan_keeps_are_warnings(tmp_path: Path) -> None:
    tree = {"01-1": ".+!", "01-2": ".+.", "01-3": "..+", "01-4": "...", "01-5": "....", "01-6": ".."}
    made = built(tmp_path, volumes=tree, invalid_label="keep")
    audit = made.audit()
    assert audit.ok
    assert sorted(kind for kind, _ in found(audit, "warning")) == ["label-invalid", "unreadable"]  # trainers drop it
    write(made.output / made.label_of(made.images()[0]), LABELS["!"])
    assert not made.audit().ok


def test_a_dataset_that_is_not_published(tmp_path: Path) -> None:
    made = built(tmp_path)
    partial = tmp_path / ".later.planbalance-partial"
    partial.mkdir()
    for path, kind in (
        (tmp_path / "later", "not-published"),
        (partial, "not-published"),
        (tmp_path / "no", "input-not-found"),
    ):
        with pytest.raises(InputError) as refused:
            Built(made.source, path, made.plan, "copy", hashed=False).audit()
        assert refused.value.kind == kind
        assert str(path) in refused.value.message


def test_labels_are_read_by_build_though_images_are_not(tmp_path: Path) -> None:
    made = built(tmp_path)
    label = next(path for path in map(made.label_of, made.images()) if (made.output / path).stat().st_size)
    text = (made.output / label).read_bytes()
    (made.output / label).write_bytes(text.replace(b"0.1", b"0.2"))
    assert made.audit(quick=True).ok
    audit = made.audit(quick=True, labels_by_content=True)
    assert found(audit) == {("checksum", label)}
    unread = {check.name for check in audit.checks if check.ok is None}
    assert "image-checksums" in unread
    assert not {"labels", "balance", "label-checksums"} & unread


@pytest.mark.parametrize("hashed", [False, True])
def test_clones_have_no_manifest_and_are_files_of_their_own(tmp_path: Path, hashed: bool) -> None:
    """Reflinks need a file system that has them: a copy whose receipt says so stands in for them."""
    made = built(tmp_path, hashed=hashed)
    (made.output / "manifest-sha256.txt").unlink()
    receipt = made.output / ".planbalance/receipt.json"
    receipt.write_text(receipt.read_text().replace('"mode": "copy"', '"mode": "reflink"'))
    clean = made.audit()
    assert found(clean) == set()
    assert next(check for check in clean.checks if check.name == "image-checksums").ok is (True if hashed else None)
    image = made.images()[0]
    (made.output / image).write_bytes(bytes((made.output / image).stat().st_size))
    assert made.audit().ok is not hashed


@pytest.mark.parametrize(("mode", "hashed"), [("copy", False), ("symlink", True)])
@pytest.mark.parametrize("kind", ["bit flip", "slice moved to another split", "file extra", "file missing"])
def test_worker_processes_and_threads_say_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, mode: Mode, hashed: bool
) -> None:
    made = built(tmp_path, mode=mode, hashed=hashed, layout=layout_for(mode, random.Random(2)))
    for quick in (False, True):
        clean = made.audit(quick=quick)
        with monkeypatch.context() as patch:
            patch.setattr(autoscaler, "LIMITS", autoscaler.Limits(worth_forking=1))
            patch.setattr(dispatch, "PIECE_BYTES", 200)
            assert made.audit(quick=quick) == clean
    DAMAGES[kind](made, random.Random(1))
    damaged = made.audit()
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.Limits(worth_forking=1))
    assert made.audit() == damaged


def test_a_damaged_plan_is_found_by_worker_processes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = built(tmp_path, layout="by-volume")
    plan = made.output / ".planbalance/plan.json"
    text = plan.read_bytes()
    monkeypatch.setattr(autoscaler, "LIMITS", autoscaler.Limits(worth_forking=1))
    for damaged in (text[:-300], text.replace(b".png", b".pnG", 9)):
        plan.write_bytes(damaged)
        audit = made.audit()
        assert ("metadata", ".planbalance/plan.json") in found(audit, "error")
        assert next(check for check in audit.checks if check.name == "volume-overlap").ok is True
