"""Whatever a plan file holds, reading it gives a plan that keeps the rules, or exit 4 with one sentence."""

import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from planbalance.errors import PlanError
from planbalance.planfile import BlockReader, WholePlan, parse_edited, parse_header
from planbalance.planstore import PlanFile
from tests.conftest import Trials
from tests.plans import Header, Rows, document, parts, signed, signed_plan, small_plan

Forge = Callable[[Header, Rows], None]


def forged(edit: Forge, *, layout: str = "keep") -> bytes:
    """Return a plan tampered with by somebody who gets every sum and digest right."""
    header, rows = parts(document(small_plan(layout=layout)))
    edit(header, rows)
    return signed_plan(header, rows)


# ---- forged with every sum right ------------------------------------------------------------------------------------


def line(**values: Any) -> Forge:
    """Change members of the first operation; `None` stays null, `...` takes the member away."""

    def edit(_: Header, rows: Rows) -> None:
        for name, value in values.items():
            if value is ...:
                del rows[0][0][name]
            else:
                rows[0][0][name] = value

    return edit


def head(path: str, value: object) -> Forge:
    """Change a member of the header, named by its keys and indexes."""

    def edit(header: Header, _: Rows) -> None:
        *way, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        place: Any = header
        for key in way:
            place = place[key]
        if value is ...:
            del place[last]
        else:
            place[last] = value

    return edit


def both(*edits: Forge) -> Forge:
    def edit(header: Header, rows: Rows) -> None:
        for each in edits:
            each(header, rows)

    return edit


def raw(old: bytes, new: bytes) -> Forge:
    """Change the bytes of the first operation's line."""

    def edit(_: Header, rows: Rows) -> None:
        data = orjson.dumps(rows[0][0])
        assert old in data
        rows[0][0] = data.replace(old, new, 1)

    return edit


def pattern(text: str) -> Forge:
    """Let the header name a regular expression as its naming rule."""
    return both(head("naming.rule", "regex"), head("naming.pattern", text))


def carried(keys: object) -> Forge:
    """Let the header carry keys for dataset.yaml, in the place where it does so."""

    def edit(header: Header, _: Rows) -> None:
        members = dict(header)
        header.clear()
        for name, value in members.items():
            header[name] = value
            if name == "names":
                header["yaml_keys"] = keys

    return edit


def swap_lines(_: Header, rows: Rows) -> None:
    rows[1][0], rows[1][1] = rows[1][1], rows[1][0]


def twice(header: Header, rows: Rows) -> None:
    """The same slice once more, every count corrected."""
    rows[0].insert(1, dict(rows[0][0]))
    recount(header, rows)


def recount(header: Header, rows: Rows) -> None:
    """Put every count in the header right."""
    operations = [row for block in rows for row in block]
    for volume in header["volumes"]:
        own = [row for row in operations if row["volume"] == volume["id"]]
        positives = sum(row["positive"] for row in own)
        volume |= {"slices": len(own), "positives": positives, "kept": len(own)}
    totals = {"total": 0, "positive": 0, "negative": 0, "tear": 0, "no_tear": 0}
    for split, counts in header["statistics"]["splits"].items():
        own = [row for row in operations if row["split"] == split]
        yes = sum(row["positive"] for row in own)
        no = len(own) - yes
        counts |= {"total": len(own), "positive": yes, "negative": no, "tear": yes, "no_tear": no}
        header["statistics"][f"{split}_balance_ratio"] = f"{yes}:{no}"
        totals = {key: value + counts[key] for key, value in totals.items()}
    for key, value in totals.items():
        header["statistics"]["total_images" if key == "total" else f"total_{key}"] = value


def moved_image(image: str, label: str = "labels/val/IM1-04.txt") -> Forge:
    """Give the first slice of val (block 2) another path."""

    def edit(header: Header, rows: Rows) -> None:
        rows[2][0] |= {"image": image, "label": label}
        rows[2].sort(key=lambda row: row["image"].rpartition("/")[2])

    return edit


def folder_as_file(header: Header, rows: Rows) -> None:
    """A slice called like the folder that another slice needs."""
    rows[2][0]["image"] = "images/val/x.png"
    rows[2].sort(key=lambda row: row["image"].rpartition("/")[2])
    moved = rows[1].pop()
    moved["image"] = "images/train/x.png/IM9-03.png"
    rows.insert(2, [moved])
    header["blocks"].insert(2, dict(header["blocks"][1]) | {"folder": "images/train/x.png"})


