"""What each command does and says, with the keys of docs/reference/json.md."""

import csv
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from planbalance import demo
from tests.builders import mixed_volumes, tree_content, tree_state, write, yolo_tree
from tests.cli.command import KNEES, knees, make_demo_small, run, run_json
from tests.cli.terminal import PROGRAM

PLAN_KEYS = {"plan_file", "digest", "split_digest", "statistics", "volume_statistics", "targets", "naming", "warnings"}
APPLY_KEYS = {"output", "mode", "files", "bytes", "seconds", "resumed", "published", "train_commands"}
READING_KEYS = {"naming", "unit", "grouped_by", "groups", "slices_per_volume"}
VERIFY_KEYS = {
    "ok", "summary", "checks", "leaks", "warnings", "plan_digest", "yaml", "layout_differences", "repair_command",
    "failures", "splits", "classes", "classes_from", "stratify", "next_step",
} | READING_KEYS  # fmt: skip


def test_scan_counts_what_is_there(here: Path) -> None:
    found = run_json("scan", "in")
    assert (found["volumes"], found["positive_volumes"], found["negative_volumes"]) == (12, 4, 8)
    assert (found["slices"], found["positive"], found["negative"]) == (36, 4, 32)
    assert found["naming"]["rule"] == "im-dash"
    assert found["unit"] == "volume"
    said = run("scan", "in").stdout
    assert "IM1-01-02-00000.png is slice 1 of volume 01-02-00000" in said
    assert "patients NOT checked" in said
    assert "4 volumes with tear, 8 without" in said


def test_scan_knows_patients_by_a_map(here: Path) -> None:
    rows = "".join(f"{volume},p{number // 2}\n" for number, volume in enumerate(KNEES))
    write(here / "map.csv", f"volume,group\n{rows}".encode())
    found = run_json("scan", "in", "--group-map", "map.csv")
    assert (found["unit"], found["groups"]) == ("patient", 6)
    assert "NOT checked" not in run("scan", "in", "--group-map", "map.csv").stdout


def test_scan_tells_missing_from_empty_labels_and_what_is_odd(here: Path) -> None:
    (here / "in/labels/train/IM1-01-02-00001.txt").unlink()
    write(here / "in/labels/train/IM9-01-02-00001.txt", b"")
    write(here / "in/labels/train.cache", b"x")
    write(here / "in/images/train/IM4-01-02-00001.dcm", b"x")
    write(here / "in/labels/train/IM4-01-02-00001.txt", b"0 0.5 0.5 9 9\n")
    found = run_json("scan", "in")
    counts = {"missing": 1, "empty": 31, "orphans": 1, "invalid_files": 1, "invalid_lines": 1}
    assert found["labels"] == counts | {"overshoot": None}
    assert found["suffixes_not_read_by_trainers"] == ["dcm"]
    said = run("scan", "in").stdout
    assert "plan will ask for --missing-label" in said
    assert "do not read .dcm" in said
    assert "IM4-01-02-00001.txt:1" in said


def test_inputs_are_pooled_and_named(here: Path) -> None:
    knees(here / "normal")
    knees(here / "a=b")
    assert run_json("scan", "--input", "in", "--input", "right=normal", "--shared-ids", "different")["volumes"] == 24
    (found,) = run_json("scan", "--input", "a=b")["inputs"]
    assert found.pop("yaml")["path"] == str(here / "a=b/dataset.yaml")
    assert found == {"root": str(here / "a=b"), "prefix": "", "folders": ["images/train"]}
    assert run_json("scan", "in", "--input", "x=a=b", "--shared-ids", "different")["volumes"] == 24
    assert run_json("scan", "in", "--input", "x=a=b", "--shared-ids", "same")["volumes"] == 12


def test_images_and_labels_apart(here: Path) -> None:
    found = run_json("scan", "--images", "in/images", "--labels", "in/labels")
    assert (found["volumes"], found["positive"]) == (12, 4)


