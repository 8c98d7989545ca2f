"""`plan --verbose`, `show` and `build` say what val and test can tell, in patients, and for each class."""

from pathlib import Path
from typing import Any

from tests.builders import write, yolo_tree
from tests.cli.command import run, run_json

TITLE = "What val and test can tell"
EACH = f"{TITLE} of each class"


def section(said: str, title: str = TITLE) -> list[str]:
    """Return the lines below a title, each wrapped sentence in one line."""
    return said.split(f"\n{title}", 1)[1].split("\n\n", 1)[0].splitlines()[1:]


def many(root: Path, *, positive: int = 40) -> Path:
    """Write 120 volumes of two slices, the first ones positive."""
    return yolo_tree(root, {f"v{number:03d}": "+." if number < positive else ".." for number in range(120)})


def test_val_and_test_say_how_far_off_a_sensitivity_may_be(here: Path) -> None:
    many(here / "many")
    found = run_json("plan", "many", "--output", "out")["sensitivity"]
    assert (found["measured"], found["confidence"], found["within"], found["needed"]) == (85, 95, 10, 73)
    assert found["unit"] == "volume"
    assert found["val"] == found["test"] == {"units": 6, "lower": 45.2, "upper": 97.5, "off": 40}
    assert found["classes"] == []
    assert section(run("plan", "many", "--output", "out", "--verbose").stdout) == [
        "  Val has 6 positive volumes: a sensitivity of 85 % may be off by up to 40 points (95 %).",
        "  Test has 6 positive volumes: a sensitivity of 85 % may be off by up to 40 points (95 %).",
        "  For at most 10 points, a split needs 73 positive volumes.",
    ]


def test_patients_are_counted_and_not_their_volumes(here: Path) -> None:
    many(here / "many")
    rows = "".join(f"v{number:03d},p{number // 4}\n" for number in range(120))
    write(here / "patients.csv", f"volume,group\n{rows}".encode())
    words = ("plan", "many", "--output", "out", "--group-map", "patients.csv")
    found = run_json(*words)["sensitivity"]
    rows_of_volumes = run_json("show", "--csv")["volumes"]
    positive = {row["group"] for row in rows_of_volumes if row["split"] == "test" and row["volume"] < "v040"}
    assert (found["unit"], found["test"]["units"]) == ("patient", len(positive))
    assert section(run(*words, "--verbose").stdout)[1].startswith(f"  Test has {len(positive)} positive patient")
    assert run_json("show")["sensitivity"] == found


def test_with_enough_patients_no_number_is_asked_for(here: Path) -> None:
    yolo_tree(here / "much", {f"v{number:03d}": "+" for number in range(300)} | {"w1": ".", "w2": ".", "w3": "."})
    ratios = ("--train-ratio", "0.4", "--val-ratio", "0.3")
    lines = section(run("plan", "much", "--output", "out", *ratios, "--verbose").stdout)
    assert [line.split(":")[0] for line in lines] == ["  Val has 90 positive volumes", "  Test has 90 positive volumes"]


def test_a_split_without_a_positive_cannot_be_measured_on(here: Path) -> None:
    many(here / "few", positive=1)
    said = run("plan", "few", "--output", "out", "--verbose").stdout
    assert "  Val has no positive volume: a sensitivity cannot be measured." in section(said)
    found = run_json("plan", "few", "--output", "out")["sensitivity"]
    assert found["val"] == {"units": 0, "lower": None, "upper": None, "off": None}


def test_a_split_that_is_not_wanted_is_not_mentioned(here: Path) -> None:
    many(here / "many")
    ratios = ("--train-ratio", "0.8", "--val-ratio", "0.2")
    lines = section(run("plan", "many", "--output", "out", *ratios, "--verbose").stdout, "What val can tell")
    assert [line.split()[0] for line in lines] == ["Val", "For"]
    whole = ("--train-ratio", "1", "--val-ratio", "0", "--test-ratio", "0")
    assert "can tell" not in run("plan", "many", "--output", "out", *whole, "--verbose").stdout


def test_each_class_is_told_with_verbose(here: Path) -> None:
    """A mass in 30 volumes, a cyst in one volume of train."""
    root = many(here / "two")
    write(root / "labels/train/IM1-v000.txt", b"0 0.5 0.5 0.1 0.1\n1 0.5 0.5 0.1 0.1\n")
    write(root / "dataset.yaml", b"path: .\ntrain: images/train\nval: images/train\nnames: [mass, cyst]\n")
    write(here / "fixed.csv", b"volume,split\nv000,train\n")
    words = ("plan", "two", "--output", "out", "--split-map", "fixed.csv")
    assert EACH not in run(*words).stdout
    for said in (run(*words, "--verbose").stdout, run(*words, "-v").stdout):
        heads, *rows = [" ".join(line.split()) for line in section(said, EACH)]
        assert heads == "class val volumes val off by test volumes test off by"
        assert rows == ["mass 6 40 points 6 40 points", "cyst none - none -"]
    mass, cyst = run_json(*words)["sensitivity"]["classes"]
    assert (mass["class"], mass["name"], mass["test"]["units"], mass["test"]["off"]) == (0, "mass", 6, 40)
    assert (cyst["name"], cyst["val"]["units"], cyst["val"]["off"]) == ("cyst", 0, None)