def one_image_two_volumes(_: Header, rows: Rows) -> None:
    """By volume, the same image in two volumes of two splits: two destinations, one leak."""
    rows[-1][-1]["image"] = rows[0][0]["image"]
    rows[-1].sort(key=lambda row: row["image"].rpartition("/")[2])


def deep(levels: int) -> object:
    value: object = 0
    for _ in range(levels):
        value = [value]
    return value


UP = "images/test/../../../etc/passwd.png"
LONG = "images/test/" + "x" * 300 + ".png"

FORGED: list[tuple[str, Forge]] = [
    # paths of a slice
    ("image climbs out", line(image=UP)),
    ("image climbs out at once", line(image="../in2/x.png")),
    ("image is absolute", line(image="/etc/images/x.png")),
    ("image with a dot part", line(image="images/test/./IM1-05.png")),
    ("image with an empty part", line(image="images/test//IM1-05.png")),
    ("image ends in a slash", line(image="images/test/IM1-05.png/")),
    ("image is empty", line(image="")),
    ("image with NUL", line(image="images/test/a\0b.png")),
    ("image with a newline", line(image="images/test/a\nb.png")),
    ("image with an escape sequence", line(image="images/test/a\x1b[2Jb.png")),
    ("image with DEL", line(image="images/test/a\x7fb.png")),
    ("image with a C1 control", line(image="images/test/a\x85b.png")),
    ("image with half a surrogate pair", raw(b"IM1-05.png", b"IM\\ud800.png")),
    ("image not UTF-8", raw(b"IM1-05.png", b"IM\xff.png")),
    ("image outside the image folders", line(image="secret/IM1-05.png")),
    ("image in a folder that only begins alike", line(image="images/test2/IM1-05.png")),
    ("image is the image folder", line(image="images/test")),
    ("image name too long", line(image=LONG)),
    ("image path too long", line(image="images/test/" + "x/" * 2500 + "IM1-05.png")),
    ("image is no image", line(image="images/test/IM1-05.sh")),
    ("image is a number", line(image=7)),
    ("image is null", line(image=None)),
    ("image goes into another folder than its block", line(image="images/test/sub/IM1-05.png")),
    (
        "image goes below a folder named labels",
        both(line(image="images/test/labels/IM1-05.png"), head("blocks.0.folder", "images/test/labels")),
    ),
    ("label climbs out", line(label="../../etc/passwd")),
    ("label is absolute", line(label="/etc/passwd")),
    ("label with NUL", line(label="labels/test/a\0.txt")),
    ("label is a list", line(label=["labels/test/IM1-05.txt"])),
    # other members of a slice
    ("split is unknown", line(split="../val")),
    ("split differs from its folder", line(split="train")),
    ("split is a list", line(split=["test"])),
    ("volume climbs out", line(volume="../05")),
    ("volume is not in the header", line(volume="99")),
    ("volume of another split", line(volume="01")),
    ("positive is a number", line(positive=1)),
    ("positive without a label", line(positive=True, label=None, label_size=0, label_sha256=...)),
    ("input is out of range", line(input=1)),
    ("input is negative", line(input=-1)),
    ("input is true", line(input=True)),
    ("input is huge", line(input=2**63)),
    ("size is negative", line(image_size=-1)),
    ("size is huge", line(image_size=2**64 - 1)),
    ("size is a float", line(image_size=64.0)),
    ("size is beyond floats", raw(b'"image_size":64', b'"image_size":' + b"9" * 400)),
    ("size is an exponent", raw(b'"image_size":64', b'"image_size":1e400')),
    ("size is NaN", raw(b'"image_size":64', b'"image_size":NaN')),
    ("size is a string", line(image_size="64")),
    ("mtime is a number", line(image_mtime=1700000000.1)),
    ("mtime has few decimals", line(image_mtime="1700000000.1")),
    ("mtime is negative nothing", line(image_mtime="-0.000000000")),
    ("mtime has other digits", line(image_mtime="١.000000000")),
    ("mtime has an underscore", line(image_mtime="1_0.000000000")),
    ("mtime is huge", line(image_mtime="9" * 5000 + ".000000000")),
    ("label size without a sum", line(label_sha256=...)),
    ("label sum in upper case", line(label_sha256="A" * 64)),
    ("label sum too short", line(label_sha256="a" * 63)),
    ("label sum empty", line(label_sha256="")),
    ("image sum null", line(image_sha256=None)),
    ("unknown member", line(mode="symlink")),
    ("member missing", line(label=...)),
    ("member twice", raw(b'"input":0', b'"input":0,"input":0')),
    ("members in another order", raw(b'{"split":"test","volume":"05"', b'{"volume":"05","split":"test"')),
    ("white space", raw(b'"input":0', b'"input": 0')),
    ("needless escape", raw(b"IM1-05.png", b"IM\\u0031-05.png")),
    ("line is a list", lambda _, rows: rows[1].__setitem__(1, [1])),
    ("line is a number", lambda _, rows: rows[0].__setitem__(0, 5)),
    ("line is deeply nested", lambda _, rows: rows[0].__setitem__(0, b"[" * 100_000 + b"]" * 100_000)),
    ("value is deeply nested", raw(b'"input":0', b'"input":' + b"[" * 900 + b"]" * 900)),
    # duplicates and collisions
    ("two slices in wrong order", swap_lines),
    ("the same slice twice", twice),
    ("a slice of train again in val", moved_image("images/train/IM1-01.png")),
    ("names that differ in case, in two splits", moved_image("images/val/im1-01.PNG")),
    (
        "names that differ in Unicode form",
        both(line(image="images/test/IM1é.png"), moved_image("images/val/IM1e\u0301.png")),
    ),
    ("names that differ in suffix, in two splits", moved_image("images/val/IM1-01.jpg")),
    ("a file where a folder must be", folder_as_file),
    # the header
    ("another schema", head("schema", "planbalance/plan/2")),
    ("no schema", head("schema", ...)),
    ("schema is a number", head("schema", 1)),
    ("output is relative", head("output", "out")),
    ("output climbs", head("output", "/data/x/../../etc")),
    ("output is not normal", head("output", "/data//out")),
    ("output inside the input", head("output", "/data/in/images")),
    ("output around the input", head("output", "/data")),
    ("output is the input", head("output", "/data/in")),
    ("output is the root", head("output", "/")),
    ("output with a newline", head("output", "/data/out\n")),
    ("output is null", head("output", None)),
    ("input is relative", head("inputs.0", "in")),
    ("input climbs", head("inputs.0", "/data/../etc")),
    ("no input", both(head("inputs", []), head("sources", []))),
    ("more inputs than sources", head("inputs", ["/data/in", "/etc"])),
    ("inputs is an object", head("inputs", {})),
    ("image folder climbs", head("sources.0.folders.0.images", "../images")),
    ("image folder is absolute", head("sources.0.folders.0.images", "/etc")),
    ("label folder climbs", head("sources.0.folders.0.labels", "..")),
    ("no image folder", head("sources.0.folders", [])),
    ("nothing is guarded", head("sources.0.guarded", [])),
    ("guarded is another folder", head("sources.0.guarded", ["image"])),
    ("guarded climbs", head("sources.0.guarded", ["", ".."])),
    ("guarded is a text", head("sources.0.guarded", "")),
    (
        "output in a guarded folder",
        both(head("sources.0.guarded", ["images", "labels"]), head("output", "/data/in/labels/x")),
    ),
    ("folder of an unknown split", head("sources.0.folders.0.split", "dev")),
    ("prefix with a slash", head("sources.0.prefix", "../x-")),
    ("prefix without a dash", head("sources.0.prefix", "x")),
    ("layout unknown", head("parameters.layout", "flat")),
    ("layout missing", head("parameters.layout", ...)),
    ("parameters nested too deep", head("parameters.extra", deep(40))),
    ("parameters nested beyond all measure", head("parameters.extra", deep(250))),
    ("naming rule unknown", head("naming.rule", "eval")),
    ("pattern is no string", both(head("naming.rule", "regex"), head("naming.pattern", None))),
    ("pattern searches for years", pattern("(?P<volume>([^_]+)+)!")),
    ("pattern tries too many ways", pattern("(?P<volume>.+)" + ".*" * 30)),
    ("pattern nests without end", pattern("(?P<volume>" + "(?:" * 90 + "a" + "){0,8}" * 90 + ")")),
    ("pattern is no regular expression", pattern("(?P<volume>")),
    ("pattern without a volume", pattern("(.+)")),
    ("pattern too long", pattern("(?P<volume>" + "a" * 2000 + ")")),
    ("warning with an escape sequence", head("warnings", ["\x1b]0;x\x07"])),
    ("class name with a newline", head("names", ["tear\nx: 1"])),
    ("names is a string", head("names", "tear")),
    ("volume id climbs", head("volumes.0.id", "../01")),
    ("volume id is absolute", head("volumes.0.id", "/01")),
    ("volume id named images", head("volumes.0.id", "images")),
    ("volume id holds labels", head("volumes.0.id", "a/labels/b")),
    ("volume twice", lambda header, _: header["volumes"].append(dict(header["volumes"][0]))),
    ("volume in two splits", lambda header, _: header["volumes"].append({**header["volumes"][0], "split": "test"})),
    ("volume ids that differ in case", both(head("volumes.0.id", "a"), head("volumes.1.id", "A"))),
    ("volume of an unknown split", head("volumes.0.split", "dev")),
    ("volume's count is true", head("volumes.0.kept", True)),
    ("volume keeps more than it has", head("volumes.0.slices", 1)),
    ("volume's dropped slices are no runs", head("volumes.0.dropped", "1-")),
    ("unknown member of a volume", head("volumes.0.patient", "x")),
    ("statistics do not add up", head("statistics.splits.train.total", 9)),
    ("statistics of another balance", head("statistics.splits.train.tear", 4)),
    ("statistics with a false sum", head("statistics.total_images", 15)),
    ("statistics with a false ratio", head("statistics.train_balance_ratio", "1:1")),
    ("statistics are floats", head("statistics.total_images", 14.0)),
    ("statistics missing", head("statistics", {})),
    ("volume statistics are false", head("volume_statistics.train_volumes", 4)),
    ("overlap not verified", head("volume_statistics.no_overlap_verified", 1)),
    ("volumes keep other slices than there are", both(head("volumes.0.kept", 2), head("volumes.1.slices", 4))),
    ("block folder climbs", head("blocks.0.folder", "images/test/../../..")),
    ("block folder elsewhere", head("blocks.0.folder", "etc/test")),
    ("block folder of no split", head("blocks.0.folder", "images/dev")),
    ("block folder named images", head("blocks.0.folder", "images/test/images")),
    ("block out of order", head("blocks.0.folder", "images/train")),
    ("block overlaps the one before", head("blocks.1.!offset", 0)),
    ("block with a gap", head("blocks.1.!offset", 10**6)),
    ("block at a negative place", head("blocks.0.!offset", -1)),
    ("block too large", head("blocks.2.!bytes", 2**40)),
    ("block of too many", head("blocks.2.!count", 2**31)),
    ("block of none", head("blocks.0.!count", 0)),
    ("block sum is no sum", head("blocks.0.!sha256", "x" * 64)),
    ("no blocks", head("blocks", [])),
    ("blocks is null", head("blocks", None)),
    ("a yaml key that names data", carried({"train": "/etc"})),
    ("a yaml key that trainers run", carried({"download": "import os"})),
    ("a yaml key of the build's own", carried({"planbalance": {}})),
    ("a yaml key with a newline", carried({"a\npath": "/etc"})),
    ("a yaml value with an escape sequence", carried({"a": ["\x1b[2J"]})),
    ("a yaml value nested too deep", carried({"a": deep(9)})),
    ("a yaml value too large", carried({"a": "x" * (4 << 20)})),
    ("a yaml value of a number too large", carried({"a": 2**64 - 1 + 0.0})),
    ("keypoints that are none", carried({"kpt_shape": [17, 4]})),
    ("yaml keys are a list", carried(["channels"])),
    ("yaml keys are empty", carried({})),
    ("unknown member of the header", head("command", "rm")),
    ("header member missing", head("targets", ...)),
]


