"""Hidden patients: names tell nothing of them, and headers, maps or pictures show them before the split is made."""

import csv
import json
import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from planbalance import api
from planbalance.alike_volumes import find_alike_volumes
from planbalance.errors import InputError, PlanbalanceError, UsageError
from planbalance.look_alikes import VolumePair, decide, planned_pairs
from planbalance.model import Audit, Check, Silent
from planbalance.page.commands import steps
from tests.builders import LABELS, mixed_volumes, tree_state, write, yolo_tree
from tests.hidden import FOUND, PlantedPair, demo_volumes, plant_patients, write_volume
from tests.mri import volume
from tests.test_dicom import dicom_bytes

GROUPS = "group-overlap"
pytestmark = pytest.mark.xdist_group("hidden")  # the drawn volumes are made once


def plan(folder: Path, name: str = "plan", **options: Any) -> api.Planned:
    return api.plan(
        str(folder / "in"), output=str(folder / f"{name}-out"), plan_file=str(folder / f"{name}.json"), **options
    )


def split_of(made: api.Planned) -> dict[str, str]:
    return {one.id: one.split for one in made.header.volumes}


def groups(made: api.Planned) -> Any:
    return made.header.parameters["groups"]


def drawn(count: int, *, size: int = 128, slices: int = 16, first: int = 0) -> list[list[Image.Image]]:
    return [
        [Image.fromarray(pixels) for pixels in volume(seed, size=size, slices=slices)]
        for seed in range(first, first + count)
    ]


def pairs_in(root: Path) -> list[VolumePair]:
    found = api.scan(str(root), volume_pattern="im-dash")
    return list(find_alike_volumes(found.snapshot.inputs, found.volumes, jobs=1, progress=Silent()).pairs)


# ---- pictures: how many are found, and how many joins are wrong -----------------------------------------------------


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[PlantedPair]]:
    """Return 26 drawn people, and copies of 13 of them, each altered in another way."""
    root = tmp_path_factory.mktemp("hidden")
    return root, plant_patients(root / "in", drawn(26, slices=14), FOUND, every=2)


def test_planted_patients_are_found_and_nobody_else_is_joined(planted: tuple[Path, list[PlantedPair]]) -> None:
    root, copies = planted
    joined = {(one.left, one.right) for one in pairs_in(root / "in") if one.is_certain}
    right = {(copy.original, copy.copy) for copy in copies}
    assert len(right & joined) >= 0.95 * len(right), [
        one.kind for one in copies if (one.original, one.copy) not in joined
    ]
    assert not joined - right


def test_nobody_is_joined_in_a_set_without_hidden_patients(tmp_path: Path) -> None:
    """The demo's knees are one model, moved and scaled: more alike than those of people."""
    for index, pictures in enumerate(demo_volumes(7)):
        write_volume(tmp_path, f"01-{index + 1:04d}", pictures)
    assert not [one for one in pairs_in(tmp_path) if one.is_certain]


# ---- the whole way: plan, CSV, answer, plan -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return 12 drawn people; 01-0001 and 01-0007 are there again, the first as JPEG, the other in part as JPEG 30."""
    root = tmp_path_factory.mktemp("small")
    for index, pictures in enumerate(drawn(12, slices=12, first=50)):
        write_volume(root / "in", f"01-{index + 1:04d}", pictures)
        if index == 0:
            write_volume(root / "in", "77-0001", pictures, FOUND["re-encoded as JPEG 75"])
        if index == 6:
            parts = [*pictures[:5], *drawn(1, slices=12, first=90)[0][5:]]
            write_volume(root / "in", "77-0003", parts)
    write(root / "in/dataset.yaml", b"train: images/train\nval: images/train\nnames: [tear]\n")
    return root


CERTAIN = ("01-0001", "77-0001")
POSSIBLE = ("01-0007", "77-0003")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def answered(source: Path, target: Path, **answers: str) -> Path:
    rows = rows_of(source)
    for row in rows:
        row["same_patient"] = answers.get(row["volume_b"].replace("-", "_"), "")
    with target.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return target