def test_an_output_may_stand_beside_image_and_label_roots_that_were_named_apart(here: Path) -> None:
    """Their common ancestor is not the input: in it, but in none of the two roots, anything may be built."""
    (here / "x").mkdir()
    (here / "in/images").rename(here / "x/imgs")
    (here / "in/labels").rename(here / "x/lbls")
    source = tree_state(here / "x")
    roots = ("--images", "x/imgs", "--labels", "x/lbls")
    run("plan", *roots, "--output", "x/out")
    assert run_json("apply")["published"]
    assert run_json("verify", "x/out")["ok"]
    for inside in ("x/imgs/out", "x/lbls/train/out", "x"):
        assert "input" in run("plan", *roots, "--output", inside, code=2).stderr
    assert "inside" in run("apply", "--output", "x/lbls/out", code=2).stderr
    assert "inside" in run("report", "--html", "x/lbls/page.html", code=2).stderr
    assert tree_state(here / "x", leave_out=("out",)) == source


def test_plan_has_the_contracts_keys_and_touches_nothing_else(here: Path) -> None:
    before = tree_state(here / "in")
    planned = run_json("plan", "in", "--output", "out")
    assert set(planned) >= PLAN_KEYS
    assert planned["plan_file"] == str(here / "plan.json")
    assert sorted(os.listdir(here)) == ["in", "plan.json"]
    assert tree_state(here / "in") == before


def test_every_sum_that_plan_prints_adds_up(here: Path) -> None:
    """Each table's last row is the sum of the rows above it, or what is left of them."""
    yolo_tree(here / "mixed", mixed_volumes(9, 25, seed=3))
    said = run("plan", "mixed", "--output", "out", "--verbose").stdout
    for title in ("Split of volumes", "Slices of these volumes", "Final splits"):
        rows = numbers(said, title)
        assert rows["all"][:3] == [
            sum(column) for column in zip(*(rows[s][:3] for s in ("train", "val", "test")), strict=True)
        ]
        assert all(row[0] + row[1] == row[2] for row in rows.values())
    reduction = numbers(said, "Reduction")
    assert reduction["removed"] == [
        was - left for was, left in zip(reduction["before"], reduction["after"], strict=True)
    ]
    assert numbers(said, "Slices of these volumes")["all"][:3] == reduction["before"]
    assert numbers(said, "Final splits")["all"][:3] == reduction["after"]


def test_the_one_table_of_plan_has_the_plans_numbers(here: Path) -> None:
    yolo_tree(here / "mixed", mixed_volumes(9, 25, seed=3))
    planned = run_json("plan", "mixed", "--output", "out")
    rows = numbers(run("plan", "mixed", "--output", "out").stdout, "Split of volumes")
    volumes, statistics = planned["volume_statistics"], planned["statistics"]
    for split in ("train", "val", "test"):
        before = statistics["before"][split]
        assert rows[split] == [
            *(volumes[f"{split}_volumes"], volumes[split]["positive"]),
            *(before["positive"], before["negative"], statistics["splits"][split]["total"]),
        ]
    assert rows["all"] == [sum(column) for column in zip(*(rows[s] for s in ("train", "val", "test")), strict=True)]


def test_the_plan_of_the_demo_fits_on_one_screen(here: Path) -> None:
    """24 lines of 100 columns."""
    demo.write_dataset(str(here / "knees"))
    said = run("plan", "knees", "--output", "out").stdout.splitlines()
    assert len(said) <= 24
    assert max(map(len, said)) <= 100
    assert sum("NOT checked" in line for line in said) == 1


def test_what_is_dangerous_is_said_without_verbose(here: Path) -> None:
    """Labels that are not there, targets that are not met, volumes of which nothing is kept."""
    yolo_tree(
        here / "few", {"a": "+" * 9, "b": "+", "c": "+", "d": "--" + "." * 30, "e": "--.", "f": ".", "g": "." * 9}
    )
    said = " ".join(run("plan", "few", "--output", "out", "--missing-label", "empty").stdout.split())
    assert "4 images without a label file counted as negative" in said
    assert re.search(r"\d+ slices off target: train gets \d positive slices? \(wanted \d\), ", said)
    assert "The split misses" not in said
    assert "Sampling kept no slice of" in said
    assert "Volumes without a kept slice are counted." in said