@pytest.mark.parametrize("edit", [pytest.param(edit, id=name) for name, edit in FORGED])
def test_a_forged_plan_is_refused(tmp_path: Path, edit: Forge) -> None:
    """Refused for what was changed: no sum is wrong."""
    error = refused(tmp_path, forged(edit))
    assert "does not match" not in error.message


def test_by_volume_an_image_cannot_be_in_two_volumes(tmp_path: Path) -> None:
    assert b"by-volume" in forged(lambda _, __: None, layout="by-volume")
    refused(tmp_path, forged(one_image_two_volumes, layout="by-volume"))


def test_a_plan_forged_into_nothing_new_is_taken(tmp_path: Path) -> None:
    """The forger's tools alone change nothing: what is refused above is refused for what was changed."""
    assert forged(lambda _, __: None) == document(small_plan())
    write(tmp_path, forged(lambda _, __: None)).check()
    write(tmp_path, forged(recount)).check()


def refused(folder: Path, plan: bytes) -> PlanError:
    """Return how a plan is refused: with one sentence that a terminal can show."""
    with pytest.raises(PlanError) as strict:
        write(folder, plan).check()
    error = strict.value
    assert error.exit_code == 4
    assert error.message.isprintable()
    assert error.message.endswith(".")
    assert len(error.message) < 700
    assert error.hint
    assert error.paths
    return error