def test_pairs_are_joined_or_asked_about_and_answers_decide(small: Path, tmp_path: Path) -> None:
    os.symlink(small / "in", tmp_path / "in")
    made = plan(tmp_path, group_from="look-alikes")
    pairs = {(one.left, one.right): one for one in planned_pairs(made.header.parameters)}
    assert list(pairs) == [CERTAIN, POSSIBLE]
    assert pairs[CERTAIN].joined
    assert not pairs[POSSIBLE].joined
    found = groups(made)
    assert found["by"] == "volume"
    assert found["sources"] == [{"source": "look-alikes", "joins": 1, "alone": 1, "sets": [list(CERTAIN)]}]
    assert found["count"] == len(made.header.volumes) - 1
    assert split_of(made)[CERTAIN[0]] == split_of(made)[CERTAIN[1]]
    assert any("Volumes that look alike were put into one group: 01-0001 / 77-0001." in one for one in made.warnings)
    assert any("NOT put into one group" in one and "01-0007 / 77-0003" in one for one in made.warnings)
    sheet = tmp_path / "plan-look-alikes.csv"
    assert made.pairs_file == str(sheet)
    assert [(row["volume_a"], row["volume_b"], row["joined"], row["same_patient"]) for row in rows_of(sheet)] == [
        (*CERTAIN, "yes", ""),
        (*POSSIBLE, "no", ""),
    ]
    assert plan(tmp_path, group_from="look-alikes").header.digest == made.header.digest

    filled = answered(sheet, tmp_path / "filled.csv", **{"77_0001": "no", "77_0003": "yes"})
    decided = plan(tmp_path, "decided", group_from="look-alikes", look_alikes=str(filled))
    answers = {
        (one.left, one.right): (one.joined, one.same_patient) for one in planned_pairs(decided.header.parameters)
    }
    assert answers == {CERTAIN: (False, False), POSSIBLE: (True, True)}
    assert split_of(decided)[POSSIBLE[0]] == split_of(decided)[POSSIBLE[1]]
    again = plan(tmp_path, "decided", group_from="look-alikes", look_alikes=str(filled))
    assert again.header.digest == decided.header.digest
    step = steps(decided.header, "plan.json")[0]
    assert "--group-from look-alikes" in step.command
    assert "--look-alikes" in step.command


def test_a_csv_that_a_person_filled_is_never_overwritten(small: Path, tmp_path: Path) -> None:
    os.symlink(small / "in", tmp_path / "in")
    asked: dict[str, Any] = {"group_from": ["look-alikes"]}
    sheet = Path(plan(tmp_path, **asked).pairs_file)
    sheet.write_text(sheet.read_text() + "\n")  # nothing was answered: written anew
    assert Path(plan(tmp_path, **asked).pairs_file) == sheet
    filled = answered(sheet, sheet, **{"77_0003": "yes"}).read_bytes()
    second = plan(tmp_path, **asked)
    assert second.pairs_file == str(tmp_path / "plan-look-alikes-2.csv")
    assert any(f"{sheet} has answers" in one for one in second.warnings)
    assert sheet.read_bytes() == filled
    given_back = plan(tmp_path, look_alikes=str(sheet), **asked)
    assert given_back.pairs_file == str(sheet)
    assert not any("has answers" in one for one in given_back.warnings)
    assert sheet.read_bytes() == filled


def test_the_audit_knows_the_groups_of_look_alikes(small: Path, tmp_path: Path) -> None:
    os.symlink(small / "in", tmp_path / "in")
    made = plan(tmp_path, group_from="look-alikes")
    api.apply(made.path)
    out = tmp_path / "plan-out"
    check = group_check(api.verify(str(out)))
    assert check.ok is None  # patients are not known, and that is said
    assert "1 group of volumes that the plan joined: each in one split" in check.reason
    home = split_of(made)[CERTAIN[0]]
    other = "test" if home != "test" else "val"
    for kind in ("images", "labels"):
        for path in sorted((out / kind / home).glob(f"*-{CERTAIN[1]}.*")):
            path.rename(out / kind / other / path.name)
    assert group_check(api.verify(str(out))).ok is False


def group_check(audit: Audit) -> Check:
    return next(check for check in audit.checks if check.name == GROUPS)


