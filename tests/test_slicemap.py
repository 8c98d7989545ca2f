"""Slice maps: what a table may call an image, what is refused, and what a dataset is that was planned by one."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from planbalance import api
from planbalance.errors import InputError, PlanbalanceError, PlanError, UsageError
from planbalance.grouping import GroupMap, require_known, spelled_otherwise
from planbalance.model import EXTERNAL_RULES, Naming, PlanHeader
from planbalance.naming import RULES, says_volumes
from planbalance.page.commands import steps
from planbalance.planfile import parse_header
from planbalance.render.plan_facts import Tally
from planbalance.render.show import volume_document
from planbalance.render.slice import SliceQuery, slice_documents
from planbalance.slicemap import Place, SourceReading, parse_columns, parse_slice_map
from tests.builders import write, yolo_tree
from tests.plans import parts, signed

BELOW = ("a/01.png", "a/02.png", "b/03.png", "04.png")


def places(*below: str) -> list[Place]:
    return [Place("/data/in", f"images/{one}", one) for one in below or BELOW]


def told(text: str, *below: str, columns: str | None = None) -> SourceReading:
    chosen = None if columns is None else parse_columns(columns)
    return parse_slice_map(text.encode(), columns=chosen, name="m.csv").read(places(*below))


def refused(text: str, *below: str, columns: str | None = None) -> PlanbalanceError:
    with pytest.raises(PlanbalanceError) as caught:
        told(text, *below, columns=columns)
    return caught.value


@pytest.mark.parametrize(
    "spelled",
    [
        ("a/01.png", "a/02.png", "b/03.png", "04.png"),
        ("a/01", "a/02", "b/03", "04"),
        ("01.png", "02.png", "03.png", "04.png"),
        ("01", "02", "03", "04"),
        ("01.dcm", "02.DCM", "03.jpg", "04.tif"),
        ("images/a/01.png", "images/a/02.png", "images/b/03.png", "images/04.png"),
        ("/data/in/images/a/01.png", "/data/in/images/a/02.png", "/data/in/images/b/03", "/data/in/images/04.png"),
        ("/kaggle/input/x/a/01.png", "/kaggle/input/x/a/02.png", "/kaggle/input/x/b/03.png", "/kaggle/input/x/04.png"),
        ("./a/01.png", ".\\a\\02.png", "b\\03.png", "04.png"),
        ("a_01.png", "a_02", "b-03.png", "04"),
    ],
)
def test_what_a_table_may_call_an_image(spelled: tuple[str, ...]) -> None:
    rows = "".join(f"{image},v{index // 2},{index}\n" for index, image in enumerate(spelled))
    names, warnings = told(f"image,volume,slice\n{rows}")
    assert names == (["v0", "v0", "v1", "v1"], [0, 1, 2, 3], None)
    assert warnings == ()


def test_the_dots_of_a_uid_are_no_suffix() -> None:
    names, _ = told("image,volume\n1.2.840.1,v\n1.2.840.2.dcm,w\n", "1.2.840.1.dcm", "1.2.840.2.dcm")
    assert names.volumes == ["v", "w"]


def test_a_name_with_the_prefix_of_its_input_tells_it_apart() -> None:
    both = [Place("/a", "images/1.png", "1.png", "n-"), Place("/b", "images/1.png", "1.png", "s-")]
    names, _ = parse_slice_map(b"image,volume\nn-1.png,v\ns-1,w\n").read(both)
    assert names.volumes == ["v", "w"]


def test_a_file_name_in_two_folders_is_ambiguous_and_both_are_named() -> None:
    error = refused("image,volume\n1.png,v\n", "a/1.png", "b/1.png")
    assert (error.kind, error.exit_code) == ("ambiguous-slice-map", 3)
    assert error.message == (
        "m.csv: 1 row may mean several images: 1.png (row 2) may be images/a/1.png or images/b/1.png."
    )
    assert told("image,volume\na/1.png,v\nb/1.png,w\n", "a/1.png", "b/1.png").names.volumes == ["v", "w"]


def test_a_name_that_is_joined_in_two_ways_is_ambiguous() -> None:
    assert refused("image,volume\na_b_1,v\n", "a/b_1.png", "a_b/1.png").kind == "ambiguous-slice-map"


@pytest.mark.parametrize("other", ["a/01,w,1", "01.png,v,2", "images/a/01,w,1"])
def test_rows_that_say_different_things_of_one_image_are_refused(other: str) -> None:
    error = refused(f"image,volume,slice\na/01,v,1\n{other}\n", "a/01.png")
    assert error.kind == "bad-map"
    assert error.message.startswith("m.csv says different things of 1 image: images/a/01.png: row 2 (a/01): volume v")


def test_rows_that_say_the_same_are_fine() -> None:
    assert told("image,volume,slice\na/01,v,1\n01.png,v,1.0\n", "a/01.png").names.volumes == ["v"]


def test_rows_of_two_flattened_folders_are_not_guessed() -> None:
    """`siteA/1` and `siteB/1` cannot both be the one file 1.png."""
    assert refused("image,volume\nsiteA/1,v\nsiteB/1,w\n", "1.png").kind == "bad-map"


def test_images_without_a_row_are_refused_and_listed_with_both_spellings() -> None:
    error = refused("image,volume\n1.0,v\n2.0,v\n01,w\n", "a/1.png", "a/2.png", "01.png", "x.png")
    assert (error.kind, error.exit_code) == ("images-without-row", 3)
    assert error.message == (
        "m.csv has no row for 3 of 4 images: images/a/1.png, images/a/2.png, images/x.png. 2 rows of it name no image. "
        "Perhaps spelled otherwise: '1.0' in m.csv, 'a/1.png' in the dataset."
    )
    assert error.paths == tuple(f"/data/in/images/{one}" for one in ("a/1.png", "a/2.png", "x.png"))


def test_rows_of_no_image_are_a_warning() -> None:
    _, warnings = told("image,volume\n1,v\n7,v\n8,v\n9,v\n10,v\n", "1.png")
    assert warnings == ("m.csv: 4 rows of no image here: 7, 8, 9 and 1 more.",)


# ---- the table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heading", "columns"),
    [
        ("image,volume,patient,slice", None),
        ("IMAGE;Volume;Patient;Slice", None),
        ("File_name\tSeriesInstanceUID\tPatient_index\tKey_slice_index", None),
        ("f,v,p,s", "image=f,volume=v,patient=p,slice=s"),
        ("F,V,P,S", " Image = f , volume=v,patient=p,slice=s"),
    ],
)
def test_headings(heading: str, columns: str | None) -> None:
    separator = next(one for one in ",;\t" if one in heading)
    names, _ = told(f"{heading}\n{separator.join(('1', 'v', 'p', '5.0'))}\n", "1.png", columns=columns)
    assert names == (["v"], [5], ["p"])


def test_with_patients_alone_a_patient_is_the_volume() -> None:
    names, _ = told("image,patient\n1,p\n2,p\n", "1.png", "2.png")
    assert names == (["p", "p"], [None, None], ["p", "p"])


def test_columns_that_are_named_are_the_only_ones() -> None:
    names, _ = told("image,volume,patient\n1,v,p\n", "1.png", columns="image=image,volume=volume")
    assert names.patients is None


def test_columns_may_be_joined() -> None:
    table = "File_name,Patient_index,Study_index\n1,7,1\n2,7,2\n"
    names, _ = told(table, "1.png", "2.png", columns="image=File_name,volume=Patient_index+study_index")
    assert names.volumes == ["7-1", "7-2"]


@pytest.mark.parametrize(
    ("table", "columns", "sentence"),
    [
        ("a,b\n1,2\n", None, "m.csv has no column that is clearly the image; its columns are a, b."),
        ("image,b\n1,2\n", None, "m.csv has no column that is clearly the volume or the patient; its columns are"),
        ("file,path,volume\n1,1,2\n", None, "m.csv has several columns that may be the image: file, path;"),
        ("image,volume\n1,2\n", "image=image,volume=v", "m.csv has no column 'v' for the volume;"),
        ("image,v,V\n1,2,3\n", "image=image,volume=v", "m.csv has more than one column 'v' for the volume;"),
        ("image,volume\n1,\n,v\n", None, "m.csv has 2 empty values: row 2: volume, row 3: image."),
        ("image,volume,slice\n1,v,-3.5\n", None, "m.csv: 1 slice number is not a whole number from 0 up: row 2: -3.5"),
        ("", None, "m.csv is empty."),
    ],
)
def test_tables_that_are_not_clear(table: str, columns: str | None, sentence: str) -> None:
    error = refused(table, "1.png", columns=columns)
    assert error.message.startswith(sentence)
    assert (error.kind, error.exit_code) == ("bad-map", 3)
    if "clearly" in sentence or "several" in sentence:
        assert "--slice-map-columns" in error.hint


@pytest.mark.parametrize("columns", ["image", "image=a", "volume=a", "image=a,image=b,volume=c", "image=a,volum=b", ""])
def test_lists_of_columns_that_are_none(columns: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_columns(columns)
    assert caught.value.kind == "slice-map-columns"


# ---- both spellings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mapped", "found", "pair"),
    [
        (["9"], ["01-01-00009", "01-01-00010"], ("9", "01-01-00009")),
        (["5.0"], ["5"], ("5.0", "5")),
        (["case7.dcm"], ["case7"], ("case7.dcm", "case7")),
        (["Case_07"], ["case-7"], ("Case_07", "case-7")),
        (["CASE7"], ["case7"], ("CASE7", "case7")),
        (["9"], ["01-00009", "02-00009"], None),
        (["x"], ["y"], None),
        ([], ["y"], None),
    ],
)
def test_what_may_be_the_same_thing(mapped: list[str], found: list[str], pair: tuple[str, str] | None) -> None:
    assert spelled_otherwise(mapped, found) == pair


def test_a_group_map_that_spells_otherwise_shows_both_spellings() -> None:
    group_map = GroupMap({"9": "p1", "10": "p2", "01-01-00011": "p3"}, name="g.csv")
    with pytest.raises(InputError) as caught:
        require_known(["01-01-00009", "01-01-00010", "01-01-00011"], group_map)
    assert caught.value.message.endswith("Perhaps spelled otherwise: '9' in g.csv, '01-01-00009' in the dataset.")


# ---- datasets -------------------------------------------------------------------------------------------------------

VOLUMES = {f"s{index}": letters for index, letters in enumerate(["..+..", ".++.....", ".....", "......."] * 4)}
Run = Callable[..., PlanHeader]


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """Write images whose names are numbers in no order, and slices.csv; patients have two volumes each."""
    root = yolo_tree(tmp_path / "in", VOLUMES, images="images")
    rows = ["image,volume,patient,slice"]
    order = sorted((root / "images").rglob("*.png"), key=lambda path: path.name[::-1])
    for at, image in enumerate(order):
        number, volume = image.stem.removeprefix("IM").split("-")
        rows.append(f"{at},{volume},p{int(volume[1:]) // 2},{number}")
        image.rename(image.with_name(f"{at}.png"))
        label = root / "labels" / f"{image.stem}.txt"
        label.rename(label.with_name(f"{at}.txt"))
    write(tmp_path / "slices.csv", "\n".join(rows).encode())
    return tmp_path


@pytest.fixture
def plan(numbered: Path) -> Run:
    def run(**keywords: Any) -> PlanHeader:
        name = keywords.pop("name", "plan")
        given = {"slice_map": str(numbered / "slices.csv"), **keywords}
        kept = {key: value for key, value in given.items() if value is not None}
        return api.plan(
            str(numbered / "in"), output=str(numbered / name), plan_file=str(numbered / f"{name}.json"), **kept
        ).header

    return run


def test_a_map_gives_volumes_patients_and_the_order_of_slices(numbered: Path, plan: Run) -> None:
    found = api.scan(str(numbered / "in"), slice_map=str(numbered / "slices.csv"))
    assert (found.naming.rule, found.grouped) == ("slice-map", True)
    assert {volume.id: len(volume.slices) for volume in found.volumes} == {v: len(s) for v, s in VOLUMES.items()}
    header = plan(gap=1)
    assert header.naming["rule"] == "slice-map"
    assert header.parameters["groups"]["by"] == "slice-map"
    told_map = header.parameters["slice_map"]
    assert (told_map["entries"], len(told_map["sha256"])) == (100, 64)
    assert {volume.group for volume in header.volumes} == {f"p{index}" for index in range(8)}
    train = next(volume for volume in header.volumes if volume.split == "train" and volume.positives == 1)
    positive, kept = header.naming["numbers"][train.id]
    assert positive == "3"
    assert not {"2", "4"} & set(kept)  # the neighbours of a positive, by --gap


@pytest.mark.parametrize("layout", ["keep", "by-volume"])
def test_what_is_built_from_a_map_is_audited_by_the_plan_or_by_the_map(numbered: Path, plan: Run, layout: Any) -> None:
    plan(layout=layout)
    api.apply(str(numbered / "plan.json"))
    audit = api.verify(str(numbered / "plan"))
    assert audit.ok
    checks = {check.name: check for check in audit.checks}
    assert checks["volume-overlap"].reason == "volumes are those of the plan: names do not tell them"
    again = api.verify(str(numbered / "plan"), slice_map=str(numbered / "slices.csv"))
    assert again.ok
    assert {check.name: check for check in again.checks}[
        "volume-overlap"
    ].reason == "volumes are those of the slice map"


def test_a_map_that_says_otherwise_finds_the_leak(numbered: Path, plan: Run) -> None:
    header = plan()
    api.apply(str(numbered / "plan.json"))
    splits = {volume.id: volume.split for volume in header.volumes}
    train, test = (next(id_ for id_ in splits if splits[id_] == split) for split in ("train", "test"))
    text = (numbered / "slices.csv").read_text().replace(f",{test},", f",{train},")
    write(numbered / "other.csv", text.encode())
    volumes_alone = "image=image,volume=volume"
    other = str(numbered / "other.csv")
    audit = api.verify(str(numbered / "plan"), slice_map=other, slice_map_columns=volumes_alone)
    assert not audit.ok
    checks = {check.name: check for check in audit.checks}
    assert [problem.path for problem in checks["volume-overlap"].problems] == [train]


def test_any_dataset_is_audited_by_a_map(numbered: Path, plan: Run) -> None:
    plan()
    api.apply(str(numbered / "plan.json"), mode="copy")
    shutil.rmtree(numbered / "plan/.planbalance")
    with pytest.raises(InputError):  # names alone do not tell
        api.verify(str(numbered / "plan"))
    audit = api.verify(str(numbered / "plan"), slice_map=str(numbered / "slices.csv"))
    assert audit.ok
    assert "a volume, a patient" in audit.summary
    moved = next((numbered / "plan/images/train").glob("*.png"))
    moved.rename(numbered / "plan/images/test" / moved.name)
    assert "volume" in api.verify(str(numbered / "plan"), slice_map=str(numbered / "slices.csv")).summary.split(";")[0]
    assert not api.verify(str(numbered / "plan"), slice_map=str(numbered / "slices.csv")).ok


def test_what_is_shown_of_a_plan_has_the_maps_numbers(numbered: Path, plan: Run) -> None:
    header = plan()
    opened = api.open_plan(str(numbered / "plan.json"))
    tally = Tally(header)
    for operation in opened.operations():
        tally.add(operation)
    assert tally.picked() == []
    strips = {volume.id: (strip.first, strip.runs) for volume, strip in tally.strips()}
    for volume in header.volumes:
        document = volume_document(header, volume, opened.operations())
        letters = VOLUMES[volume.id]
        positives = [number for number, letter in enumerate(letters, start=1) if letter == "+"]
        assert document["positive_slices"] == {0: "", 1: "3", 2: "2-3"}[len(positives)]
        first, runs = strips[volume.id]
        assert first == 1
        assert sum(int(count or 1) for count in re.findall(r"(\d*)[pkd]", runs)) == len(letters)
        if volume.split != "train":
            assert runs == {"..+..": "2kp2k", ".++.....": "k2p5k", ".....": "5k", ".......": "7k"}[letters]
    train = next(volume for volume in header.volumes if volume.split == "train" and volume.positives == 1)
    kept, *_ = slice_documents(header, opened.operations(), SliceQuery("3", train.id))
    assert (kept["kept"], kept["positive"], kept["image"]) == (True, True, None)
    page = api.report(str(numbered / "plan.json"), html=str(numbered / "plan.html"))
    assert page.bytes > 0
    assert "patients were not given" not in (numbered / "plan.html").read_text()


def test_the_page_says_how_to_make_the_plan_again(plan: Run) -> None:
    first = steps(plan(), "plan.json")[0]
    assert "--volume-pattern" not in first.command
    assert "--slice-map" in first.command
    named = plan(slice_map_columns="image=image,volume=patient,slice=slice", name="named")
    assert "--slice-map-columns image=image,volume=patient,slice=slice" in steps(named, "plan.json")[0].command


def test_an_extension_needs_the_map_again(numbered: Path, plan: Run) -> None:
    older = plan()
    with pytest.raises(UsageError, match="The older plan has its volumes from a slice map") as caught:
        plan(extend=str(numbered / "plan.json"), slice_map=None, name="new")
    assert caught.value.kind == "extend-needs-map"
    header = plan(extend=str(numbered / "plan.json"), name="new")
    assert {one.id: one.split for one in header.volumes} == {one.id: one.split for one in older.volumes}
    assert not [warning for warning in header.warnings if "no longer there" in warning]


def test_a_plan_by_names_is_not_extended_by_a_map(numbered: Path, plan: Run) -> None:
    plan(slice_map=None, volume_pattern=r"(?P<volume>\d).*")
    with pytest.raises(UsageError, match="by the rule regex, and not as --slice-map says"):
        plan(extend=str(numbered / "plan.json"), name="new")


def test_folds_of_a_map(numbered: Path) -> None:
    folds = api.plan_folds(
        str(numbered / "in"),
        output=str(numbered / "folds"),
        plan_file=str(numbered / "f.json"),
        folds=4,
        slice_map=str(numbered / "slices.csv"),
    )
    tested = [one.group for fold in folds for one in fold.header.volumes if one.split == "test"]
    assert sorted(set(tested)) == [f"p{index}" for index in range(8)]
    assert len(tested) == len(VOLUMES)


def test_images_without_a_row_may_be_left_out(numbered: Path, plan: Run) -> None:
    write(numbered / "in/images/extra.png", b"x")
    write(numbered / "in/labels/extra.txt", b"")
    with pytest.raises(InputError) as caught:
        plan()
    assert (caught.value.kind, caught.value.paths) == ("images-without-row", (str(numbered / "in/images/extra.png"),))
    assert len(plan(exclude=["extra.png"]).volumes) == len(VOLUMES)


@pytest.mark.parametrize(
    ("keywords", "kind"),
    [
        ({"volume_pattern": "im-dash"}, "two-readings"),
        ({"group_map": "groups.csv"}, "two-groupings"),
        ({"group_from": "dicom:PatientID"}, "two-groupings"),
        ({"shared_ids": "different"}, "two-readings"),
        ({"slice_map": None, "slice_map_columns": "image=a,volume=b"}, "slice-map-columns"),
    ],
)
def test_options_that_contradict_a_map(numbered: Path, plan: Run, keywords: dict[str, Any], kind: str) -> None:
    write(numbered / "groups.csv", b"volume,group\n")
    given = {name: str(numbered / value) if value == "groups.csv" else value for name, value in keywords.items()}
    with pytest.raises(UsageError) as caught:
        plan(**given)
    assert caught.value.kind == kind


def test_a_map_of_volumes_alone_goes_with_a_group_map(numbered: Path, plan: Run) -> None:
    write(numbered / "groups.csv", ("volume,group\n" + "".join(f"{v},{v}x\n" for v in VOLUMES)).encode())
    header = plan(group_map=str(numbered / "groups.csv"), slice_map_columns="image=image,volume=volume")
    assert header.parameters["groups"]["by"] == "map"


def test_volumes_counted_within_patients_are_refused(numbered: Path, plan: Run) -> None:
    lines = (numbered / "slices.csv").read_text().splitlines()
    counted = [line.replace(",s", ",") for line in lines]
    within = [",".join((i, str(int(v) % 2), p, n)) for i, v, p, n in (line.split(",") for line in counted[1:])]
    write(numbered / "within.csv", "\n".join([lines[0], *within]).encode())
    with pytest.raises(InputError, match="gives 2 volumes two patients") as caught:
        plan(slice_map=str(numbered / "within.csv"))
    assert "volume=PATIENT+VOLUME" in caught.value.hint
    joined = "image=image,patient=patient,volume=patient+volume"
    assert len(plan(slice_map=str(numbered / "within.csv"), slice_map_columns=joined).volumes) == len(VOLUMES)


def test_the_rules_by_which_names_tell_nothing_are_those_without_a_reader() -> None:
    assert {rule for rule in RULES if not says_volumes(Naming(rule))} == set(EXTERNAL_RULES)


def test_a_plan_without_a_map_says_nothing_of_one(tmp_path: Path) -> None:
    yolo_tree(tmp_path / "in", VOLUMES)
    header = api.plan(str(tmp_path / "in"), output=str(tmp_path / "o"), plan_file=str(tmp_path / "p.json")).header
    assert not {"slice_map", "shared_ids"} & set(header.parameters)
    assert "numbers" not in header.naming


@pytest.mark.parametrize("numbers", [{"s0": ["1-99999999", ""]}, {"x": ["", ""]}, {"s0": [""]}, {"s0": [1, ""]}, []])
def test_a_plan_whose_numbers_are_not_those_of_its_slices_is_refused(
    numbered: Path, plan: Run, numbers: object
) -> None:
    """They are as untrusted as the rest of a plan: a run of a billion numbers must not fill the memory."""
    plan()
    header, _ = parts((numbered / "plan.json").read_bytes())
    header["naming"]["numbers"] = numbers
    with pytest.raises(PlanError, match="numbers"):
        parse_header(signed(orjson.dumps(header)))
