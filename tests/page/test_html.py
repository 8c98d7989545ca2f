"""The page as text: what it says is counted here a second time, and nothing in a plan can be more than text in it."""

import json
import os
import re
import shutil
import statistics
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from planbalance.errors import PlanError, UsageError
from planbalance.grouping import GroupMap
from planbalance.model import Audit, Check, LookAlike, PairPicture, Problem, Silent, SlicesPerVolume
from planbalance.page.html import PageOptions, write_page
from planbalance.page.joined_groups import joined_groups
from planbalance.page.subject import open_subject
from planbalance.planstore import PlanFile
from planbalance.sensitivity import interval
from tests.builders import mixed_volumes, tree_state, write, yolo_tree
from tests.cli.command import run_json
from tests.page.made import saved_plan, seed_shaped_plan

pytest.importorskip("jinja2")

KNEES = mixed_volumes(5, 11, smallest=3, largest=7)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}\u202e\u2028"
SPLIT_YAML = b"train: images/train\nval: images/val\ntest: images/test\nnames: [tear]\n"


class Page(HTMLParser):
    """A page taken apart: its text, its elements with their attributes, and the content of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._raw = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._raw = tag if tag in {"script", "style"} else ""
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - html.parser's signature
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw == "script":
            self.scripts[-1] += data
        elif not self._raw:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def volumes(self) -> dict[str, list[Any]]:
        return {row[0]: row for row in json.loads(self.scripts[0])["rows"]}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return yolo_tree(tmp_path / "in", KNEES)


def page_of(path: Path, plan: PlanFile | None, **options: Any) -> Page:
    written = write_page(str(path), plan, PageOptions(**options))
    assert written.bytes == path.stat().st_size
    return Page(path.read_text(encoding="utf-8"))


def test_every_slice_of_every_volume_is_on_the_page_once(tmp_path: Path, source: Path) -> None:
    """The strips, put together from what the plan keeps, drops and misses, are the letters the dataset was made of."""
    letters = {**KNEES, "01-02-00040": "..  +.", "01-02-00041": ".+"}
    yolo_tree(source, letters)
    plan = saved_plan(tmp_path, source)
    page = page_of(tmp_path / "page.html", plan)
    kept = {(op.volume, op.image.rpartition("/")[2]) for op in plan.operations()}
    for volume, word in letters.items():
        expected = "".join(
            "m" if letter == " " else "p" if letter == "+" else "k" if (volume, f"IM{i}-{volume}.png") in kept else "d"
            for i, letter in enumerate(word, start=1)
        )
        _, group, _, slices, positives, of_kept, first, runs = page.volumes[volume]
        assert "".join(s * int(n or 1) for n, s in re.findall(r"(\d*)(\w)", runs)) == expected
        assert (group, slices, positives, first) == ("", len(word.replace(" ", "")), word.count("+"), 1)
        assert of_kept == expected.count("p") + expected.count("k")
    assert "d" in "".join(row[-1] for row in page.volumes.values())


def test_what_the_page_says_is_what_is_there(tmp_path: Path, source: Path) -> None:
    letters = "".join(KNEES.values())
    plan = saved_plan(tmp_path, source)
    page = page_of(tmp_path / "page.html", plan)
    train = plan.header.statistics["splits"]["train"]
    assert f"{len(letters):,} slices of 16 volumes." in page.text
    assert f"{train['positive']:,} : {train['negative']:,}" in page.text
    assert "IM1-01-02-00000.png is slice 1 of volume 01-02-00000" in page.text
    assert "patients were not given" in page.text
    assert f"{letters.count('+'):,}" in page.text[page.text.index("all boxes") :][:200]
    assert "planbalance apply" in page.text
    for warning in plan.header.warnings:
        assert " ".join(warning.split()) in page.text


def test_pairs_of_a_plan_that_is_not_trusted_show_nothing_from_outside(tmp_path: Path, source: Path) -> None:
    secret = write(tmp_path / "secret.png", b"")
    Image.new("L", (8, 8), 9).save(secret)
    header = saved_plan(tmp_path, source).header
    images = [[[0, "../secret.png"], [0, str(secret)]], [[7, "images/x.png"], [-1, "images/x.png"]], "no pair"]
    pair = {"volumes": [HOSTILE, "v"], "alike": 2, "slices": [2, 2], "likeness": "1.00", "joined": True}
    groups = {
        "sources": [{"source": HOSTILE, "joins": 1, "alone": 1, "sets": [["a", 1], "b"]}, 3, {"source": "x"}],
        "look_alikes": [{**pair, "same_patient": None, "shown": images}, {**pair, "shown": []}, None],
    }
    shown = joined_groups(header._replace(parameters={"groups": groups}), Silent())
    assert [row.name for row in shown["group_joins"]] == [HOSTILE]
    sides = [side for one in shown["alike_volumes"] for pair in one.slices for side in pair]
    assert [side.reason for side in sides] == ["its path lies in no input"] * 4
    others: tuple[Any, ...] = (None, [], {"sources": 1, "look_alikes": {}}, {"sources": [[]], "look_alikes": [[]]})
    for other in others:
        assert not joined_groups(header._replace(parameters={"groups": other}), Silent())["group_joins"]


def test_the_page_begins_with_how_names_are_read(tmp_path: Path, source: Path) -> None:
    """Of a plan, of a dataset with its audit, and of an audit alone, whose warnings stand beside the verdict too."""
    naming = {
        "rule": "im-dash",
        "pattern": None,
        "examples": ["IM1-v.png is slice 1 of volume v"],
        "warnings": [f"A doubt {HOSTILE}"],
        "notes": ["A note."],
    }
    audit = Audit(
        ok=True,
        summary="No slice of test shares a volume with train.",
        checks=(),
        leaks=(),
        naming=naming,
        slices_per_volume=SlicesPerVolume(1, 2.5, 4, 2, 1),
        warnings=(f"A doubt {HOSTILE}", "test holds no positive slice: no detector can be measured on it."),
    )
    plan = saved_plan(tmp_path, source)
    slices = [len(word) for word in KNEES.values()]
    told = f"16; slices per volume: minimum {min(slices)}, median {statistics.median(slices):g}, maximum {max(slices)}"
    for page in (page_of(tmp_path / "a.html", plan), page_of(tmp_path / "b.html", plan, audit=audit)):
        assert page.text.index("How file names are read") < page.text.index("Slices kept")
        assert f"{told}; 0 with one slice (before undersampling)" in page.text
        assert "volume (patients NOT checked: no --group-map)" in page.text
    alone = page_of(tmp_path / "c.html", None, audit=audit).text
    assert alone.index("IM1-v.png is slice 1 of volume v") < alone.index("Audit: no errors")
    assert "2; slices per volume: minimum 1, median 2.5, maximum 4; 1 with one slice" in alone
    assert alone.index("A doubt") < alone.index("Audit: no errors") < alone.rindex("A doubt")
    assert alone.count("test holds no positive slice") == 1
    assert "A note." in alone


def test_the_page_says_what_val_and_test_can_tell(tmp_path: Path) -> None:
    """In patients, counted here again: positive ones, and those with each class."""
    source = yolo_tree(tmp_path / "in", mixed_volumes(20, 20), names=("tear", "cyst"))
    for label in sorted(source.rglob("*.txt"))[::3]:
        if label.stat().st_size:
            label.write_bytes(label.read_bytes() + b"1 0.5 0.5 0.1 0.1\n")
    volumes = {path.stem.split("-", 1)[1] for path in source.rglob("*.png")}
    patients = GroupMap({volume: f"p{number // 2}" for number, volume in enumerate(sorted(volumes))})
    plan = saved_plan(tmp_path, source, group_map=patients)
    group_of = {volume.id: volume.group for volume in plan.header.volumes}
    found: dict[tuple[str, str], set[str]] = {}
    for operation in plan.operations():
        for line in (source / str(operation.label)).read_text().splitlines():
            for key in ("any", line.split()[0]):
                found.setdefault((operation.split, key), set()).add(group_of[operation.volume])
    page = page_of(tmp_path / "page.html", plan).text
    told = page[page.index("What val and test can tell", page.index("Splits against")) :]
    assert "a split needs 73 positive patients" in told
    for split in ("val", "test"):
        positives = len(found[split, "any"])
        limits = interval(positives)
        assert limits is not None
        assert f"{split} {positives} {limits.lower:.1f}–{limits.upper:.1f} % {limits.off} points" in told
    cells = []
    for split in ("val", "test"):
        limits = interval(len(found.get((split, "1"), ())))
        cells.append("0 –" if limits is None else f"{len(found[split, '1'])} {limits.off} points")
    assert f"cyst {' '.join(cells)}" in told


def test_the_page_says_how_near_each_class_is_to_its_target(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", mixed_volumes(20, 20), names=("tear", "cyst"))
    for label in sorted(source.rglob("*.txt"))[::3]:
        if label.stat().st_size:
            label.write_bytes(label.read_bytes() + b"1 0.5 0.5 0.1 0.1\n")
    plan = saved_plan(tmp_path, source)
    text = page_of(tmp_path / "page.html", plan).text
    for target in plan.header.targets["classes"]:
        cells = [target["name"]]
        for place, further in ((target, True), (target["groups"], False)):
            for one in (place[split] for split in ("train", "val", "test")):
                least, most = (one["wanted"], one["wanted"]) if further else (one["least"], one["most"])
                wanted = f"({least})" if least == most else f"({least}-{most})"
                cells += [f"{one['reached']}", *([] if least <= one["reached"] <= most else [wanted])]
            if further:
                numbers = [float(target[key]) for key in ("deviation", "floor")]
                gap = "proven" if target["proven"] else f"gap {numbers[0] - numbers[1]:.3f}"
                cells += [*(f"{number:.3f}" for number in numbers), gap]
        assert " ".join(cells) in text
    assert "no split with the wanted numbers of volumes has the boxes nearer to the ratios (proven)" in text


def test_of_one_class_the_page_has_no_table_of_each(tmp_path: Path, source: Path) -> None:
    text = page_of(tmp_path / "page.html", saved_plan(tmp_path, source)).text
    assert "What val and test can tell" in text
    assert "Of each class" not in text
    assert "nearer to the ratios" not in text


def test_the_same_plan_gives_the_same_page(tmp_path: Path, source: Path) -> None:
    plan = saved_plan(tmp_path, source)
    page_of(tmp_path / "a.html", plan)
    page_of(tmp_path / "b.html", plan)
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_inputs_are_only_read(tmp_path: Path, source: Path) -> None:
    before = tree_state(source)
    page_of(tmp_path / "page.html", saved_plan(tmp_path, source))
    assert tree_state(source) == before


def test_the_page_asks_the_network_for_nothing(tmp_path: Path, source: Path) -> None:
    page = page_of(tmp_path / "page.html", saved_plan(tmp_path, source))
    links = [value for _, attributes in page.elements for name, value in attributes.items() if name in {"href", "src"}]
    assert links
    assert not [link for link in links if link and not link.startswith(("#", "data:"))]
    assert not [name for name, _ in page.elements if name in {"iframe", "object", "embed", "base", "form"}]
    policy = next(
        attributes["content"]
        for _, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in policy


@pytest.mark.parametrize("where", ["volume", "class", "folder"])
def test_names_are_nothing_but_text(tmp_path: Path, where: str) -> None:
    """Whatever a volume, a class or a folder is called, the page has the same elements as with plain names."""

    def shape(name: str) -> list[tuple[str, list[str]]]:
        root = tmp_path / str(len(name)) / (name.replace("/", "\\") if where == "folder" else "in")
        volume = name.replace("/", "\\") if where == "volume" else "v"
        letters = {f"{volume}{i:03d}": word for i, word in enumerate(KNEES.values())}
        yolo_tree(root, letters, name="IM{slice}-{volume}.png", names=None)
        quoted = json.dumps(name if where == "class" else "tear")
        write(root / "dataset.yaml", f"path: .\ntrain: images/train\nnames: [{quoted}]\n".encode())
        os.makedirs(tmp_path / str(len(name)) / "work")
        page = page_of(tmp_path / f"{len(name)}.html", saved_plan(tmp_path / str(len(name)) / "work", root))
        assert len(page.volumes) == 16
        return [(tag, sorted(attributes)) for tag, attributes in page.elements]

    hostile = HOSTILE.replace("\u2028", "") if where != "class" else HOSTILE
    found = shape(hostile)
    assert [tag for tag, _ in found].count("script") == [tag for tag, _ in shape("plain")].count("script") == 2
    assert not [names for _, names in found if any(name.startswith("on") for name in names)]


def test_an_audit_is_shown_with_what_was_not_checked(tmp_path: Path, source: Path) -> None:
    problems = tuple(Problem("duplicate-content", "error", f"images/test/{i}.png", HOSTILE) for i in range(500))
    audit = Audit(
        ok=False,
        summary="12.3 % of test slices share a volume with train; not checked: patients.",
        checks=(
            Check("volumes", False, "", 550, problems),
            Check("patients", None, "no map was given", 0, ()),
            Check("labels", True, "", 94440, ()),
        ),
        leaks=({"kind": "volume", "splits": "train/test", "slices": 12, "share": 0.123},),
    )
    for plan in (None, saved_plan(tmp_path, source)):
        page = page_of(tmp_path / "page.html", plan, dataset=str(tmp_path / "built"), audit=audit)
        assert "Audit: failed" in page.text
        assert page.text.replace("\u00a0", " ").count(audit.summary) == 1, "the sentence stands once"
        assert re.search(r"patients – not checked .*no map was given", page.text)
        assert re.search(r"labels ✓ ok 94,440", page.text)
        assert "Volumes: 500 found" in page.text
        assert "and 300 more" in page.text
        assert "12.3\u00a0%" in " ".join(page.words)


def test_pairs_that_look_alike_are_shown_side_by_side(tmp_path: Path) -> None:
    Image.new("L", (8, 6), 60).save(tmp_path / "a.png")
    here, gone = (
        PairPicture(split, f"/data/set/{split}/{HOSTILE}", str(tmp_path / name))
        for split, name in (("train", "a.png"), ("test", "b.png"))
    )
    pairs = tuple(LookAlike(here, gone, 0.99 - i / 100, "correlation") for i in range(30))
    audit = Audit(ok=True, summary="", checks=(), leaks=(), look_alikes=pairs)
    page = page_of(tmp_path / "page.html", None, audit=audit, dataset="/data/set")
    assert "/data/set/" not in page.text, "names are told from the dataset on"
    assert "train and test , alike 0.990 (correlation)" in page.text
    assert page.text.count("No picture: not readable: No such file or directory") == 12
    assert sum(name == "image" for name, _ in page.elements) == 12
    assert "and 18 more." in page.text


def test_a_built_dataset_is_read_instead_of_its_inputs(tmp_path: Path, source: Path) -> None:
    """The page of a moved dataset needs the inputs no more."""
    built = tmp_path / "built"
    plan = saved_plan(tmp_path, source)
    for operation in plan.operations():
        target = built / "images" / operation.split / operation.image.rpartition("/")[2]
        write(target, (source / operation.image).read_bytes())
        assert operation.label is not None
        write(built / "labels" / operation.split / (target.stem + ".txt"), (source / operation.label).read_bytes())
    write(built / ".planbalance/plan.json", (tmp_path / "plan.json").read_bytes())
    shutil.rmtree(source)
    for path in (built, built / ".planbalance/plan.json", write(built / "dataset.yaml", b"names: [tear]\n")):
        subject = open_subject(str(path))
        assert subject.dataset == str(built)
        page = page_of(tmp_path / "page.html", subject.plan, dataset=subject.dataset)
        assert "read from the labels of the dataset" in page.text
        assert "Not counted" not in page.text


def test_labels_out_of_reach_are_said(tmp_path: Path, source: Path) -> None:
    plan = saved_plan(tmp_path, source)
    shutil.rmtree(source)
    page = page_of(tmp_path / "page.html", plan)
    assert re.search(r"Not available: Not counted: \d+ label files could not be read here\.", page.text)
    assert "No picture could be made" in page.text


@pytest.mark.parametrize("place", ["in/page.html", "in/images/train/page.html", "out/page.html", "link/page.html"])
def test_a_page_inside_an_input_or_the_dataset_is_refused(tmp_path: Path, source: Path, place: str) -> None:
    plan = saved_plan(tmp_path, source)
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(UsageError, match="is inside the"):
        write_page(str(tmp_path / place), plan)


@pytest.mark.parametrize("place", ["nowhere/page.html", "folder"])
def test_a_place_that_takes_no_page_is_refused(tmp_path: Path, source: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="cannot be written"):
        write_page(str(tmp_path / place), saved_plan(tmp_path, source))


def test_a_page_that_fails_leaves_the_old_one(tmp_path: Path, source: Path) -> None:
    plan = saved_plan(tmp_path, source)
    old = b"<title>old \xc2\xb7 planbalance</title>"
    page = write(tmp_path / "page.html", old)
    data = bytearray((tmp_path / "plan.json").read_bytes())
    data[data.index(b'"operations":[') + 40] ^= 1
    (tmp_path / "plan.json").write_bytes(data)
    with pytest.raises(PlanError):
        write_page(str(page), PlanFile.open(plan.path))
    assert page.read_bytes() == old
    assert sorted(os.listdir(tmp_path)) == ["in", "page.html", "plan.json"]


def test_a_file_that_planbalance_did_not_write_is_not_replaced(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without --html the page is report.html in the working folder: it is made again, and no other file is replaced."""
    monkeypatch.chdir(tmp_path)
    plan = saved_plan(tmp_path, source)
    for _ in range(2):
        assert run_json("report", plan.path)["report"] == str(tmp_path / "report.html")
    for words in (("report.html",), ("other.html", "--html", "other.html")):
        theirs = write(tmp_path / words[0], b"<title>a report of mine</title>")
        answer = run_json("report", plan.path, *words[1:], code=2)
        assert answer["error"]["kind"] == "text-exists"
        assert theirs.read_bytes() == b"<title>a report of mine</title>"