def test_extending_keeps_answers_and_refuses_a_pair_in_two_splits(small: Path, tmp_path: Path) -> None:
    """The pair was planned before anybody looked at pictures; a no in the older plan is remembered."""
    os.symlink(small / "in", tmp_path / "in")
    seed = 0
    while True:  # a split in which the two are apart
        first = plan(tmp_path, "first", seed=seed)
        if split_of(first)[CERTAIN[0]] != split_of(first)[CERTAIN[1]]:
            break
        seed += 1
    with pytest.raises(InputError) as caught:
        plan(tmp_path, "second", group_from="look-alikes", extend=first.path)
    assert (caught.value.kind, caught.value.exit_code) == ("group-in-two-splits", 3)
    sheet = tmp_path / "no.csv"
    sheet.write_text("volume_a,volume_b,same_patient\n01-0001,77-0001,no\n")
    second = plan(tmp_path, "second", group_from="look-alikes", extend=first.path, look_alikes=str(sheet))
    assert split_of(second) == split_of(first)
    third = plan(tmp_path, "third", group_from="look-alikes", extend=second.path)
    assert split_of(third) == split_of(first)
    without = plan(tmp_path, "fourth", extend=second.path)
    assert any("give --group-from look-alikes again" in one for one in without.warnings)


def test_a_no_that_another_source_contradicts_is_said(small: Path, tmp_path: Path) -> None:
    os.symlink(small / "in", tmp_path / "in")
    ids = [one.id for one in plan(tmp_path).header.volumes]
    rows = "".join(f"{one},{'p' if one in CERTAIN else one}\n" for one in ids)
    write(tmp_path / "map.csv", f"volume,group\n{rows}".encode())
    write(tmp_path / "no.csv", b"volume_a,volume_b,same_patient\n77-0001,01-0001,no\n")
    asked: dict[str, Any] = {"group_map": str(tmp_path / "map.csv"), "look_alikes": str(tmp_path / "no.csv")}
    made = plan(tmp_path, group_from="look-alikes", **asked)
    assert groups(made)["by"] == "map"
    assert any("stay in one group although --look-alikes says no" in one for one in made.warnings)
    assert split_of(made)[CERTAIN[0]] == split_of(made)[CERTAIN[1]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("volume_a,volume_b,same_patient\n01-0001,77-0009,yes\n", "line 2: there is no volume '77-0009'"),
        ("volume_a,volume_b,same_patient\n01-0001,77-0001,perhaps\n", "line 2: same_patient is 'perhaps'"),
    ],
)
def test_answers_that_cannot_be_used_are_refused(small: Path, tmp_path: Path, text: str, said: str) -> None:
    os.symlink(small / "in", tmp_path / "in")
    write(tmp_path / "a.csv", text.encode())
    with pytest.raises(InputError) as caught:
        plan(tmp_path, group_from="look-alikes", look_alikes=str(tmp_path / "a.csv"))
    assert said in caught.value.message


