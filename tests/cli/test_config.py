"""Options from `planbalance.yaml` in the working folder: the command line wins, nothing is overwritten."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from planbalance.cli.config import FILE
from tests.builders import tree_state, write
from tests.cli.command import knees, make_demo_small, run, run_json


def config(here: Path, text: str) -> None:
    write(here / FILE, text.encode())


def parameters(*words: object) -> Any:
    return run_json("plan", *words)["parameters"]


def test_a_plan_from_a_file_alone_is_the_plan_of_the_command_line(here: Path) -> None:
    typed = run_json(
        "plan", "in", "--output", "out", "--seed", "7", "--gap", "1", "--exclude", "IM9-*", "--hash-images"
    )
    config(
        here,
        "plan:\n  input: in\n  output: out\n  seed: 7\n  gap: 1\n  exclude:\n  - IM9-*\n  hash_images: yes\n"
        "  train-ratio: 0.70\n",
    )
    done = run("plan", "--json")
    assert json.loads(done.stdout)["digest"] == typed["digest"]
    assert done.stderr == f"Options from {FILE}: input, output, train-ratio, seed, gap, exclude, hash-images\n"
    assert run("plan", "--quiet").stderr == ""


def test_the_command_line_wins_and_what_it_says_is_whole(here: Path) -> None:
    """An input, a seed or a ratio that is typed takes the place of all that the file says of it."""
    knees(here / "other")
    config(
        here,
        "plan:\n  input: [x=in]\n  output: out\n  split-seed: 1\n  sample-seed: 2\n"
        "  train-ratio: 0.6\n  val-ratio: 0.2\n  test-ratio: 0.2\n",
    )
    assert run_json("plan")["inputs"] == [str(here / "in")]
    assert run_json("plan", "other")["inputs"] == [str(here / "other")]
    assert run_json("plan", "--images", "other/images", "--labels", "other/labels")["inputs"] == [str(here / "other")]
    assert [parameters("--seed", 5)[name] for name in ("split_seed", "sample_seed")] == [5, 5]
    assert [parameters("--sample-seed", 5)[name] for name in ("split_seed", "sample_seed")] == [1, 5]
    ratios = parameters("--train-ratio", "0.8", "--val-ratio", "0.1")
    assert [ratios[f"{split}_ratio"] for split in ("train", "val", "test")] == ["0.8", "0.1", "0.1"]


def test_a_typed_map_and_sources_of_groups_in_the_file_go_together_unless_they_contradict(here: Path) -> None:
    run("plan", "in", "--output", "out")
    ids = [line.split(",")[0] for line in run("show", "--csv").stdout.splitlines()[1:]]
    rows = "".join(f"{volume},{number // 2}\n" for number, volume in enumerate(ids))
    for name in ("of_file.csv", "typed.csv"):
        write(here / name, f"volume,group\n{rows}".encode())
    head = "plan:\n  input: in\n  output: out\n"
    config(here, f"{head}  group-map: of_file.csv\n  group-from: [map, identical]\n")
    joined = [row["source"] for row in parameters("--group-map", "typed.csv")["groups"]["sources"]]
    assert joined == ["map", "identical"]
    assert parameters("--group-from", "identical")["groups"]["by"] == "map"
    config(here, f"{head}  group-from: dicom:PatientID\n")
    assert parameters("--group-map", "typed.csv")["groups"] == {"by": "map", "count": 6, "joined_by_content": []}


def test_apply_verify_and_build_have_sections_of_their_own(here: Path) -> None:
    config(
        here,
        "plan:\n  input: in\n  output: out\n  gap: 1\napply:\n  mode: symlink\n  labels: same\n"
        "verify:\n  quick: true\nbuild:\n  output: built\n",
    )
    run("plan")
    assert run_json("apply")["mode"] == "symlink"
    assert os.path.islink(next((here / "out/labels/train").iterdir()))
    checks = {check["name"]: check for check in run_json("verify")["checks"]}
    assert checks["labels"]["ok"] is None
    built = run_json("build")
    assert (built["apply"]["output"], built["apply"]["mode"]) == (str(here / "built"), "symlink")
    assert built["plan"]["parameters"]["gap"] == 1
    assert os.path.islink(next((here / "built/labels/train").iterdir()))


def test_another_file_takes_the_place_of_the_working_folders(here: Path) -> None:
    config(here, "plan:\n  input: in\n  output: out\n  seed: 7\n")
    write(here / "settings/other.yaml", b"plan:\n  input: in\n  output: out\n  gap: 1\n")
    for words in (["--config", "settings/other.yaml"], ["--config=settings/other.yaml"]):
        done = run("plan", *words)
        assert "Options from settings/other.yaml: input, output, gap\n" in done.stderr
        found = json.loads((here / "plan.json").read_bytes().splitlines()[0] + b"]}")["parameters"]
        assert (found["gap"], found["split_seed"]) == (1, 42)
    assert parameters("--config", "settings/other.yaml", "--gap", 0)["gap"] == 0, "the command line wins"
    assert parameters()["split_seed"] == 7


def test_another_file_is_written_where_that_is_asked_for(here: Path) -> None:
    run("plan", "in", "--output", "out", "--gap", "1", "--save-config", "--config", "mine.yaml")
    assert not (here / FILE).exists()
    assert parameters("--config", "mine.yaml")["gap"] == 1


@pytest.mark.parametrize("text", [None, "plan:\n  sede: 7\n", "plan: [\n", "plan:\n  config: x\n"])
def test_another_file_that_is_wrong_is_refused_by_its_name(here: Path, text: str | None) -> None:
    if text is not None:
        write(here / "mine.yaml", text.encode())
    error = run_json("plan", "in", "--output", "out", "--config", "mine.yaml", code=2)["error"]
    assert error["kind"] == "bad-config"
    assert "mine.yaml" in error["message"]
    assert error["paths"] == [str(here / "mine.yaml")]
    assert not (here / "plan.json").exists()


def test_help_helps_whatever_file_is_named(here: Path) -> None:
    for words in (("--config", "nowhere.yaml", "--help"), ("--help", "--config", "nowhere.yaml")):
        assert run("plan", *words).stdout == run("plan", "--help").stdout


def test_a_file_that_is_named_as_a_value_of_another_option_is_not_read(here: Path) -> None:
    write(here / "mine.yaml", b"plan:\n  gap: 1\n")
    assert parameters("in", "--output", "out", "--exclude=--config=mine.yaml")["gap"] == 0
    assert parameters("in", "--output", "out", "--exclude", "--config", "--gap", 2)["gap"] == 2


def test_a_value_that_is_refused_is_said_to_be_the_files(here: Path) -> None:
    write(here / "mine.yaml", b"plan:\n  gap: many\n")
    assert "(in mine.yaml)" in run("plan", "in", "--output", "out", "--config", "mine.yaml", code=2).stderr


def test_saved_options_make_the_same_plan(here: Path) -> None:
    words = ("--input", "x=in", "--output", "out", "--negatives-per-positive", "1.5", "--positive-class", 0)
    saved = run("plan", *words, "--hash-images", "--save-config", "--json")
    assert f"Wrote the options to {FILE}." in saved.stderr
    text = (here / FILE).read_text()
    for line in ("- x=in", "seed: 42", "train-ratio: 0.7", "- 0", "negatives-per-positive: 1.5", "hash-images: true"):
        assert f"  {line}\n" in text
    assert run_json("plan")["digest"] == json.loads(saved.stdout)["digest"]
    assert "has these options already" in run("plan", "--save-config").stderr
    assert (here / FILE).read_text() == text


def test_folds_and_extensions_are_saved_without_what_they_decide(here: Path) -> None:
    run("plan", "in", "--output", "out", "--folds", "3", "--save-config", "--quiet")
    assert "ratio" not in (here / FILE).read_text()
    assert len(run_json("plan")["folds"]) == 3
    (here / FILE).unlink()
    run("plan", "in", "--output", "out", "--seed", "3", "--plan-file", "old.json", "--quiet")
    run("plan", "in", "--output", "out", "--extend", "old.json", "--save-config", "--quiet")
    assert "seed" not in (here / FILE).read_text()
    assert parameters()["split_seed"] == 3


def test_nothing_is_overwritten_and_other_sections_stay(here: Path) -> None:
    mine = "# mine\napply:\n  mode: symlink"
    config(here, mine + "\n")
    run("plan", "in", "--output", "out", "--save-config")
    text = (here / FILE).read_text()
    assert text.startswith(mine)
    assert run_json("apply")["mode"] == "symlink"
    plan = (here / "plan.json").read_bytes()
    refused = run_json("plan", "--gap", "2", "--save-config", code=2)["error"]
    assert (refused["kind"], refused["message"]) == (
        "config-exists",
        f"{FILE} has other options for `plan` already: gap.",
    )
    assert ((here / FILE).read_text(), (here / "plan.json").read_bytes()) == (text, plan), "refused before anything"


def test_no_file_of_options_is_written_into_an_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree_state(here / "in")
    monkeypatch.chdir(here / "in")
    words = ("plan", ".", "--output", here / "out", "--plan-file", here / "plan.json", "--save-config")
    assert run_json(*words, code=2)["error"]["kind"] == "file-inside-input"
    assert tree_state(here / "in") == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("plan:\n  outptu: out\n", "line 2: 'plan' knows no 'outptu'|Did you mean output?", id="key"),
        pytest.param("plan:\n  a: 1\n  restart: true\n", "knows no 'a'|--help", id="no key close"),
        pytest.param(
            "apply:\n  restart: true\n", "knows no 'restart'|for the command line alone", id="never from a file"
        ),
        pytest.param("paln:\n  gap: 1\n", "line 1: 'paln' is no command|Did you mean plan", id="section"),
        pytest.param("seed: 42\n", "'seed' is no command|", id="no section"),
        pytest.param("plan:\n  gap: 1\n  gap: 2\n", "line 3: 'gap' is in 'plan' twice|", id="twice"),
        pytest.param("plan:\n- gap\n", "line 2: 'plan' is no list of `key: value`|", id="a list"),
        pytest.param("plan:\n  gap: [1, 2]\n", "line 2: 'gap' takes one value|", id="many for one"),
        pytest.param("plan:\n  gap:\n", "line 2: 'gap' has no value|", id="nothing"),
        pytest.param("plan:\n  gap: {a: 1}\n", "line 2: 'gap' has no value|", id="a mapping"),
        pytest.param("plan:\n  hash-images: 3\n", "line 2: 'hash-images' is true or false|", id="no flag"),
        pytest.param("plan: [\n", "it is not valid YAML|", id="no YAML"),
        pytest.param(
            "plan:\n  gap: few\n", "'few' is not a whole number, such as 42 (in planbalance.yaml).|", id="no number"
        ),
    ],
)
def test_what_a_file_says_wrong_is_wrong_usage(here: Path, text: str, said: str) -> None:
    command = "apply" if text.startswith("apply") else "plan"
    words = ("in", "--output", "out") if command == "plan" else ()
    config(here, text)
    error = run_json(command, *words, code=2)["error"]
    message, hint = said.split("|")
    assert message in error["message"]
    assert hint in error["hint"]
    assert not (here / "plan.json").exists()
    assert run(command, "--help").stdout  # help helps all the same


def test_no_file_and_an_empty_file_say_nothing(here: Path) -> None:
    for text in (None, "", "# nothing\n", "plan:\n"):
        if text is not None:
            config(here, text)
        assert run("plan", "in", "--output", "out").stderr == ""


def test_the_demo_shows_what_happens_without_a_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_demo_small(monkeypatch)
    config(here, "plan:\n  seed: 7\n  gap: 3\n")
    assert run_json("demo", "demo")["plan"]["parameters"]["gap"] == 0