def test_without_jinja2_the_extra_is_named(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = saved_plan(tmp_path, source)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(UsageError) as refused:
        write_page(str(tmp_path / "page.html"), plan)
    assert refused.value.hint == "pip install 'planbalance[report]'"


def test_a_dataset_of_another_tool_is_shown_as_it_lies_there(tmp_path: Path, source: Path) -> None:
    """Every slice where it is, nothing left out, no plan's targets, and the audit."""
    for split, start in (("val", 100), ("test", 200)):
        yolo_tree(
            source, {f"{start + int(volume[-2:])}": word for volume, word in KNEES.items()}, images=f"images/{split}"
        )
    write(source / "dataset.yaml", SPLIT_YAML)
    before = tree_state(source)
    document = run_json("report", source, "--html", tmp_path / "page.html")
    assert (document["digest"], document["dataset"], document["audit_ok"]) == (None, str(source), True)
    page = Page((tmp_path / "page.html").read_text())
    letters = "".join(KNEES.values())
    assert "A dataset as it was found, and its audit" in page.text
    assert f"{3 * len(letters)} slices of 48 volumes." in page.text
    assert {row[2] for row in page.volumes.values()} == {0, 1, 2}
    assert not {"d", "m"} & set("".join(row[-1] for row in page.volumes.values()))
    assert f"planbalance verify {source}" in page.text
    for word in ("target", "apply", "left out"):
        assert word not in page.text
    assert tree_state(source) == before


def test_the_page_of_a_dataset_that_leaks_says_so_first_and_shows_the_dataset(tmp_path: Path, source: Path) -> None:
    yolo_tree(source, {"01-02-00001": "   ..+."}, images="images/test")
    write(source / "dataset.yaml", SPLIT_YAML.replace(b"val: images/val\n", b""))
    document = run_json("report", source, "--html", tmp_path / "page.html")
    assert document["audit_ok"] is False
    page = Page((tmp_path / "page.html").read_text())
    letters = "".join(KNEES.values())
    assert f"{len(letters) + 4} slices of 16 volumes. 1 volume is in more than one split." in page.text
    assert "No volume is in two splits" not in page.text
    assert page.text.index("This dataset leaks.") < page.text.index("Audit: failed") < page.text.rindex("Class balance")
    rows = [row for row in json.loads(page.scripts[0])["rows"] if row[0] == "01-02-00001"]
    assert [(row[2], row[3], row[4], row[6]) for row in rows] == [
        (0, len(KNEES["01-02-00001"]), KNEES["01-02-00001"].count("+"), 1),
        (2, 4, 1, 4),
    ]
    assert rows[1][-1] == "2kpk"
    assert sum(row[3] for row in json.loads(page.scripts[0])["rows"]) == len(letters) + 4
    assert "re-encoded images, look-alikes – not checked not asked for" in page.text
    assert "no plan to compare with" in page.text
    assert page.text.count("no plan to compare with") == 2, "once in the table, once in the digest's place"
    run_json("report", source, "--html", tmp_path / "page.html", "--near-duplicates")
    assert "not asked for" not in Page((tmp_path / "page.html").read_text()).text
    document = run_json("report", source, "--html", tmp_path / "page.html", "--audit", "none")
    assert document["audit_ok"] is None
    page = Page((tmp_path / "page.html").read_text())
    assert "1 volume is in more than one split." in page.text
    assert "Audit:" not in page.text
    assert "This dataset leaks." not in page.text, "nobody has audited it"


def test_a_dataset_of_which_nothing_can_be_shown_is_refused_without_an_audit(tmp_path: Path) -> None:
    source = yolo_tree(tmp_path / "in", KNEES, images="images")
    refused = run_json("report", source, "--html", tmp_path / "page.html", "--audit", "none", code=2)
    assert refused["error"]["kind"] == "no-plan"
    assert not (tmp_path / "page.html").exists()


def test_a_split_without_positives_or_volumes_is_shown_too(tmp_path: Path) -> None:
    """What no plan could be made of: the page refuses nothing."""
    source = yolo_tree(tmp_path / "in", {"01-02-00001": "..", "01-02-00002": "..."}, images="images/val")
    run_json("report", source, "--html", tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text())
    assert "5 slices of 2 volumes." in page.text
    assert {row[2] for row in page.volumes.values()} == {1}


def test_the_command_says_where_the_page_is(tmp_path: Path, source: Path) -> None:
    plan = saved_plan(tmp_path, source)
    document = run_json("report", plan.path, "--html", tmp_path / "page.html")
    page = tmp_path / "page.html"
    assert document == {
        "report": str(page),
        "bytes": page.stat().st_size,
        "digest": plan.header.digest,
        "dataset": None,
        "audit_ok": None,
    }


def test_verify_writes_a_page_of_any_dataset(tmp_path: Path) -> None:
    """Of one that planbalance did not build, the audit; of one that it built, the plan too."""
    split_of = {volume: ("train", "val", "test")[index % 3] for index, volume in enumerate(KNEES)}
    foreign = yolo_tree(tmp_path / "foreign", KNEES, split_of=split_of)
    page = tmp_path / "audit.html"
    document = run_json("verify", foreign, "--report", page, code=0)
    text = Page(page.read_text(encoding="utf-8")).text
    assert document["summary"] in text
    assert "The audit of a dataset" in text
    assert "Splits against their targets" not in text
    run_json("verify", foreign, "--report", foreign / "audit.html", code=2)
    run_json("build", foreign, "--output", tmp_path / "built", "--mode", "symlink")
    document = run_json("verify", tmp_path / "built", "--quick", "--report", page)
    text = Page(page.read_text(encoding="utf-8")).text
    assert document["summary"] in text
    assert "Splits against their targets" in text
    document = run_json("report", tmp_path / "built", "--html", page)
    assert document["audit_ok"] is True
    assert document["dataset"] == str(tmp_path / "built")


@pytest.mark.full_size
def test_the_guides_dataset_stays_far_below_eight_megabytes(tmp_path: Path) -> None:
    page = page_of(tmp_path / "page.html", PlanFile.of(seed_shaped_plan()))
    assert "94,440 slices of 550 volumes. 53,914 kept; 40,526 negative slices" in page.text
    assert len(page.volumes) == 550
    assert (tmp_path / "page.html").stat().st_size < 1_000_000