def write(folder: Path, plan: bytes) -> PlanFile:
    path = folder / "plan.json"
    path.write_bytes(plan)
    return PlanFile.open(str(path))


# ---- bytes that are no plan -----------------------------------------------------------------------------------------

PLAN = document(small_plan())
FIRST = PLAN.index(b"\n") + 1
BROKEN: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("a newline", b"\n"),
    ("no JSON", b"digest: 1\n"),
    ("NULs", bytes(4096)),
    ("random bytes", random.Random(1).randbytes(4096)),
    ("a byte order mark", b"\xef\xbb\xbf" + PLAN),
    ("UTF-16", PLAN.decode().encode("utf-16")),
    ("CRLF", PLAN.replace(b"\n", b"\r\n")),
    ("an array", b'[{"schema":"planbalance/plan/1"}]\n'),
    ("null", b"null\n"),
    ("the header only", PLAN[:FIRST]),
    ("the header without its newline", PLAN[: FIRST - 1]),
    ("cut off in the header", PLAN[: FIRST // 2]),
    ("cut off in an operation", PLAN[: FIRST + 100]),
    ("cut off after a block", PLAN[: FIRST + small_plan().header.blocks[1].offset]),
    ("without its end", PLAN[:-3]),
    ("without its last newline", PLAN[:-1]),
    ("with more at its end", PLAN + b" "),
    ("two plans in a row", PLAN + PLAN),
    ("a digest of another plan", PLAN.replace(small_plan().header.digest.encode(), b"0" * 64)),
    ("no digest", PLAN.replace(b'"digest":"' + small_plan().header.digest.encode() + b'",', b"")),
    ("digest twice", PLAN.replace(b'"split_digest"', b'"digest":"' + b"0" * 64 + b'","split_digest"')),
    ("one byte of the header changed", PLAN.replace(b'"split_seed":42', b'"split_seed":43')),
    ("one byte of an operation changed", PLAN.replace(b'"image_size":64', b'"image_size":65')),
    ("an operation less", PLAN[:FIRST] + PLAN[PLAN.index(b"\n", FIRST) + 1 :]),
    ("pretty-printed", json.dumps(json.loads(PLAN), indent=1).encode()),
    ("on one line", json.dumps(json.loads(PLAN)).encode()),
    ("nesting without end", b"[" * 5_000_000),
    ("objects without end", b'{"a":' * 1_000_000),
    ("a huge number", b'{"schema":' + b"9" * 1_000_000 + b"}\n"),
    (
        "a header nested deep",
        signed(b'{"schema":"planbalance/plan/1","digest":"' + b"0" * 64 + b'","x":' + b"[" * 300 + b"]" * 300 + b"}"),
    ),
]


@pytest.mark.parametrize("plan", [pytest.param(plan, id=name) for name, plan in BROKEN])
def test_broken_bytes_are_refused(tmp_path: Path, plan: bytes) -> None:
    refused(tmp_path, plan)


def test_there_are_as_many_cases_as_the_fault_table_wants() -> None:
    names = [name for name, _ in (*FORGED, *BROKEN)]
    assert len(set(names)) == len(names) >= 60


# ---- edited plans ---------------------------------------------------------------------------------------------------

# What `--allow-edited` does without: order, formatting, block sums; counts are made anew.
FORGIVEN = {
    "two slices in wrong order",
    "members in another order",
    "white space",
    "needless escape",
    "image goes into another folder than its block",
    "volumes keep other slices than there are",
}
FORGIVEN_BEGINNINGS = ("block", "no blocks", "statistics", "volume statistics", "overlap not verified")


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(edit, id=name)
        for name, edit in FORGED
        if name not in FORGIVEN and not name.startswith(FORGIVEN_BEGINNINGS)
    ],
)
def test_an_edited_plan_must_keep_every_other_rule(tmp_path: Path, edit: Forge) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(forged(edit))
    with pytest.raises(PlanError) as refusal:
        PlanFile.open(str(path), allow_edited=True)
    assert refusal.value.message.isprintable()


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(edit, id=name)
        for name, edit in FORGED
        if name in FORGIVEN or name.startswith(("block", "statistics of", "statistics with", "volume statistics"))
    ],
)
def test_an_edited_plan_may_have_wrong_sums_order_and_counts(tmp_path: Path, edit: Forge) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(forged(edit))
    plan = PlanFile.open(str(path), allow_edited=True)
    plan.check()
    assert sum(1 for _ in plan.operations()) == 14