def several(root: Path) -> dict[str, dict[str, list[int]]]:
    """Write 120 volumes with two classes; return the boxes of each volume by class."""
    many(root, positive=60)
    found: dict[str, dict[str, list[int]]] = {"mass": {}, "cyst": {}}
    for number in range(60):
        boxes = [1 + number % 4, int(number % 5 == 0)]
        lines = [f"{class_id} 0.5 0.5 0.1 0.1\n" * many for class_id, many in enumerate(boxes)]
        write(root / f"labels/train/IM1-v{number:03d}.txt", "".join(lines).encode())
        for name, amount in zip(found, boxes, strict=True):
            found[name][f"v{number:03d}"] = [amount]
    write(root / "dataset.yaml", b"path: .\ntrain: images/train\nval: images/train\nnames: [mass, cyst]\n")
    return found


def test_the_targets_of_each_class_are_told_with_verbose(here: Path) -> None:
    """Boxes and volumes are counted here again; the floor is none that the split is below."""
    held = several(here / "two")
    words = ("plan", "two", "--output", "out")
    planned = run_json(*words)
    split_of = {row["volume"]: row["split"] for row in run_json("show", "--csv")["volumes"]}
    said = run(*words, "--verbose").stdout
    boxes = section(said, "Boxes of each class before undersampling (reached / wanted; points off the ratios)")
    volumes = section(said, "Volumes with each class (reached / wanted)")
    for index, amounts in enumerate(held.values()):
        target = planned["targets"]["classes"][index]
        for place, split in enumerate(("train", "val", "test")):
            inside = [amount for volume, (amount,) in amounts.items() if split_of[volume] == split and amount]
            assert (target[split]["reached"], target["groups"][split]["reached"]) == (sum(inside), len(inside))
            assert f"{sum(inside)} /" in boxes[index + 1]
            assert f"{len(inside)} /" in volumes[index + 1]
            assert boxes[index + 1].split()[3 * place + 1 : 3 * place + 4 : 2] == [
                str(sum(inside)), str(target[split]["wanted"]),
            ]  # fmt: skip
        last = "proven" if target["proven"] else f"{float(target['deviation']) - float(target['floor']):.3f}"
        shown = [f"{float(target[key]):.3f}" for key in ("deviation", "floor")]
        assert boxes[index + 1].split()[-3:] == [*shown, last]
    assert "Boxes of each class before" not in run(*words).stdout
    assert "no split with the wanted numbers of volumes has the boxes nearer to the ratios (proven)" in " ".join(
        said.split()
    )


def test_show_tells_the_same_of_each_class_as_plan(here: Path) -> None:
    several(here / "two")
    planned = run_json("plan", "two", "--output", "out")
    assert planned["sensitivity"]["classes"]
    assert run_json("show")["sensitivity"] == planned["sensitivity"]
    said = run("show", "--verbose").stdout
    assert EACH in said
    assert "Volumes with each class (reached / wanted)" in said


def test_folds_say_it_each(here: Path) -> None:
    many(here / "many")
    words = ("plan", "many", "--output", "out", "--folds", "4")
    folds: list[dict[str, Any]] = run_json(*words)["folds"]
    assert [fold["sensitivity"]["test"]["units"] for fold in folds] == [10, 10, 10, 10]
    assert run(*words, "--verbose").stdout.count(f"\n{TITLE}\n") == 4


def test_build_and_show_take_verbose_too(here: Path) -> None:
    many(here / "many")
    assert TITLE in run("build", "many", "--output", "out", "--verbose", "--mode", "symlink").stdout
    run("plan", "many", "--output", "other")
    assert run("show", "--verbose").stdout.count(TITLE) == 1


def test_verbose_decides_nothing_and_is_not_saved(here: Path) -> None:
    many(here / "many")
    run("plan", "many", "--output", "out", "--verbose", "--save-config")
    assert "verbose" not in (here / "planbalance.yaml").read_text()


def test_a_test_set_that_grows_is_warned_of_in_text_and_json(here: Path) -> None:
    many(here / "many")
    write(here / "fixed.csv", b"volume,split\nv000,test\nv001,test\n")
    words = ("plan", "many", "--output", "out", "--split-map", "fixed.csv")
    planned = run_json(*words)
    (told,) = [warning for warning in planned["warnings"] if "the ratios add" in warning]
    assert told.startswith(
        "test has 2 volumes fixed by --split-map, and the ratios add 16 volumes to it. To add none: "
    )
    assert "test has 2 volumes fixed by --split-map" in run(*words).stdout
    after = run_json(*words, *told.removesuffix(".").split("none: ")[1].split())
    assert after["volume_statistics"]["test_volumes"] == 2
    assert not any("the ratios add" in warning for warning in after["warnings"])