def test_plan_ends_with_its_verdict_and_the_commands_that_come_next(here: Path) -> None:
    """Both run as they are printed, from the same folder."""
    said = run("plan", "in", "--output", "out", "--plan-file", "my plan.json").stdout
    statistics = run_json("show", "my plan.json")["statistics"]
    kept, before = (
        sum(statistics[part][split]["total"] for split in ("train", "val", "test")) for part in ("splits", "before")
    )
    whole = " ".join(said.split())
    assert f"Plan: {kept} of {before} slices kept, {before - kept} no tear slices of train left out; no volume" in whole
    *_, page, build = said.splitlines()
    for command in (page, build):
        run(*shlex.split(command)[1:])
    assert (here / "my plan.html").exists()
    assert (here / "out/dataset.yaml").exists()


def numbers(said: str, title: str) -> dict[str, list[int]]:
    """Return the rows of the table under a title, their whole numbers only."""
    lines = said.split(f"\n{title}", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    lines = [line for line in lines if line.split()[0] in {"train", "val", "test", "all", "before", "after", "removed"}]
    rows = {
        line.split()[0]: [int(word.replace(",", "")) for word in line.split()[1:] if word.replace(",", "").isdigit()]
        for line in lines
    }
    return {name: row for name, row in rows.items() if row}


def test_a_replaced_plan_is_said_with_both_digests(here: Path) -> None:
    first = run_json("plan", "in", "--output", "out")
    assert run_json("plan", "in", "--output", "out")["replaced"] is None  # the same plan
    said = run("plan", "in", "--output", "out", "--sample-seed", "1").stdout
    second = run_json("show")
    assert first["digest"] != second["digest"]
    assert first["split_digest"] != "" != second["split_digest"]
    assert said.count(first["digest"]) == 1
    assert said.count(second["digest"]) == 1


def test_an_output_that_is_not_empty_is_a_warning_for_plan(here: Path) -> None:
    write(here / "out/mine.txt", b"")
    assert any("not empty" in warning for warning in run_json("plan", "in", "--output", "out")["warnings"])


def test_apply_is_complete_and_its_commands_stand_on_lines_of_their_own(here: Path) -> None:
    run("plan", "in", "--output", "my out")
    said = run("apply", "--verbose").stdout.splitlines()
    done = run_json("apply", "--output", "other")
    assert set(done) >= APPLY_KEYS
    assert done["published"] is True
    for name in ("yolov5", "ultralytics"):
        command = done["train_commands"][name].replace("/other", "/my out")
        assert sum(line.startswith(command.split()[0] + " ") for line in said) == 1
        assert all("'" in line for line in said if line.startswith(("python", "yolo ")))  # quoted: the blank is kept
    assert f"  planbalance verify '{here}/my out'" in said


def test_apply_names_the_command_that_prints_the_training_commands(here: Path) -> None:
    """They are long. `show` names the dataset that holds the plan, wherever it was built."""
    run("plan", "in", "--output", "out")
    said = run("apply", "--output", "other").stdout
    assert "python train.py" not in said
    (command,) = [line for line in said.splitlines() if " show " in line]
    shown = run(*shlex.split(command)[1:]).stdout
    assert f"\nyolo detect train data={here}/other/dataset.yaml " in shown
    assert f"--data {here}/other/dataset.yaml " in shown
    assert f"data={here}/out/dataset.yaml" in run("show", "--verbose").stdout


@pytest.mark.parametrize(("suffix", "told"), [("png", False), ("jpg", True), ("JPEG", True)])
def test_the_warning_of_jpegs_that_are_saved_again_is_for_jpegs(here: Path, suffix: str, *, told: bool) -> None:
    yolo_tree(here / "set", KNEES, name=f"IM{{slice}}-{{volume}}.{suffix}")
    run("plan", "set", "--output", "out")
    (warning,) = run_json("apply", "--mode", "symlink")["warnings"]
    assert warning.startswith("Images are symbolic links to the source: whatever writes through one changes the source")
    assert ("JPEG" in warning) is told


def test_dry_run_writes_nothing(here: Path) -> None:
    run("plan", "in", "--output", "out")
    before = tree_state(here)
    done = run_json("apply", "--dry-run")
    assert done["published"] is False
    assert "nothing was written" in run("apply", "--dry-run").stdout
    assert run_json("build", "in", "--output", "out", "--dry-run")["verify"] is None
    assert tree_state(here) == before


@pytest.mark.parametrize("mode", ["copy", "hardlink", "symlink"])
def test_build_is_plan_apply_and_verify(here: Path, mode: str) -> None:
    before = tree_state(here / "in") if mode != "hardlink" else None
    built = run_json("build", "in", "--output", "out", "--mode", mode)
    assert set(built) == {"plan", "apply", "verify"}
    assert set(built["plan"]) >= PLAN_KEYS
    assert built["plan"]["plan_file"] is None
    assert set(built["apply"]) >= APPLY_KEYS
    assert set(built["verify"]) >= VERIFY_KEYS
    assert built["verify"]["ok"] is True
    assert sorted(os.listdir(here)) == ["in", "out"]  # nothing beside the output, no plan file either
    assert before is None or tree_state(here / "in") == before
    run("verify", "out", "--quiet")


def test_build_says_that_images_were_not_read_again_and_how_to(here: Path) -> None:
    said = run("build", "in", "--output", "out").stdout
    assert "images were not read again" in said
    assert f"  planbalance verify {here}/out" in said.splitlines()


def test_builds_labels_option_is_a_root_or_a_mode(here: Path) -> None:
    run(
        "build",
        "--images",
        "in/images",
        "--labels",
        "in/labels",
        "--labels",
        "same",
        "--mode",
        "symlink",
        "--output",
        "out",
    )
    label = next(iter((here / "out/labels/test").iterdir()))
    assert label.is_symlink()
    run("build", "in", "--output", "other", "--labels", "a", "--labels", "b", code=2)


def test_plan_apply_and_build_give_the_same_tree(here: Path) -> None:
    run("plan", "in", "--output", "out")
    run("apply")
    built = tree_content(here / "out")
    os.rename(here / "out", here / "kept")
    run("build", "in", "--output", "out")
    assert tree_content(here / "out") == built


def test_verify_without_a_plan_and_its_report(here: Path) -> None:
    """A dataset that planbalance never built: slices of one volume in two splits are a leak."""
    for index, image in enumerate(sorted((here / "in/images/train").iterdir())):
        if index % 5 == 0:
            label = here / f"in/labels/train/{image.stem}.txt"
            write(here / f"in/images/test/{image.name}", image.read_bytes())
            write(here / f"in/labels/test/{image.stem}.txt", label.read_bytes())
            image.unlink()
            label.unlink()
    write(here / "in/dataset.yaml", b"train: images/train\nval: images/test\nnames: [tear]\n")
    audit = run_json("verify", "in", "--report", "audit.md", code=6)
    assert set(audit) == VERIFY_KEYS
    assert {leak["kind"] for leak in audit["leaks"]} == {"volume-overlap"}
    page = (here / "audit.md").read_text()
    assert audit["summary"].split(";")[0][:30] in page.replace("\\", "")
    assert "| volume in two splits | FAILED |" in page
    said = run("verify", "in", code=6).stdout
    assert audit["failures"] == [f"volume in two splits: {audit['summary'].split(';')[0]}"]
    last = said.split("\n\n")[-1]
    assert " ".join(last.split()).startswith(f"FAILED {audit['failures'][0]} To plan it without")
    assert last.splitlines()[-1] == f"  {audit['repair_command']}"
    assert audit["next_step"]["command"] == audit["repair_command"] == "planbalance repair in --output in-repaired"
    assert "Not checked\n" in said
    assert "Leaks" not in said
    detail = run("verify", "in", "--verbose", code=6).stdout
    assert "Leaks" in detail
    assert "NOT CHECKED" in detail


def test_show_a_volume_and_all_volumes(here: Path) -> None:
    planned = run_json("plan", "in", "--output", "out")
    rows = list(csv.DictReader(io.StringIO(run("show", "--csv").stdout)))
    assert [row["volume"] for row in rows] == sorted(KNEES)
    splits = {row["volume"]: row["split"] for row in rows}
    assert list(splits.values()).count("train") == planned["volume_statistics"]["train_volumes"]
    volume = run_json("show", "--volume", "01-02-00000")
    assert (volume["positive_slices"], volume["split"]) == ("2", splits["01-02-00000"])
    assert volume["kept"] == len(volume["images"])
    assert all(Path(image).is_file() for image in volume["images"])
    assert "Slices" in run("show", "--volume", "01-02-00000").stdout
    assert set(run_json("show", "plan.json")) >= PLAN_KEYS
    again = run_json("plan", "in", "--output", "out", "--split-map", csv_file(here, rows))
    assert again["split_digest"] == planned["split_digest"]


def test_show_a_slice_by_any_of_its_names(here: Path) -> None:
    """Of every slice of a volume in train: kept, with its places, or left out; and whatever it is called."""
    run("plan", "in", "--output", "out", "--layout", "by-volume", "--quiet")
    train = next(row["volume"] for row in run_json("show", "--csv")["volumes"] if row["split"] == "train")
    volume = run_json("show", "--volume", train)
    for number in (1, 2, 3):
        (one,) = run_json("show", "--volume", train, "--slice", number)["slices"]
        image = here / f"in/images/train/IM{number}-{train}.png"
        assert (one["slice"], one["split"]) == (number, "train")
        assert one["kept"] == (str(image) in volume["images"])
        if one["kept"]:
            assert (one["image"], one["to_image"]) == (str(image), f"images/train/{train}/{image.name}")
            assert one["positive"] == (Path(one["label"]).stat().st_size > 0)
        for name in (image.stem, image.name, f"images/train/{image.name}", image):
            assert run_json("show", "--slice", name)["slices"] == [one]
        said = run("show", "--slice", image.name).stdout
        assert ("left out" in said) != one["kept"]
    assert len(volume["images"]) < 3, "one of them is left out"


def csv_file(here: Path, rows: list[Any]) -> str:
    text = "volume,split\n" + "".join(f"{row['volume']},{row['split']}\n" for row in rows)
    return str(write(here / "splits.csv", text.encode()))


def test_diff_says_what_moved(here: Path) -> None:
    run("plan", "in", "--output", "out")
    run("plan", "in", "--output", "out", "--seed", "5", "--plan-file", "new.json")
    found = run_json("diff", "plan.json", "new.json")
    said = run("diff", "plan.json", "new.json").stdout
    assert found["moved"] or found["same_split"]
    for one in found["moved"]:
        assert f"{one['volume']}: {one['old']} -> {one['new']}" in said
    assert "The plans are the same" in run("diff", "plan.json", "plan.json").stdout


def test_folds_put_every_volume_in_test_once(here: Path) -> None:
    planned = run_json("plan", "in", "--output", "folds", "--folds", "3")["folds"]
    assert [one["plan_file"] for one in planned] == [str(here / f"plan-fold{k}.json") for k in (1, 2, 3)]
    assert [one["output"] for one in planned] == [str(here / f"folds/fold{k}") for k in (1, 2, 3)]
    tested = [
        row["volume"]
        for one in planned
        for row in run_json("show", one["plan_file"], "--csv")["volumes"]
        if row["split"] == "test"
    ]
    assert sorted(tested) == sorted(KNEES)
    (here / "folds").mkdir()
    files = [one["plan_file"] for one in planned]
    assert [one["published"] for one in run_json("apply", *files, "--mode", "symlink")["folds"]] == [True] * 3
    said = run("plan", "in", "--output", "folds2", "--folds", "2").stdout
    assert "planbalance apply plan-fold1.json plan-fold2.json" in said


def test_several_plans_have_one_audit_and_each_warning_once(here: Path) -> None:
    """The folder of the folds is audited; datasets beside each other in the working folder are audited each."""
    files = [one["plan_file"] for one in run_json("plan", "in", "--output", "cv", "--folds", "3")["folds"]]
    said = run("apply", *files, "--mode", "symlink").stdout
    assert said.count("Built ") == 3
    assert said.count("Images are symbolic links to the source") == said.count("planbalance verify") == 1
    assert f"\n  planbalance verify {here}/cv\n" in said
    for name in ("one", "two"):
        run("plan", "in", "--output", name, "--plan-file", f"{name}.json")
    said = run("apply", "one.json", "two.json").stdout
    assert [line for line in said.splitlines() if " verify " in line] == [
        f"  planbalance verify {here}/{name}" for name in ("one", "two")
    ]


def test_an_image_that_is_mounted_elsewhere_prints_its_training_commands(here: Path) -> None:
    """No `show` names the place of an image."""
    run("plan", "in", "--output", "out")
    said = run("apply", "--mode", "squashfs", "--mount-at", "/data/knee").stdout
    assert "\nyolo detect train data=/data/knee/dataset.yaml " in said
    assert " show " not in said


def test_relocate_after_a_move(here: Path) -> None:
    run("build", "in", "--output", "out", "--mode", "symlink")
    os.rename(here / "out", here / "moved")
    os.rename(here / "in", here / "source")
    done = run_json("relocate", "moved", "--source", f"{here}/in={here}/source")
    assert (done["changed"], done["old_path"], done["dangling"]) == (True, str(here / "out"), [])
    assert f"path: {here}/moved" in (here / "moved/dataset.yaml").read_text().replace('"', "")
    assert "had this path already" in run("relocate", "moved").stdout


def test_demo_runs_the_whole_job_and_says_how(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = run("demo").stdout
    for command in ("scan", "plan", "apply", "verify", "report"):
        assert f"$ planbalance {command} planbalance-demo/" in said
    assert (here / "planbalance-demo/report.html").stat().st_size > 50_000
    assert "What to try next" in said
    tried = [line for line in said.split("What to try next")[1].splitlines() if line.startswith("planbalance ")]
    for line in tried:
        run(*line.split()[1:])
    make_demo_small(monkeypatch)
    done = run_json("demo")  # its own folder: made afresh
    assert set(done) == {"plan", "apply", "verify"}
    assert done["verify"]["ok"] is True


def test_the_raw_demo_begins_with_the_import(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_demo_small(monkeypatch)
    said = run("demo", "--raw").stdout
    for command in ("import", "apply", "verify", "scan", "plan", "report"):
        assert f"$ planbalance {command} " in said
    tried = [line for line in said.split("What to try next")[1].splitlines() if line.startswith("planbalance ")]
    for line in tried:
        run(*line.split()[1:])
    done = run_json("demo", "--raw")  # its own folder: made afresh
    assert set(done) == {"import", "plan", "apply", "verify"}
    fates = done["import"]["import"]["summary"]["fates"]
    assert sum(fates.values()) == done["import"]["import"]["summary"]["annotations"]
    assert min(fates[fate] for fate in ("used", "duplicate", "no-image", "degenerate", "unknown-label")) > 0
    assert done["import"]["verify"]["ok"] is True
    assert done["verify"]["ok"] is True


def test_demo_without_the_report_extra_says_what_the_page_needs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_demo_small(monkeypatch)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert "The page needs jinja2" in run("demo").stdout
    assert not (here / "planbalance-demo/report.html").exists()


def test_python_dash_m_is_the_program(here: Path) -> None:
    done = subprocess.run([*PROGRAM, "scan", "in", "--json"], capture_output=True, check=True)
    assert done.stdout.startswith(b"{")
