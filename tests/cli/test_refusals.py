"""Every refusal that has an exit code of its own, through the command line: the code, the kind, the sentence."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.builders import tree_state, write, yolo_tree
from tests.cli.command import KNEES, knees, run

Words = list[str]
PLAN = ["plan", "in", "--output", "out"]
EXTEND = [*PLAN, "--extend", "plan.json"]
FOLDS = [*PLAN, "--folds", "3"]
LEFT_OUT = [*PLAN, "--group-map", "map.csv", "--leave-out", "site"]
OVERLAP, DIFFERS, RANGE = "output-overlaps-input", "extend-differs", "number-out-of-range"
MAP = "volume,group,site\n" + "".join(f"{volume},p{index},a\n" for index, volume in enumerate(KNEES))


@dataclass(frozen=True)
class Case:
    """What is refused: how it comes about below the working folder `in` is in, the words typed, and what is said."""

    name: str
    words: Words
    code: int
    kind: str
    says: tuple[str, ...]
    prepare: Callable[[Path], object] = lambda _: None
    leaves: tuple[str, ...] = ()  # what may be there afterwards


def mapped(here: Path, *rows: str) -> None:
    """Write the map, with other rows for some volumes."""
    others = [row for row in MAP.splitlines() if not any(row[:11] == one[:11] for one in rows)]
    write(here / "map.csv", "\n".join([*others, *rows]).encode())


def two_invalid(here: Path) -> None:
    write(here / "in/labels/train/IM1-01-02-00001.txt", b"0 0.5 0.5 1.7 0.2\n")
    write(here / "in/labels/train/IM2-01-02-00001.txt", b"0 0.5\n")


def behind_a_link(here: Path) -> None:
    (here / "all").mkdir()
    (here / "in").rename(here / "all/in")
    (here / "link").symlink_to("all")


def beside_a_file(here: Path) -> None:
    planned(here)
    write(here / "dataset.yaml", b"")


def without_labels(here: Path) -> None:
    for label in (here / "in/labels/train").iterdir():
        label.write_bytes(b"")


def fresh(here: Path, volumes: dict[str, str], **settings: object) -> None:
    """Replace the dataset."""
    shutil.rmtree(here / "in")
    yolo_tree(here / "in", volumes, **settings)  # type: ignore[arg-type]


def planned(here: Path) -> None:
    run(*PLAN)


def damaged(here: Path) -> None:
    planned(here)
    plan = here / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b'"train"', b'"tRain"', 1))


def hostile(here: Path) -> None:
    planned(here)
    plan = here / "plan.json"
    plan.write_bytes(plan.read_bytes().replace(b'"image":"images/', b'"image":"../images/', 1))


def stale(here: Path) -> None:
    planned(here)
    for label in sorted((here / "in/labels/train").iterdir()):
        label.write_bytes(b"0 0.5 0.5 0.3 0.3\n")


def occupied(here: Path) -> None:
    planned(here)
    write(here / "out/notes.txt", b"mine")


def built(here: Path) -> None:
    planned(here)
    run("apply")


def built_and_damaged(here: Path) -> None:
    built(here)
    next(iter(sorted((here / "out/images/train").iterdir()))).unlink()


def doubled(here: Path) -> None:
    image = here / "in/images/train/IM1-01-02-00001.png"
    write(image.with_suffix(".jpg"), b"another")


USAGE = [
    Case("no such option", ["plan", "in", "--outptu", "out"], 2, "usage", ("--outptu",)),
    Case("no such command", ["paln"], 2, "usage", ("paln",)),
    Case("no output", ["plan", "in"], 2, "usage", ("--output",)),
    Case("no input", ["plan", "--output", "out"], 2, "usage", ("No input",)),
    Case("the output where the plan lies", ["plan", "in", "--output", "p.json", "--plan-file", "p.json"], 2,
         "output-is-plan-file", ("are both", "--plan-file another name")),
    Case("an empty path", ["plan", "in", "--output", ""], 2, "usage", ("not a path",)),
    Case("a number that is none", [*PLAN, "--gap", "few"], 2, "usage", ("few",)),
    Case("no such mode", ["build", "in", "--output", "out", "--mode", "teleport"], 2, "usage", ("teleport",)),
    Case("no such split method", [*PLAN, "--split-method", "best"], 2, "usage", ("best",)),
    Case("a proof in no time", [*PLAN, "--prove", "0"], 2, RANGE, ("--prove is 0",)),
    Case("the split of no proof", [*PLAN, "--prove-split"], 2, "prove-nothing", ("give --prove SECONDS",)),
    Case("a proof of a random split", [*PLAN, "--prove", "9", "--split-method", "random"], 2, "prove-nothing",
         ("does not aim at anything",)),
    Case("a proof of folds", [*FOLDS, "--prove", "9"], 2, "folds-exclude", ("a proof is about one split",)),
    Case("no such split", [*PLAN, "--keep-split", "exam"], 2, "usage", ("exam",)),
    Case("images without labels", ["plan", "--images", "in", "--output", "out"], 2, "usage", ("--labels",)),
    Case("a pair that is none", ["apply", "--map-input", "here"], 2, "usage", ("OLD=NEW",), planned),
    Case("volume and csv", ["show", "--csv", "--volume", "x"], 2, "usage", ("--csv",), planned),
    Case("no such volume", ["show", "--volume", "01-02-0000"], 2, "unknown-volume", ("no volume", "Did you"), planned),
    Case("no such slice", ["show", "--slice", "IM99-01-02-00000"], 2, "unknown-slice", ("no slice IM99",), planned),
    Case("no such slice there", ["show", "--volume", "01-02-00000", "--slice", "7"], 2, "unknown-slice",
         ("no slice 7 of volume 01-02-00000",), planned),
    Case("ratios beyond 1", [*PLAN, "--train-ratio", "0.9", "--val-ratio", "0.2"], 2, "bad-ratios", ("more than 1",)),
    Case("ratios that do not sum to 1", [*PLAN, "--train-ratio", "0.8"], 2, "bad-ratios", ("sum to 1.1",)),
    Case("a negative ratio", [*PLAN, "--val-ratio", "-0.1"], 2, "bad-number", ("negative",)),
    Case("a ratio that is no number", [*PLAN, "--val-ratio", "NaN"], 2, "bad-number", ("not a decimal",)),
    Case("no train", [*PLAN, "--train-ratio", "0", "--val-ratio", "0.5"], 2, "bad-ratios", ("--train-ratio is 0",)),
    Case("no negatives", [*PLAN, "--negatives-per-positive", "0"], 2, "bad-number", ("--negatives-per-positive",)),
    Case("a negative gap", [*PLAN, "--gap", "-1"], 2, RANGE, ("--gap is -1",)),
    Case("a negative seed", [*PLAN, "--seed", "-5"], 2, RANGE, ("--seed is -5",)),
    Case("a negative class", [*PLAN, "--positive-class", "-1"], 2, RANGE, ("--positive-class",)),
    Case("no workers", ["apply", "--jobs", "0"], 2, RANGE, ("--jobs is 0",), planned),
    Case("columns without a map", [*PLAN, "--stratify", "site"], 2, "stratify-without-map", ("--group-map",)),
    Case("one fold", [*PLAN, "--folds", "1"], 2, RANGE, ("--folds is 1",)),
    Case("folds and a test ratio", [*FOLDS, "--test-ratio", "0.2"], 2, "folds-exclude", ("--test-ratio",)),
    Case("folds and an older plan", [*FOLDS, "--extend", "plan.json"], 2, "folds-exclude", ("--extend",), planned),
    Case("no repetition", [*FOLDS, "--repeats", "0"], 2, RANGE, ("--repeats is 0",)),
    Case("repetitions of no folds", [*PLAN, "--repeats", "2"], 2, "usage", ("give --folds too",)),
    Case("folds and a value left out", [*FOLDS, "--leave-out", "site"], 2, "usage", ("exclude each other",)),
    Case("folds and a kept split", [*FOLDS, "--keep-split", "test"], 2, "folds-fix-nothing", ("--keep-split",)),
    Case("left out, no map", [*PLAN, "--leave-out", "site"], 2, "leave-out-without-map", ("--group-map",)),
    Case("left out, a test ratio", [*LEFT_OUT, "--test-ratio", "0.2"], 2, "folds-exclude", ("--test-ratio",), mapped),
    Case("left out, an older plan", [*LEFT_OUT, "--extend", "plan.json"], 2, "folds-exclude", ("--extend",), mapped),
    Case("left out, a proof", [*LEFT_OUT, "--prove", "9"], 2, "folds-exclude", ("a proof is about one split",), mapped),
    Case("left out, a kept split", [*LEFT_OUT, "--keep-split", "test"],
         2, "folds-fix-nothing", ("--keep-split",), mapped),
    Case("left out and build", ["build", "in", "--output", "out", "--leave-out", "site"],
         2, "usage", ("plan --leave-out",)),
    Case("verify: a report of several", ["verify", "in", "in2", "--report", "a.md"], 2, "usage", ("--report",)),
    Case("verify: the plan of several", ["verify", "in", "in2", "--plan", "a.json"], 2, "usage", ("--plan",)),
    Case("verify: one twice", ["verify", "in", "./in"], 2, "named-twice", ("twice",)),
    Case("folds and build", ["build", "in", "--output", "out", "--folds", "3"], 2, "usage", ("plan --folds",)),
    Case("extend, another seed", [*EXTEND, "--seed", "7"], 2, DIFFERS, ("leave out --seed 7 (42 there)",), planned),
    Case("extend, another ratio", [*EXTEND, "--train-ratio", "0.6"], 2, DIFFERS, ("--train-ratio",), planned),
    Case("extend, another rule", [*EXTEND, "--volume-pattern", "parent-dir"],
         2, DIFFERS, ("--volume-pattern",), planned),
    Case("extend, another class", [*EXTEND, "--positive-class", "0"], 2, DIFFERS, ("--positive-class",), planned),
    Case("output is the input", ["plan", "in", "--output", "in"], 2, OVERLAP, ("equal to",)),
    Case("output is the input, written otherwise", ["plan", "in", "--output", "x/../in/."], 2, OVERLAP, ("equal to",)),
    Case("output inside the input", ["plan", "in", "--output", "in/out"], 2, OVERLAP, ("inside",)),
    Case("output around the input", ["plan", "in", "--output", "."], 2, OVERLAP, ("around",)),
    Case("output inside, behind a link", ["plan", "in", "--output", "link/out"], 2, OVERLAP, ("inside",),
         lambda here: (here / "link").symlink_to(here / "in")),
    Case("output around, behind a link", ["plan", "link/in", "--output", "all"], 2, OVERLAP, ("around",),
         behind_a_link),
    Case("output inside the input of a yaml", ["plan", "in/dataset.yaml", "--output", "in/out"],
         2, OVERLAP, ("inside",)),
    Case("apply elsewhere: inside the input", ["apply", "--output", "in/out"], 2, OVERLAP, ("inside",), planned),
    Case("plan file inside an input", [*PLAN, "--plan-file", "in/plan.json"],
         2, "file-inside-input", ("plan file", "inside")),
    Case("plan file in no folder", [*PLAN, "--plan-file", "no/plan.json"], 2, "bad-plan-file", ("does not exist",)),
    Case("report inside the dataset", ["verify", "in", "--report", "in/audit.md"],
         2, "file-inside-input", ("report", "inside")),
    Case("report of another format", ["verify", "in", "--report", "audit.pdf"], 2, "report-format", ("Markdown",)),
]  # fmt: skip

INPUT = [
    Case("not there", ["plan", "inn", "--output", "out"],
         3, "input-not-found", ("Input directory not found", "Did you mean")),
    Case("yaml not there", ["scan", "data.yaml"], 3, "input-not-found", ("Input file not found",)),
    Case("no dataset", ["scan", "empty"],
         3, "no-layout", ("No dataset layout",), lambda here: (here / "empty").mkdir()),
    Case("no slices", ["plan", "empty", "--output", "out"], 3, "no-slices", ("No images found",),
         lambda here: (here / "empty/images").mkdir(parents=True)),
    Case("no slices to scan", ["scan", "empty"], 3, "no-slices", ("No images found",),
         lambda here: (here / "empty/images").mkdir(parents=True)),
    Case("no positives", PLAN, 3, "no-positives", ("has an annotation",), without_labels),
    Case("no positives of this class", [*PLAN, "--positive-class", "4"], 3, "no-positives", ("of class 4",)),
    Case("too few volumes", PLAN, 3, "too-few-groups", ("group",), lambda here: fresh(here, {"01": "+.", "02": ".."})),
    Case("ambiguous names", PLAN, 3, "ambiguous-names", ("--volume-pattern",),
         lambda here: fresh(here, KNEES, name="{volume}/IM2-{slice:04d}.png")),
    Case("class names", PLAN, 3, "class-names", ("classes", "--slice-map", "--volume-pattern image"),
         lambda here: fresh(here, {"torn": "+" * 12, "normal": "." * 12}, name="{volume}/{slice}.png")),
    Case("unmatched names", [*PLAN, "--volume-pattern", r"(?P<volume>\d+)x"], 3, "unmatched-names", ("does not read",)),
    Case("invalid labels", PLAN, 3, "label-invalid", ("invalid label line", "--invalid-label"),
         two_invalid),
    Case("missing beside empty labels", PLAN, 3, "missing-labels-ambiguous", ("without label file", "--missing-label"),
         lambda here: (here / "in/labels/train/IM1-01-02-00001.txt").unlink()),
    Case("missing labels refused", [*PLAN, "--missing-label", "error"], 3, "missing-labels", ("without a label file",),
         lambda here: (here / "in/labels/train/IM1-01-02-00001.txt").unlink()),
    Case("two images, one label", PLAN, 3, "collision", ("IM1-01-02-00001",), doubled),
    Case("ids that differ in case", PLAN, 3, "clashing-ids", ("a1", "A1"),
         lambda here: fresh(here, KNEES | {"a1": ".+", "A1": "."}, name="IM{slice}-{volume}.png")),
    Case("class names disagree", ["plan", "in", "in2", "--output", "out"], 3, "class-names-disagree", ("disagree",),
         lambda here: yolo_tree(here / "in2", {"09": "+"}, names=("rupture",))),
    Case("an unknown volume", [*PLAN, "--group-map", "map.csv"], 3, "unknown-volumes", ("does not know",),
         lambda here: write(here / "map.csv", b"volume,group\n01-02-00000,p\n")),
    Case("no such map", [*PLAN, "--group-map", "map.csv"], 3, "input-not-found", ("map.csv",)),
    Case("no such column", [*PLAN, "--group-map", "map.csv", "--group-column", "patient"], 3, "bad-map", ("patient",),
         lambda here: write(here / "map.csv", MAP.encode())),
    Case("left out: no such column", [*LEFT_OUT[:-1], "scanner"], 3, "bad-map", ("scanner", "site"), mapped),
    Case("left out: one value", LEFT_OUT, 3, "one-value", ("all volumes have the value a",), mapped),
    Case("left out: a patient with two values", LEFT_OUT, 3, "group-has-two-values", ("p: a (", "--exclude"),
         lambda here: mapped(here, "01-02-00000,p,a", "01-02-00001,p,b")),
    Case("left out: no value", LEFT_OUT, 3, "bad-map", ("1 empty value",),
         lambda here: mapped(here, "01-02-00000,p,", "01-02-00001,p,b")),
    Case("a map that is no text", [*PLAN, "--group-map", "map.csv"], 3, "bad-map", ("UTF-8",),
         lambda here: write(here / "map.csv", b"\xff\x00\x81")),
    Case("a split map with no split", [*PLAN, "--split-map", "map.csv"], 3, "bad-map", ("01-02-00000",),
         lambda here: write(here / "map.csv", b"volume,split\n01-02-00000,exam\n")),
    Case("verify: not there", ["verify", "outt"], 3, "input-not-found", ("outt",)),
]  # fmt: skip

REFUSED_PLANS = [
    Case("no plan", ["apply"], 4, "plan-not-found", ("plan.json",)),
    Case("no plan to show", ["show", "other.json"], 4, "plan-not-found", ("other.json",)),
    Case("no plan to compare", ["diff", "plan.json", "other.json"], 4, "plan-not-found", ("other.json",), planned),
    Case("no plan to extend", [*PLAN, "--extend", "other.json"], 4, "plan-not-found", ("other.json",)),
    Case("no plan to verify", ["verify"], 4, "plan-not-found", ("plan.json",)),
    Case("damaged", ["apply"], 4, "plan-damaged", ("plan.json",), damaged),
    Case("no plan at all", ["apply", "in/dataset.yaml"], 4, "plan-damaged", ("dataset.yaml",)),
    Case("hostile", ["apply", "--allow-edited"], 4, "plan-hostile", ("..",), hostile),
    Case("stale", ["apply", "--dry-run"], 4, "plan-stale", ("labels/train",), stale),
    Case("stale, found midway", ["apply"], 4, "plan-stale", ("labels/train",), stale, (".out.planbalance-partial",)),
    Case("output exists", ["apply"], 4, "output-exists", ("out",), occupied),
    Case("already built", ["apply"], 4, "already-built", ("already built", "run verify"), built),
    Case("already built, by build", ["build", "in", "--output", "out"], 4, "already-built", ("already built",), built),
    Case("output in no folder", ["apply", "--output", "dataset.yaml/out"], 4, "output-exists", ("dataset.yaml",),
         beside_a_file),
    Case("demo in somebody's folder", ["demo", "in"], 4, "output-exists", ("not made by a demo",)),
]  # fmt: skip

AUDITS = [Case("audit failed", ["verify"], 6, "", ("FAILED",), built_and_damaged)]


@pytest.mark.parametrize("case", [*USAGE, *INPUT, *REFUSED_PLANS], ids=lambda case: case.name)
def test_refused_with_its_sentence(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = prepared(case, tmp_path, monkeypatch)
    before = tree_state(here)

    said = run(*case.words, code=case.code)
    assert said.stdout == ""
    assert said.stderr.startswith("Error: ")
    for words in case.says:
        assert words in said.stderr

    document = json.loads(run(*case.words, "--json", code=case.code).stdout)
    assert set(document) == {"error", "exit"}
    assert set(document["error"]) == {"kind", "message", "hint", "paths"}
    assert (document["exit"], document["error"]["kind"]) == (case.code, case.kind)
    assert "\n" not in document["error"]["message"]
    assert tree_state(here, leave_out=case.leaves) == before  # a refusal leaves nothing behind


@pytest.mark.parametrize("case", AUDITS, ids=lambda case: case.name)
def test_failed_audit_is_a_result(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(case, tmp_path, monkeypatch)
    said = run(*case.words, code=case.code).stdout
    for words in case.says:
        assert words in said
    document = json.loads(run(*case.words, "--json", code=case.code).stdout)
    assert document["ok"] is False
    assert "error" not in document


def test_all_invalid_lines_are_listed_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(case for case in INPUT if case.name == "invalid labels")
    prepared(case, tmp_path, monkeypatch)
    paths = json.loads(run(*case.words, "--json", code=3).stdout)["error"]["paths"]
    assert len(paths) == 2
    assert "IM1-01-02-00001.txt:1" in paths[0]
    assert "IM2-01-02-00001.txt:1" in paths[1]


def prepared(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    knees(tmp_path / "in")
    case.prepare(tmp_path)
    return tmp_path


def test_hard_links_across_file_systems_are_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Path("/dev/shm")
    if not elsewhere.is_dir() or os.stat(elsewhere).st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("no second file system at /dev/shm")
    monkeypatch.chdir(tmp_path)
    knees(tmp_path / "in")
    with tempfile.TemporaryDirectory(dir=elsewhere) as far:
        run("plan", "in", "--output", f"{far}/out")
        assert "different file systems" in run("apply", "--mode", "hardlink", code=4).stderr
        assert os.listdir(far) == []
        run("apply", "--mode", "hardlink", "--fallback", "copy")
        assert sorted(os.listdir(far)) == ["out"]


# ---- what is kept ---------------------------------------------------------------------------------------------------


def test_a_different_plan_is_kept_and_that_is_said(here: Path) -> None:
    run(*PLAN)
    first = (here / "plan.json").read_bytes()
    assert "is kept" not in run(*PLAN).stderr
    replaced = run(*PLAN, "--seed", "7")
    assert "A different plan was there. The older plan.json is kept as plan.json.bak." in replaced.stderr
    assert "A different plan" not in replaced.stdout  # it is said once
    assert "Digests of the plan that was here, and of this one:\n" in replaced.stdout
    assert (here / "plan.json.bak").read_bytes() == first
    again = json.loads(run(*PLAN, "--seed", "8", "--json").stdout)
    assert again["kept_as"] == str(here / "plan.json.bak2")
    run("apply", "plan.json.bak", "--quiet")
    run("verify", "--quiet", "out")


def test_a_command_that_the_sentence_has_is_no_hint_too(here: Path) -> None:
    run(*PLAN)
    run("apply", "--mode", "symlink", "--quiet")
    again = run("apply", "--mode", "symlink", code=4).stderr
    assert again == f"Error: {here}/out is already built, run verify.\nHint: planbalance verify {here}/out\n"


def test_an_audit_before_the_build_names_the_build(here: Path) -> None:
    run(*PLAN, "--plan-file", "mine.json")
    said = run("verify", "--plan", "mine.json", code=3).stderr
    assert "mine.json was not applied yet" in said
    assert "`planbalance apply mine.json` builds it" in said
    assert "Dataset not found" in run("verify", "out", code=3).stderr


def test_a_column_of_groups_needs_a_map() -> None:
    said = run(*PLAN, "--group-column", "patient", code=2).stderr
    assert "--group-column patient names a column of the group map: give --group-map FILE too." in said


def test_a_report_of_a_dataset_with_errors_says_that_the_audit_failed(here: Path) -> None:
    run(*PLAN)
    run("apply", "--mode", "symlink", "--quiet")
    assert "FAILED" not in run("report", "out", "--html", "clean.html").stdout
    (here / "in/labels/train/IM1-a.txt").write_bytes(b"0 7 7 7 7\n")
    run("verify", "in", code=6)
    for form in ("html", "md"):
        said = run("report", "in", "--format", form, "--output", f"errors.{form}").stdout
        assert "FAILED The audit of the dataset found errors: the file lists them." in said


def test_folds_and_the_plan_file_of_a_build_are_kept_too(here: Path) -> None:
    run(*FOLDS)
    assert "The older plan-fold1.json is kept as plan-fold1.json.bak" in run(*FOLDS, "--seed", "7").stderr
    assert sorted(path.name for path in here.glob("*.bak")) == [f"plan-fold{fold}.json.bak" for fold in (1, 2, 3)]
    write(here / "mine.json", b"{}")
    built = run("build", "in", "-o", "built", "--plan-file", "mine.json", "--mode", "symlink")
    assert "The older mine.json is kept as mine.json.bak." in built.stderr
    assert (here / "mine.json.bak").read_bytes() == b"{}"


@pytest.mark.parametrize("words", [PLAN, FOLDS, ["repair", "in", "--output", "out", "--keep", "none"]])
def test_the_plan_of_another_user_is_refused_before_anything_is_read(
    here: Path, monkeypatch: pytest.MonkeyPatch, words: Words
) -> None:
    monkeypatch.setattr("planbalance.fs.owner_of_another", lambda _path: 0)
    monkeypatch.setattr("planbalance.scan.scan", lambda *_: pytest.fail("it was read"))
    before = tree_state(here)
    error = json.loads(run(*words, "--json", code=2).stdout)["error"]
    assert error["kind"] == "plan-of-another-user"
    assert "belongs to root and is not replaced" in error["message"]
    assert "--plan-file" in error["message"]
    assert tree_state(here) == before