# ---- fuzzing --------------------------------------------------------------------------------------------------------

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["..", "/", "a/../b", "\0", "train", "images/train/x.png", "0" * 64, "é", "e\u0301", "\ud800"]),
)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)


values = st.recursive(scalars, nested, max_leaves=5)


def read_everything(plan: bytes) -> None:
    """Read a plan from memory in both ways: only `PlanError` may come out, and what is taken must stand."""
    with suppress(PlanError):
        read_strictly(plan)
    with suppress(PlanError):
        again = document(parse_edited(plan))
        read_strictly(again)
        assert document(parse_edited(again)) == again


def read_strictly(plan: bytes) -> None:
    first, newline, rest = plan.partition(b"\n")
    header = parse_header(first + newline)
    reader, whole = BlockReader(header), WholePlan(header)
    for block in header.blocks:
        whole.add(block.folder, reader.read(block, rest[block.offset : block.offset + block.bytes]))
    whole.finish()


def mutate_bytes(draw: random.Random, plan: bytes) -> bytes:
    """Change, insert, remove or repeat a few bytes."""
    data = bytearray(plan)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(data))
        kind = draw.randrange(5)
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            data[at:at] = draw.choice(
                (b'"', b"{", b"}", b"[", b"]", b",", b"\\", b"\n", b"-", b"9" * 30, b"../", b"\\u0000")
            )
        elif kind == 2:
            del data[at : at + draw.randint(1, 40)]
        elif kind == 3:
            data[at:at] = data[at : at + draw.randint(1, 200)]
        else:
            data[at : at + 1] = bytes([data[at] ^ (1 << draw.randrange(8))])
    return bytes(data)


