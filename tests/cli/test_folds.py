"""Folds, repetitions and values that are left out, through the command line: planned, built, and audited together."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.command import KNEES, knees, run, run_json

FOLDS = ("plan", "in", "--output", "cv", "--folds", "3")
SITES = {volume: ("Ulm", "Graz/West")[index // 2 % 2] for index, volume in enumerate(KNEES)}


def built(*words: str) -> list[str]:
    """Plan, and build every plan with links; return the plan files."""
    files = [one["plan_file"] for one in run_json(*words)["folds"]]
    run("apply", *files, "--mode", "symlink", "--quiet")
    return files


def with_sites(here: Path) -> tuple[str, ...]:
    rows = "".join(f"{volume},p{index // 2},{SITES[volume]}\n" for index, volume in enumerate(KNEES))
    (here / "map.csv").write_text(f"volume,group,site\n{rows}")
    return ("plan", "in", "--output", "sites", "--group-map", "map.csv", "--leave-out", "site")


def in_test(plan_file: str) -> set[str]:
    rows = run_json("show", plan_file, "--csv")["volumes"]
    return {row["volume"] for row in rows if row["split"] == "test"}


def test_a_build_of_all_folds_says_each_thing_once(here: Path) -> None:
    files = [one["plan_file"] for one in run_json(*FOLDS)["folds"]]
    said = run("apply", *files, "--mode", "symlink").stdout
    assert said.count("Built ") == 3
    assert said.count("symbolic links to the source") == said.count("\nNext\n") == 1
    assert f"  planbalance verify {here}/cv\n" in said
    shutil.rmtree(here / "cv")
    two = run("apply", *files[:2], "--mode", "symlink").stdout
    assert f"  planbalance verify {here}/cv\n" in two
    shutil.rmtree(here / "cv/fold1")
    (here / "cv/fold3").mkdir()
    again = run("apply", files[0], files[2], "--mode", "symlink").stdout
    assert f"  planbalance verify {here}/cv/fold1 {here}/cv/fold3\n" in again


# ---- plans ----------------------------------------------------------------------------------------------------------


def test_repetitions_have_folders_and_files_of_their_own(here: Path) -> None:
    found = run_json(*FOLDS, "--repeats", "2")
    names = [(repeat, fold) for repeat in (1, 2) for fold in (1, 2, 3)]
    assert [one["output"] for one in found["folds"]] == [f"{here}/cv/repeat{r}/fold{k}" for r, k in names]
    assert [one["plan_file"] for one in found["folds"]] == [f"{here}/plan-repeat{r}-fold{k}.json" for r, k in names]
    plain = run_json(*FOLDS)
    assert [one["plan_file"] for one in plain["folds"]] == [f"{here}/plan-fold{k}.json" for k in (1, 2, 3)]
    digests = [[one["split_digest"] for one in answer["folds"]] for answer in (plain, found)]
    assert digests[0] == digests[1][:3]
    assert not set(digests[0]) & set(digests[1][3:])
    again = run_json(*FOLDS, "--split-seed", "43", "--sample-seed", "42")
    assert [one["split_digest"] for one in again["folds"]] == digests[1][3:]


def test_one_table_shows_all_folds_and_nothing_else_is_printed_for_each(here: Path) -> None:
    said = run(*FOLDS, "--repeats", "2").stdout
    assert said.count("Names   ") == said.count("every volume is in test once\n") == 1
    assert "by --mode" not in said
    assert "2 repetitions of 3 folds: in each, every volume is in test once" in said
    rows = [line.split()[:4] for line in said.splitlines() if line.startswith("  repeat ")]
    assert rows == [["repeat", r, "fold", k] for r in "12" for k in "123"]
    full = " ".join(run(*FOLDS, "--repeats", "2", "--verbose").stdout.split())
    assert "The smallest test has 1 positive volume: a sensitivity of 85 % may be off by up to" in full
    assert "The test of all together has 4 positive volumes: " in full
    for word in ("mean", "smallest", "largest"):
        assert f"\n  {word} " in said
    assert f"planbalance verify {here}/cv\n" in said
    assert "planbalance apply plan-repeat1-fold1.json plan-repeat1-fold2.json" in said


@pytest.mark.usefixtures("here")
def test_each_fold_is_printed_in_full_if_more_is_asked_for() -> None:
    said = run(*FOLDS, "--verbose").stdout
    assert said.count("Undersampling of train") == 3
    assert said.index("Fold 3, one of 3 folds\n") < said.index("3 folds: every volume is in test once")
    assert "Undersampling of train" not in run(*FOLDS).stdout


def test_the_table_of_folds_has_the_worst_class(here: Path) -> None:
    for index, label in enumerate(sorted((here / "in/labels").rglob("*.txt"))):
        if label.read_text():
            label.write_text(f"{index % 2} 0.5 0.5 0.1 0.1\n")
    yaml = here / "in/dataset.yaml"
    yaml.write_text(yaml.read_text() + "  1: cyst\n")
    deviations = [
        max(float(one["deviation"]) for one in fold["targets"]["classes"]) for fold in run_json(*FOLDS)["folds"]
    ]
    said = run(*FOLDS).stdout
    assert "class off by\n" in said
    rows = [line.split()[-1] for line in said.splitlines() if line.startswith(("  fold ", "  largest "))]
    assert rows == [f"{one:.1f}" for one in (*deviations, max(deviations))]


@pytest.mark.usefixtures("here")
def test_the_figures_across_folds_are_those_of_the_folds() -> None:
    found = run_json(*FOLDS)
    across, folds = found["across_folds"], found["folds"]
    assert (across["folds"], across["repeats"], across["leave_out"]) == (3, 1, None)
    assert [row["name"] for row in across["rows"]] == ["fold 1", "fold 2", "fold 3"]
    for row, fold in zip(across["rows"], folds, strict=True):
        assert row["distance"] == fold["targets"]["distance"]
        for split in ("train", "val", "test"):
            before, after = fold["statistics"]["before"][split], fold["statistics"]["splits"][split]
            assert row[split] == {
                "volumes": fold["volume_statistics"][f"{split}_volumes"],
                "positive": before["positive"],
                "negative": before["negative"],
                "kept": after["total"],
            }
    numbers = [row["test"]["negative"] for row in across["rows"]]
    assert across["mean"]["test"]["negative"] == round(sum(numbers) / 3, 3)
    assert across["minimum"]["test"]["negative"] == min(numbers)
    assert across["maximum"]["test"]["negative"] == max(numbers)


def test_a_warning_is_printed_once_with_the_folds_that_it_is_about(here: Path) -> None:
    (here / "cv").mkdir()
    (here / "cv/notes.txt").touch()
    said = " ".join(run(*FOLDS).stdout.split())
    assert said.count("exists and is not empty") == 1
    fixed = " ".join(run(*with_sites(here)).stdout.split())
    assert "3 values" not in fixed
    assert "2 values of site, each left out once: its patients are test" in fixed


def test_each_site_is_test_in_its_own_folder(here: Path) -> None:
    found = run_json(*with_sites(here))
    files = [one["plan_file"] for one in found["folds"]]
    assert files == [f"{here}/plan-Graz_West.json", f"{here}/plan-Ulm.json"]
    assert [one["output"] for one in found["folds"]] == [f"{here}/sites/Graz_West", f"{here}/sites/Ulm"]
    assert found["across_folds"]["leave_out"] == "site"
    for file, site in zip(files, ("Graz/West", "Ulm"), strict=True):
        assert in_test(file) == {volume for volume, of in SITES.items() if of == site}
    assert "Fold    site Ulm is test (value 2 of 2)" in run("show", "plan-Ulm.json").stdout


def test_repetitions_and_a_value_left_out_are_saved_and_read_again(here: Path) -> None:
    for words in ((*FOLDS, "--repeats", "2"), with_sites(here)):
        first = run_json(*words, "--save-config")
        assert "ratio" not in (here / "planbalance.yaml").read_text()
        assert [one["digest"] for one in run_json("plan")["folds"]] == [one["digest"] for one in first["folds"]]
        (here / "planbalance.yaml").unlink()


def test_folds_that_are_typed_go_before_a_value_left_out_in_the_file(here: Path) -> None:
    run(*with_sites(here), "--save-config", "--quiet")
    assert run_json("plan", "--folds", "2")["across_folds"]["leave_out"] is None
    assert run_json("plan")["across_folds"]["leave_out"] == "site"


# ---- audits ---------------------------------------------------------------------------------------------------------


def checks(document: dict[str, object]) -> dict[str, object]:
    """Return whether each check of all datasets together is ok."""
    found = document["checks"]
    assert isinstance(found, list)
    return {check["name"]: check["ok"] for check in found}


ALL_OK = dict.fromkeys(("folds-present", "folds-same-options", "folds-same-volumes", "folds-test-once"), True)


def test_all_folds_are_audited_by_one_command(here: Path) -> None:
    built(*FOLDS)
    found = run_json("verify", "cv")
    assert found["ok"]
    assert [one["name"] for one in found["folds"]] == ["fold 1", "fold 2", "fold 3"]
    assert [one["dataset"] for one in found["folds"]] == [f"{here}/cv/fold{k}" for k in (1, 2, 3)]
    alone = run_json("verify", "cv/fold2")
    assert {key: found["folds"][1][key] for key in alone} == alone
    assert checks(found) == ALL_OK
    assert run_json("verify", *(f"cv/fold{k}" for k in (2, 1, 3)))["ok"]
    last = " ".join(run("verify", "cv").stdout.split("\n\n")[-1].split())
    assert last == (
        "OK 3 datasets audited; each is ok; every volume is in test of exactly one of them; not checked: patients, "
        "look-alikes, checksums of images."
    )


@pytest.mark.usefixtures("here")
def test_repetitions_are_audited_each_on_its_own() -> None:
    built(*FOLDS, "--repeats", "2")
    found = run_json("verify", "cv")
    assert checks(found) == ALL_OK
    assert "; every volume is in test of exactly one of them in each repetition;" in found["summary"]
    one = run_json("verify", "cv/repeat2")
    assert checks(one) == ALL_OK
    warned = [problem["message"] for check in one["checks"] for problem in check["problems"]]
    assert warned == ["of 2 repetitions only repeat 2 was looked at"]


def test_sites_are_audited_by_one_command(here: Path) -> None:
    built(*with_sites(here))
    found = run_json("verify", "sites")
    assert checks(found) == ALL_OK
    assert "; every patient is in test of exactly one of them;" in found["summary"]


def test_patients_of_a_fold_that_lost_its_plan_are_those_of_the_other_plans(here: Path) -> None:
    built(*with_sites(here))
    shutil.rmtree(here / "sites/Ulm/.planbalance")
    found = run_json("verify", "sites")
    assert checks(found) == ALL_OK | {"folds-present": None, "folds-same-volumes": None}


@pytest.mark.usefixtures("here")
def test_ten_folds_are_listed_in_their_order() -> None:
    built("plan", "in", "--output", "cv", "--folds", "11")
    names = [os.path.basename(one["dataset"]) for one in run_json("verify", "cv", "--quick")["folds"]]
    assert names == [f"fold{k}" for k in range(1, 12)]


def test_what_is_wrong_in_one_fold_fails_all(here: Path) -> None:
    built(*FOLDS)
    next(iter(sorted((here / "cv/fold2/images/val").iterdir()))).unlink()
    said = run("verify", "cv", code=6).stdout
    assert "x fold 2: images/val/" in said
    last = " ".join(said.split("\n\n")[-1].split())
    assert "FAILED fold 2: files: images/val/" in last
    assert last.endswith("`planbalance verify DATASET` ends with what to do about it.")
    found = run_json("verify", "cv", code=6)
    assert found["summary"].startswith("3 datasets audited; 1 failed: fold 2; every volume is in test")
    assert {text.partition(": ")[0] for text in found["failures"]} == {"fold 2"}


def test_a_fold_that_cannot_be_audited_counts_as_failed(here: Path) -> None:
    built(*FOLDS)
    shutil.rmtree(here / "cv/fold2")
    (here / "cv/fold2/images").mkdir(parents=True)
    found = run_json("verify", "cv", code=6)
    assert found["folds"][1]["error"]
    assert found["folds"][1]["ok"] is False
    assert [one["ok"] for one in found["folds"]] == [True, False, True]
    said = run("verify", "cv", code=6).stdout
    assert "\nFAILED fold2: " in said


def test_a_folder_of_other_datasets_is_no_folder_of_folds(here: Path) -> None:
    (here / "all").mkdir()
    run("build", "in", "--output", "all/one", "--mode", "symlink", "--quiet")
    knees(here / "in2", name="IM{slice}-7{volume}.png")
    run("build", "in2", "--output", "all/two", "--mode", "symlink", "--quiet")
    assert "all holds 2 datasets (one, two)" in run("verify", "all", code=3).stderr
    for with_plan in (True, False):
        for dataset in () if with_plan else ("one", "two"):
            shutil.rmtree(here / "all" / dataset / ".planbalance")
        found = run_json("verify", "all/one", "all/two")
        assert found["ok"]
        assert checks(found) == dict.fromkeys(ALL_OK)
        assert "folds that are there" in found["summary"]


@pytest.mark.usefixtures("here")
def test_variants_need_one_test_and_are_audited_by_one_command() -> None:
    """Members of an ensemble: another sample seed leaves the split as it is, another seed does not."""
    for name, options in (("v1", ("--sample-seed", "1")), ("v2", ("--sample-seed", "2"))):
        run("build", "in", "--output", f"all/{name}", "--mode", "symlink", *options, "--quiet")
    found = run_json("verify", "all")
    assert checks(found) == {"variants-one-test": True, "variants-one-val": True}
    assert "; all have one and the same test;" in found["summary"]
    run("build", "in", "--output", "all/v3", "--mode", "symlink", "--seed", "7", "--quiet")
    found = run_json("verify", "all", code=6)
    assert checks(found) == {"variants-one-test": False, "variants-one-val": False}
    wrong = {problem["path"].rpartition("/")[2] for check in found["checks"] for problem in check["problems"]}
    assert wrong == {"v3"}
    assert found["next_step"]["text"].startswith("Plan all variants with one --split-seed")
    said = run("verify", "all", code=6).stdout
    assert "\nFAILED test of the variants: v3: its test " in said
    assert "\nPlan all variants with one --split-seed" in said


@pytest.mark.usefixtures("here")
def test_two_folds_of_one_command_share_on_purpose() -> None:
    """Each is tested on what the other trains on: this is said, and there is nothing to move."""
    built(*FOLDS)
    found = run_json("verify", "cv/fold1", "--against", "cv/fold2")
    assert found["ok"]
    purposes = {leak["purpose"] for leak in found["leaks"]}
    assert "other fold" in purposes
    assert not any(leak["to_move"] for leak in found["leaks"])
    assert "another of the same folds, as folds do" in found["summary"]
    said = run("verify", "cv/fold1", "--against", "cv/fold2").stdout
    assert "on purpose: another of the same folds is tested on what this one trains on" in " ".join(said.split())
    assert "to move" not in said
    run("build", "in", "--output", "other", "--mode", "symlink", "--seed", "7", "--quiet")
    found = run_json("verify", "cv/fold1", "--against", "other", code=6)
    assert {leak["purpose"] for leak in found["leaks"]} <= {None, "same split"}


def test_a_site_that_is_called_images_does_not_hide_the_others(here: Path) -> None:
    words = with_sites(here)
    (here / "map.csv").write_text((here / "map.csv").read_text().replace("Ulm", "images"))
    built(*words)
    assert [one["name"] for one in run_json("verify", "sites")["folds"]] == ["Graz/West", "images"]


@pytest.mark.parametrize("where", ["typed", "in the file"])
def test_several_datasets_may_be_named_in_the_file_of_options(here: Path, where: str) -> None:
    built(*FOLDS)
    if where == "typed":
        assert len(run_json("verify", "cv/fold1", "cv/fold2", code=6)["folds"]) == 2
    else:
        (here / "planbalance.yaml").write_text("verify:\n  dataset: [cv/fold1, cv/fold2, cv/fold3]\n")
        assert len(json.loads(run("verify", "--json").stdout)["folds"]) == 3
