"""Several sources, an import that is extended, pictures used again, shards, the whole guide, and wrong usage."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from planbalance import api, raw_images
from planbalance.errors import PlanbalanceError
from planbalance.planstore import ImportPlan
from tests.builders import tree_content
from tests.cli.command import run, run_json
from tests.importing.raw_study import TOML, Study, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("raw") / "study")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own, with settings of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def only(study: Study, name: str) -> str:
    """Return the TOML of one source, with its labels alone."""
    classes = 'classes = ["tear"]\n' + ('[map]\nTear = "tear"\n' if name == "clinic" else "")
    tables = TOML.split("[[source]]")[1:]
    text = classes + "".join(f"[[source]]{table}" for table in tables if f'"{name}"' in table)
    path = study.root / f"{name}.toml"
    path.write_text(text)
    return str(path)


CLINIC = ("--format", "mdai", "--annotations", "export.json", "--images", "dicom")


# ---- extend and reuse -----------------------------------------------------------------------------------------------


def test_an_import_is_extended_by_one_more_source(study: Study, here: Path) -> None:
    run("import", "--sources", only(study, "clinic"), "--output", "old", "--plan-file", "old.json")
    run("apply", "old.json")
    run("import", "--extend", "old", "--sources", only(study, "photos"), "--output", "new", "--plan-file", "new.json")
    run("apply", "new.json")
    old, new = ImportPlan.open("old.json"), ImportPlan.open("new.json")
    ids = [volume.id for volume in new.header.volumes]
    kept = {each._replace(volume=ids.index(old.header.volumes[each.volume].id)) for each in old.operations()}
    assert kept < set(new.operations())
    assert new.ledger()[: len(old.ledger())] == old.ledger()
    names = {path.stem for path in Path("new/images").iterdir()}
    assert names == {name for name in study.labels if "knee" in name or "ankle" in name}
    assert run_json("verify", "new")["ok"]


def test_classes_of_an_extended_import_keep_their_ids(study: Study, here: Path) -> None:
    run("import", "--sources", only(study, "clinic"), "--output", "old", "--plan-file", "old.json")
    photos = only(study, "photos")
    Path(photos).write_text(Path(photos).read_text().replace('classes = ["tear"]', 'classes = ["bruise", "tear"]'))
    run("import", "--extend", "old.json", "--sources", photos, "--output", "new", "--plan-file", "new.json")
    plan = ImportPlan.open("new.json")
    assert plan.header.names == ("tear", "bruise")
    bruises = [each for each in plan.operations() if each.label.startswith("1 ")]
    assert [plan.header.volumes[each.volume].id for each in bruises] == ["ankle3"]


def test_pictures_of_an_older_import_are_linked(study: Study, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("import", "--sources", study.toml, "--output", "old", "--plan-file", "old.json")
    run("apply", "old.json")
    run("import", "--sources", study.toml, "--output", "new", "--plan-file", "new.json", "--reuse", "old")
    damaged = Path("old/images/IM3-knee1.png")
    damaged.write_bytes(Path("old/images/IM2-knee1.png").read_bytes())  # a picture, but not the planned one
    rendered: list[Any] = []

    def noted(picture: raw_images.RenderedSlice) -> bytes:
        rendered.append(picture)
        return raw_images.png_bytes(picture)

    monkeypatch.setattr("planbalance.importing.placer.png_bytes", noted)
    run("apply", "new.json", "--jobs", "1")
    assert len(rendered) == 1
    assert run_json("verify", "new")["ok"]
    for name in study.greys:
        same = os.path.samefile(f"old/images/{name}.png", f"new/images/{name}.png")
        assert same == (name != "IM3-knee1")


def test_what_is_reused_must_be_an_import(study: Study, here: Path) -> None:
    failed = run_json("import", "--sources", study.toml, "--output", "new", "--reuse", str(study.root), code=3)
    assert failed["error"]["kind"] == "input-not-found"


# ---- shards ---------------------------------------------------------------------------------------------------------


def test_shards_build_the_same_dataset(study: Study, here: Path) -> None:
    run("import", "--sources", study.toml, "--output", "whole", "--layout", "by-volume", "--plan-file", "i.json")
    run("apply", "i.json")
    for part in ("1/3", "3/3"):
        run("apply", "i.json", "--output", "parts", "--shard", part)
    failed = run_json("apply", "i.json", "--output", "parts", "--finish", code=5)
    assert failed["error"]["kind"] == "shards-missing"
    assert not Path("parts").exists()
    run("apply", "i.json", "--output", "parts", "--shard", "2/3")
    run("apply", "i.json", "--output", "parts", "--shard", "2/3")  # twice is safe
    done = run_json("apply", "i.json", "--output", "parts", "--finish")
    assert done["published"]
    assert tree_content(Path("parts")) == tree_content(Path("whole"))


def test_files_are_taken_as_they_are_where_that_is_asked_for(study: Study, here: Path) -> None:
    run("import", "--sources", only(study, "clinic"), "--output", "out", "--render", "keep", "--plan-file", "i.json")
    run("apply", "i.json", "--mode", "symlink")
    assert {path.suffix for path in Path("out/images").iterdir()} == {".dcm"}
    assert os.readlink("out/images/IM2-knee0.dcm") == str(study.root / "dicom/knee0/slice001.dcm")
    assert {path.stem: path.read_text() for path in Path("out/labels").iterdir()} == {
        name: text for name, text in study.labels.items() if "knee" in name
    }
    assert run_json("verify", "out")["ok"]
    assert run_json("scan", "out")["volumes"] == 2
    run("report", "i.json", "--html", "page.html")
    assert "No picture" not in Path("page.html").read_text()


def test_a_file_of_several_slices_is_not_taken_as_it_is(study: Study, here: Path) -> None:
    Path("boxes.csv").write_text("volume,slice,left,top,right,bottom,label\nfile1,2,1,2,6,8,tear\n")
    words: list[object] = ["--format", "boxes-csv", "--annotations", "boxes.csv", "--images", study.root / "h5"]
    words += [
        "--classes",
        "tear",
        "--columns",
        "volume=volume,slice=slice,left=left,top=top,right=right,bottom=bottom,label=label",
    ]
    words += ["--box", "xyxy", "--origin", "0", "--slice-base", "0", "--reviewed", "volume"]
    failed = run_json("import", *words, "--output", "out", "--render", "keep", code=3)
    assert failed["error"]["kind"] == "cannot-keep"
    run("import", *words, "--output", "out")


def test_batch_files_of_an_import(study: Study, here: Path) -> None:
    run("import", "--sources", study.toml, "--output", "out", "--layout", "by-volume", "--plan-file", "i.json")
    written = run_json("slurm", "i.json", "--nodes", "3")
    assert "apply" in Path(written["array"]).read_text()
    assert "i.json" in Path(written["array"]).read_text()
    run("slurm", "i.json", "--nodes", "99", code=2)
    run("slurm", "i.json", "--nodes", "2", "--mode", "list", code=2)


def test_a_warning_of_links_is_given_only_where_there_are_links(study: Study, here: Path) -> None:
    run("import", "--sources", only(study, "clinic"), "--output", "knees", "--plan-file", "knees.json")
    assert run_json("apply", "knees.json", "--mode", "hardlink")["warnings"] == []
    run("import", "--sources", only(study, "photos"), "--output", "ankles", "--plan-file", "ankles.json")
    assert "hard links to the source" in run_json("apply", "ankles.json", "--mode", "hardlink")["warnings"][0]


# ---- the whole guide ------------------------------------------------------------------------------------------------


def test_one_command_runs_the_guide_from_its_first_step(tmp_path: Path, here: Path) -> None:
    study = write_study(tmp_path / "larger", series=8)
    done = run_json("import", "--sources", study.toml, "--output", "out", "--build")
    assert done["apply"]["published"]
    assert done["verify"]["ok"]
    assert done["build"]["verify"]["ok"]
    assert {path.name for path in Path("out-balanced/images").iterdir()} == {"train", "val", "test"}
    failed = run_json("import", "--sources", study.toml, "--output", "out", "--build", code=4)
    assert failed["error"]["kind"] == "already-built"


def test_the_guide_goes_on_where_it_was_left(tmp_path: Path, here: Path) -> None:
    study = write_study(tmp_path / "larger", series=8)
    run("import", "--sources", study.toml, "--output", "out", "--build")
    shutil.rmtree("out-balanced")
    done = run_json("import", "--sources", study.toml, "--output", "out", "--build")
    assert done["apply"] is None
    assert done["build"]["verify"]["ok"]


# ---- wrong usage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--format", "mdai"),
        (*CLINIC, "--classes", "Tear", "--train_ratio", "0.7"),
        (*CLINIC, "--classes", "Tear", "--seed", "1"),
        (*CLINIC, "--classes", "Tear", "--mode", "symlink"),
        (*CLINIC, "--classes", "Tear", "--origin", "0"),
        (*CLINIC, "--classes", "Tear", "--window", "bright"),
        (*CLINIC, "--classes", "Tear", "--reader", "U", "--readers", "all"),
        (*CLINIC, "--classes", "Tear", "--columns", "image=a"),
        (*CLINIC, "--classes", "Tear", "--sources", "sources.toml"),
        ("--format", "guess", "--annotations", "a", "--images", "b"),
        ("--format", "rsna", "--annotations", "knee.csv", "--images", "dicom", "--classes", "a,b"),
        ("--format", "fastmri-plus", "--annotations", "knee.csv", "--images", "h5", "--render", "keep"),
    ],
)
def test_wrong_usage_is_exit_2(
    study: Study, here: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(study.root)
    failed = run_json("import", *words, "--output", here / "out", "--plan-file", here / "i.json", code=2)
    assert failed["error"]["message"]
    assert list(here.iterdir()) == []


def test_the_split_is_left_to_plan(study: Study, here: Path) -> None:
    failed = run("import", *CLINIC, "--output", "out", "--train_ratio", "0.7", code=2)
    assert "`planbalance plan` splits" in failed.stderr


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (CLINIC, "no-classes"),
        (("--format", "rsna", "--annotations", "knee.csv", "--images", "dicom"), "no-classes"),
        ((*CLINIC, "--classes", "Crack"), "unknown-label"),
        (
            ("--format", "coco", "--annotations", "export.json", "--images", "dicom", "--classes", "x"),
            "other-format",
        ),
        (("--format", "mdai", "--annotations", "nothing.json", "--images", "dicom"), "input-not-found"),
        (("--format", "mdai", "--annotations", "export.json", "--images", "nothing"), "input-not-found"),
        (("--sources", "nothing.toml"), "input-not-found"),
    ],
)
def test_what_cannot_be_imported_is_exit_3(
    study: Study, here: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], kind: str
) -> None:
    monkeypatch.chdir(study.root)
    failed = run_json("import", *words, "--output", here / "out", "--plan-file", here / "i.json", code=3)
    assert failed["error"]["kind"] == kind
    assert list(here.iterdir()) == []


def test_no_classes_lists_all_labels_with_counts(study: Study, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study.root)
    failed = run("import", *CLINIC, "--output", here / "out", code=3)
    assert "'Tear' (4)" in failed.stderr
    assert "'Effusion' (0)" in failed.stderr


def test_the_output_may_not_lie_among_the_images(study: Study, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study.root)
    for words in (
        ("--output", "dicom/out"),
        ("--output", "."),
        ("--output", here / "o", "--plan-file", "dicom/i.json"),
    ):
        run("import", *CLINIC, "--classes", "Tear", *words, code=2)


def test_volumes_of_one_name_in_two_sources_are_refused(study: Study, here: Path) -> None:
    twice = TOML + TOML[TOML.index("[[source]]") :].replace('name = "', 'name = "other-')
    path = study.root / "twice.toml"
    path.write_text(twice)
    failed = run_json("import", "--sources", path, "--output", "out", code=3)
    assert failed["error"]["kind"] == "colliding-names"
    path.write_text(twice.replace('name = "other-', 'prefix = "o-"\nname = "other-'))
    made = run_json("import", "--sources", path, "--output", "out")
    assert {"knee0", "o-knee0"} <= {volume["volume"] for volume in made["volumes"]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[[source]]\n",
        "source = 5\n",
        'x = 1\n[[source]]\nformat="mdai"\nannotations="export.json"\nimages="dicom"\n',
        '[[source]]\nformat="mdai"\nannotations="export.json"\nimages="dicom"\nfoo="x"\n',
        '[[source]]\nformat="guess"\nannotations="export.json"\nimages="dicom"\n',
        '[[source]]\nformat="mdai"\nannotations=5\nimages="dicom"\n',
        '[[source]]\nformat="mdai"\nannotations="export.json"\nimages="dicom"\nreader=[1]\n',
        '[[source]]\nformat="mdai"\nannotations="export.json"\nimages="dicom"\naxis=7\n',
        '[[source]]\nformat="mdai"\nannotations="export.json"\nimages="dicom"\ntranspose="yes"\n',
        '[[source]]\nname="../x"\nformat="mdai"\nannotations="export.json"\nimages="dicom"\n',
        '[[source]]\nprefix="a/b"\nformat="mdai"\nannotations="export.json"\nimages="dicom"\n',
        "not toml at all",
        "a = " + "[" * 100_000,
    ],
)
def test_a_file_of_sources_that_is_wrong_is_refused(study: Study, here: Path, text: str) -> None:
    path = study.root / "wrong.toml"
    path.write_text(text)
    failed = run_json("import", "--sources", path, "--classes", "Tear", "--output", "out", code=3)
    assert failed["error"]["kind"] == "bad-sources"
    assert "wrong.toml" in failed["error"]["message"]


def test_an_import_goes_neither_with_lists_nor_with_labels_placed_as_images(study: Study, here: Path) -> None:
    run("import", "--sources", study.toml, "--output", "out", "--plan-file", "i.json")
    run("apply", "i.json", "--mode", "list", code=2)
    run("apply", "i.json", "--labels", "same", code=2)
    run("verify", "--plan", "i.json", "--near-duplicates", code=2)


def test_a_new_plan_says_that_it_replaces_another(study: Study, here: Path) -> None:
    first = run_json("import", "--sources", study.toml, "--output", "out")
    assert first["replaced"] is None
    again = run_json("import", "--sources", study.toml, "--output", "out")
    assert (again["digest"], again["replaced"]) == (first["digest"], None)
    other = run_json("import", "--sources", study.toml, "--output", "out2")
    assert other["replaced"] == first["digest"]


def test_the_api_takes_keywords(study: Study, tmp_path: Path) -> None:
    common: dict[str, Any] = {"output": str(tmp_path / "out"), "plan_file": None, "group_key": str(tmp_path / "key")}
    raw: dict[str, Any] = {"annotations": str(study.root / "instances.json"), "images": str(study.root / "pictures")}
    made = api.import_dataset(format="coco", classes="tear,bruise", volume_pattern="trailing-number", **raw, **common)
    assert made.path == ""
    assert made.plan.header.names == ("tear", "bruise")
    with pytest.raises(PlanbalanceError):
        api.import_dataset(format="coco", **raw, **common)


def test_json_holds_everything_that_the_text_says(study: Study, here: Path) -> None:
    document = run_json("import", "--sources", study.toml, "--output", "out")
    text = run("import", "--sources", study.toml, "--output", "out").stdout
    for fate, number in document["summary"]["fates"].items():
        assert (fate in text) == bool(number)
    assert document["next_command"].startswith("planbalance plan ")
    assert "--group-map" in document["next_command"]
    assert json.dumps(document["examples"]).count("1.2.1.9.99") == 1
    for volume in document["volumes"]:
        assert (volume["window"] is None) == (volume["kind"] == "picture")