def test_the_page_shows_the_pairs_side_by_side(small: Path, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    os.symlink(small / "in", tmp_path / "in")
    made = plan(tmp_path, group_from="look-alikes")
    before = tree_state(small / "in")
    api.report(made.path, html=str(tmp_path / "page.html"), samples=0)
    text = (tmp_path / "page.html").read_text()
    assert "Volumes that look alike" in text
    assert text.index("not joined: please decide") < text.index(": one group<")
    assert text.count("data:image/jpeg") == 12  # two pairs, three slices of each volume
    assert tree_state(small / "in") == before


def test_scan_shows_the_pairs_and_writes_nothing(small: Path) -> None:
    before = tree_state(small)
    found = api.scan(str(small / "in"), group_from="look-alikes")
    assert [(one.pair.left, one.pair.right, one.joined) for one in found.groups.look_alikes] == [
        (*CERTAIN, True),
        (*POSSIBLE, False),
    ]
    assert not found.grouped
    assert tree_state(small) == before


def test_a_repair_takes_apart_what_pictures_show_to_be_one(small: Path, tmp_path: Path) -> None:
    """The same scan is in train and, under another id, in val; only pictures tell."""
    shutil.copytree(small / "in", tmp_path / "in")
    for kind in ("images", "labels"):
        (tmp_path / "in" / kind / "val").mkdir()
        for path in (tmp_path / "in" / kind / "train").glob(f"*-{CERTAIN[1]}.*"):
            path.rename(tmp_path / "in" / kind / "val" / path.name)
    write(tmp_path / "in/dataset.yaml", b"train: images/train\nval: images/val\nnames: [tear]\n")
    where: dict[str, Any] = {"output": str(tmp_path / "mended"), "plan_file": str(tmp_path / "plan.json")}
    assert not api.repair(str(tmp_path / "in"), keep=["val"], **where).leaks
    found = api.repair(str(tmp_path / "in"), keep=["val"], group_from="look-alikes", **where)
    assert found.leaks
    assert split_of(found.planned)[CERTAIN[1]] == "val"
    assert split_of(found.planned).get(CERTAIN[0], "val") == "val"
    assert found.planned.pairs_file == str(tmp_path / "plan-look-alikes.csv")


# ---- what cannot be compared ----------------------------------------------------------------------------------------


def test_pictures_that_cannot_be_decoded_are_named(small: Path, tmp_path: Path) -> None:
    shutil.copytree(small / "in", tmp_path / "in")
    write(tmp_path / "in/images/train/IM1-01-0003.png", b"no picture")
    made = plan(tmp_path, group_from="look-alikes")
    assert any("1 picture could not be compared" in one and "IM1-01-0003.png" in one for one in made.warnings)


def test_a_set_of_which_nothing_can_be_decoded_is_refused(tmp_path: Path) -> None:
    yolo_tree(tmp_path / "in", mixed_volumes(3, 4, seed=1))
    with pytest.raises(InputError) as caught:
        plan(tmp_path, group_from="look-alikes")
    assert caught.value.kind == "no-picture-decoded"


def test_without_numpy_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    yolo_tree(tmp_path / "in", mixed_volumes(3, 4, seed=1))
    monkeypatch.setitem(sys.modules, "planbalance.alike_volumes", None)
    with pytest.raises(UsageError) as caught:
        plan(tmp_path, group_from="look-alikes")
    assert caught.value.kind == "extra-missing"


def test_order_of_volumes_does_not_change_what_is_found(planted: tuple[Path, list[PlantedPair]]) -> None:
    root, _ = planted
    found = api.scan(str(root / "in"), volume_pattern="im-dash")
    chosen = [one for index, one in enumerate(found.volumes) if index < 6 or index > len(found.volumes) - 3]
    search = partial(find_alike_volumes, found.snapshot.inputs, jobs=1, progress=Silent())
    pairs = decide(search(chosen), {}).pairs
    back = decide(search(chosen[::-1]), {}).pairs
    assert [({one.pair.left, one.pair.right}, one.joined) for one in pairs] == [
        ({one.pair.left, one.pair.right}, one.joined) for one in back
    ]


# ---- several sources ------------------------------------------------------------------------------------------------


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write 16 volumes in DICOM: headers join 0+1, 2+3, ...; the map joins 1+2, 14+15; v10 and v13 share an image."""
    pytest.importorskip("pydicom")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    for index in range(16):
        for number in range(1, 4):
            stem = f"IM{number}-v{index:02d}"
            shared = number == 2 and index in {10, 13}
            image = (
                dicom_bytes("SECRET5")
                if shared
                else dicom_bytes(f"SECRET{index // 2}", number=f"{index * 10 + number}")
            )
            write(tmp_path / f"in/images/train/{stem}.dcm", image)
            write(tmp_path / f"in/labels/train/{stem}.txt", LABELS["+" if number == 1 and index % 3 == 0 else "."])
    rows = [f"v{index:02d},{'m' if index in {1, 2} else 'n' if index > 13 else f'p{index}'}" for index in range(16)]
    write(tmp_path / "map.csv", "\n".join(("volume,group", *rows)).encode())
    return tmp_path


def sets_of(made: api.Planned) -> set[frozenset[str]]:
    found: dict[str, set[str]] = {}
    for one in made.header.volumes:
        found.setdefault(one.group, set()).add(one.id)
    return {frozenset(ids) for ids in found.values() if len(ids) > 1}


def ids(*numbers: int) -> frozenset[str]:
    return frozenset(f"v{number:02d}" for number in numbers)


def test_groups_are_what_any_source_puts_together(sources: Path) -> None:
    write(sources / "in/images/train/IM2-v13.dcm", dicom_bytes("SECRET6", number="132"))
    asked: dict[str, Any] = {"group_map": str(sources / "map.csv")}
    made = plan(sources, group_from="map,dicom:PatientID", **asked)
    assert sets_of(made) == {ids(0, 1, 2, 3), ids(4, 5), ids(6, 7), ids(8, 9), ids(10, 11), ids(12, 13), ids(14, 15)}
    found = groups(made)
    assert found["by"] == "map+dicom"
    assert [(row["source"], row["joins"], row["alone"]) for row in found["sources"]] == [
        ("map", 2, 1),
        ("dicom:PatientID", 8, 7),
    ]
    assert ["v00", "v01"] in found["sources"][1]["sets"]
    assert ["v14", "v15"] not in found["sources"][1]["sets"]
    assert {one.group for one in made.header.volumes if one.id in {"v00", "v03"}} == {"m"}
    assert "SECRET" not in Path(made.path).read_text()
    other = plan(sources, "other", group_from=["dicom:PatientID", "map"], **asked)
    assert other.header.split_digest == made.header.split_digest
    assert other.header.parameters == made.header.parameters
    step = steps(made.header, "plan.json")[0]
    assert "--group-from map,dicom:PatientID" in step.command
    assert "--group-map" in step.command
    assert api.scan(str(sources / "in"), group_from=["map", "dicom:PatientID"], **asked).grouped_by == "map+dicom"


def test_the_audit_checks_the_groups_of_several_sources(sources: Path) -> None:
    write(sources / "in/images/train/IM2-v13.dcm", dicom_bytes("SECRET6", number="132"))
    made = plan(sources, group_from="map,dicom:PatientID", group_map=str(sources / "map.csv"))
    api.apply(made.path, mode="symlink")
    audit = api.verify(str(sources / "plan-out"), quick=True)
    assert group_check(audit).ok
    assert audit.grouped_by == "map+dicom"


def test_equal_images_join_what_the_map_keeps_apart(sources: Path) -> None:
    made = plan(sources, group_from=["map", "identical"], group_map=str(sources / "map.csv"))
    assert sets_of(made) == {ids(1, 2), ids(10, 13), ids(14, 15)}
    assert groups(made)["joined_by_content"] == [["v10", "v13"]]
    assert groups(made)["sources"][1] == {"source": "identical", "joins": 1, "alone": 1, "sets": [["v10", "v13"]]}
    assert any("identical images were put into one group: v10 / v13" in one for one in made.warnings)
    scanned = api.scan(str(sources / "in"), group_from="identical")
    assert [row.sets for row in scanned.groups.sources] == [(("v10", "v13"),)]
    assert (scanned.grouped, len({one.group for one in scanned.volumes})) == (False, 15)


@pytest.mark.parametrize(
    ("today", "by_sources"),
    [
        ({}, {"group_from": ()}),
        ({"hash_images": True}, {"group_from": "identical"}),
        ({"group_map": "map.csv"}, {"group_map": "map.csv", "group_from": "map"}),
        ({"group_from": "dicom:StudyInstanceUID"}, {"group_from": ["dicom:StudyInstanceUID"]}),
        (
            {"group_from": "dicom:StudyInstanceUID", "hash_images": True},
            {"group_from": ["dicom:StudyInstanceUID"], "hash_images": True},
        ),
        (
            {"group_map": "map.csv", "hash_images": True},
            {"group_map": "map.csv", "group_from": "map", "hash_images": True},
        ),
    ],
)
def test_one_source_alone_gives_the_bytes_of_today(
    sources: Path, monkeypatch: pytest.MonkeyPatch, today: dict[str, Any], by_sources: dict[str, Any]
) -> None:
    monkeypatch.chdir(sources)
    for path in (sources / "in/images/train").iterdir():
        patient = f"S{int(path.stem[-2:]) // 2}"
        if "IM2-v13" not in path.name:
            write(path, dicom_bytes(patient, study=patient.replace("S", "1.2."), number=str(len(path.name))))
    write(sources / "in/images/train/IM2-v13.dcm", dicom_bytes("S6", study="1.2.6", number="7"))
    shutil.copy(sources / "in/images/train/IM2-v12.dcm", sources / "in/images/train/IM3-v13.dcm")
    plan(sources, "one", **today)
    one = (sources / "one.json").read_bytes()
    plan(sources, "two", **by_sources)
    first, second = (json.loads(path.read_bytes()) for path in (sources / "one.json", sources / "two.json"))
    for document in (first, second):
        for key in ("digest", "output"):
            del document[key]
    assert first == second
    assert b'"sources":[{"source"' not in one


def test_names_are_one_of_the_sources(tmp_path: Path) -> None:
    letters = {f"p{index // 2}_k{index}": "+..." if index % 2 else "...." for index in range(16)}
    yolo_tree(tmp_path / "in", letters, name="{volume}_{slice:03d}.png")
    pattern = r"(?P<volume>(?P<patient>p\d+)_k\d+)_(?P<slice>\d+)"
    rows = "".join(f"{one},{'x' if one in {'p0_k0', 'p1_k2'} else one}\n" for one in letters)
    write(tmp_path / "map.csv", f"volume,group\n{rows}".encode())
    asked: dict[str, Any] = {"volume_pattern": pattern, "group_map": str(tmp_path / "map.csv")}
    made = plan(tmp_path, group_from="names,map", **asked)
    assert frozenset({"p0_k0", "p0_k1", "p1_k2", "p1_k3"}) in sets_of(made)
    assert groups(made)["by"] == "map+patient"
    alone = plan(tmp_path, "alone", volume_pattern=pattern, group_from="names")
    assert alone.header.parameters == plan(tmp_path, "today", volume_pattern=pattern).header.parameters
    with pytest.raises(InputError) as caught:
        plan(tmp_path, group_from="names", volume_pattern="trailing-number")
    assert caught.value.kind == "no-patients-in-names"


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"group_from": "dicom:PatientID", "group_map": "map.csv"}, "two-groupings"),
        ({"group_from": "map"}, "source-without-place"),
        ({"group_from": "h5:patient_id"}, "source-without-place"),
        ({"h5_folder": ["raw"]}, "option-without-source"),
        ({"look_alikes": "a.csv"}, "option-without-source"),
        ({"group_from": ["map", "patients"], "group_map": "map.csv"}, "bad-group-source"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    sources: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], kind: str
) -> None:
    monkeypatch.chdir(sources)
    for run in (partial(plan, sources), partial(api.scan, str(sources / "in"))):
        with pytest.raises(PlanbalanceError) as caught:
            run(**options)
        assert (caught.value.kind, caught.value.exit_code) == (kind, 2)


def test_folds_and_builds_have_the_same_sources(small: Path, tmp_path: Path) -> None:
    os.symlink(small / "in", tmp_path / "in")
    made = api.plan_folds(
        str(tmp_path / "in"),
        output=str(tmp_path / "folds"),
        folds=3,
        plan_file=str(tmp_path / "plan.json"),
        group_from="look-alikes",
    )
    assert {one.pairs_file for one in made} == {str(tmp_path / "plan-look-alikes.csv")}
    assert all(split_of(one)[CERTAIN[0]] == split_of(one)[CERTAIN[1]] for one in made)
    built = api.build(str(tmp_path / "in"), output=str(tmp_path / "built"), group_from="look-alikes", mode="symlink")
    assert built.planned.pairs_file == ""
    assert built.audit is not None
    assert built.audit.ok


def test_noise_alone_is_no_likeness(tmp_path: Path) -> None:
    draw = np.random.default_rng(1)
    pictures: list[Sequence[Image.Image]] = [
        [Image.fromarray(draw.integers(0, 9, (64, 64)).astype(np.uint8)) for _ in range(6)] for _ in range(6)
    ]
    for index, several in enumerate(pictures):
        write_volume(tmp_path, f"01-{index:04d}", several)
    assert not [one for one in pairs_in(tmp_path) if one.is_possible]