def mutate_value(draw: random.Random, plan: bytes, value: object) -> bytes:
    """Put a value at a random place of the document's tree, and make every sum right again where that can be done."""

    def edit(header: Header, rows: Rows) -> None:
        place: Any = draw.choice((header, rows[0][0], rows[2][1]))
        while True:
            key: Any = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not isinstance(place[key], dict | list) or not place[key] or draw.random() < 0.3:
                break
            place = place[key]
        if draw.random() < 0.2:
            del place[key]
        else:
            place[key] = value

    try:
        return forged(edit)
    except (TypeError, ValueError, KeyError, IndexError):  # what no JSON can hold, or no digest left to make right
        header, rows = parts(plan)
        edit(header, rows)
        operations = [row for block in rows for row in block]
        return json.dumps({**header, "operations": operations}).encode()


@given(drawn=st.integers(0, 2**32), value=values)
@settings(max_examples=150, deadline=None)
def test_nothing_but_a_refusal_comes_out_of_mutated_values(drawn: int, value: object) -> None:
    read_everything(mutate_value(random.Random(drawn), PLAN, value))


@given(drawn=st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_nothing_but_a_refusal_comes_out_of_mutated_bytes(drawn: int) -> None:
    read_everything(mutate_bytes(random.Random(drawn), PLAN))


@given(data=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_nothing_but_a_refusal_comes_out_of_any_bytes(data: bytes) -> None:
    read_everything(data)
    read_everything(b'{"schema":"planbalance/plan/1",' + data)


TORTURE = 200_000
SHARES = 16
NASTY: tuple[object, ...] = (
    *(None, True, -1, 2**53, 2**64, 1e308, 0.5, [], {}, [[]], {"a": 1}, deep(50), deep(700)),
    *("", "..", "/", "\0", "\n", "a/../b", "/etc/passwd", "images", "é", "e\u0301", "x" * 5000, "0" * 64, "train"),
)


@pytest.mark.torture(row=6)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("share", range(SHARES))
def test_200_000_mutated_plans_are_read_or_refused(share: int, trials: Trials) -> None:
    """A share of 200,000 plans: hypothesis draws a value and a seed; its database is not used."""
    count = 0

    @seed(trials.seed)
    @settings(
        max_examples=TORTURE // SHARES // 2, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(drawn=st.integers(0, 2**64), value=st.sampled_from(NASTY) | values)
    def each(drawn: int, value: object) -> None:
        nonlocal count
        draw = random.Random(drawn)
        read_everything(mutate_bytes(draw, PLAN))
        read_everything(mutate_value(draw, PLAN, value))
        count += 2

    each()
    trials.count(count)
