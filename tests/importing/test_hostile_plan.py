"""A plan of an import is not trusted: it keeps the rules, or it is refused and nothing is written."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from planbalance import api
from planbalance.errors import PlanError
from planbalance.planstore import ImportPlan
from tests.importing.raw_study import Study, write_study
from tests.plans import Header, Rows, sha256, signed

Forge = Callable[[Header, Rows, list[Any]], None]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return write_study(tmp_path_factory.mktemp("raw") / "study")


@pytest.fixture(scope="module")
def planned(study: Study, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("plan")
    made = api.import_dataset(output=str(folder / "out"), plan_file=str(folder / "i.json"), options=study.request())
    return Path(made.path).read_bytes()


def forged(plan: bytes, edit: Forge) -> bytes:
    """Return the plan tampered with by somebody who gets every sum and digest right."""
    members = json.loads(plan)
    operations, ledger = members.pop("operations"), members.pop("ledger_rows", None)
    text = plan.decode()
    ledger = json.loads("[" + text[text.index('],"ledger":[\n') + len('],"ledger":[\n') : -3] + "]")
    members["ledger"] = json.loads(text.partition("\n")[0][: -len(',"operations":[')] + "}")["ledger"]
    rows: Rows = []
    for block in members["blocks"]:
        rows.append(operations[: block["count"]])
        del operations[: block["count"]]
    edit(members, rows, ledger)
    return put_together(members, rows, ledger)


def put_together(members: Header, rows: Rows, ledger: list[Any]) -> bytes:
    body = b""
    for index, block in enumerate(rows):
        data = b",\n".join(map(orjson.dumps, block)) + (b"\n" if index == len(rows) - 1 else b",\n")
        facts = {"count": len(block), "offset": len(body), "bytes": len(data), "sha256": sha256(data)}
        members["blocks"][index] |= facts
        body += data
    data = b",\n".join(map(orjson.dumps, ledger)) + b"\n"
    members["ledger"] |= {"count": len(ledger), "bytes": len(data), "sha256": sha256(data)}
    return signed(orjson.dumps(members)) + body + b'],"ledger":[\n' + data + b"]}\n"


def line(**values: Any) -> Forge:
    def edit(_: Header, rows: Rows, __: list[Any]) -> None:
        rows[0][0] |= values

    return edit


def head(path: str, value: object) -> Forge:
    def edit(members: Header, _: Rows, __: list[Any]) -> None:
        *way, last = [int(key) if key.isdigit() else key for key in path.split(".")]
        place: Any = members
        for key in way:
            place = place[key]
        place[last] = value

    return edit


def doubled(_: Header, rows: Rows, __: list[Any]) -> None:
    rows[0][1] = dict(rows[0][0])


def fewer(_: Header, rows: Rows, __: list[Any]) -> None:
    del rows[0][0]


def other_fate(_: Header, __: Rows, ledger: list[Any]) -> None:
    ledger[0][7] = "outside"


def row_lost(_: Header, __: Rows, ledger: list[Any]) -> None:
    del ledger[0]


def control_in_ledger(_: Header, __: Rows, ledger: list[Any]) -> None:
    ledger[0][4] = "tear\x1b[2J"


HOSTILE: dict[str, Forge] = {
    "an image above its input": line(image="../../etc/passwd"),
    "an absolute image": line(image="/etc/passwd.png"),
    "an image with a control character": line(image="a\nb.png"),
    "an input that is not there": line(input=9),
    "a negative input": line(input=-1),
    "a volume that is not there": line(volume=99),
    "a number as text": line(number="1"),
    "a number that is true": line(number=True),
    "a huge number": line(number=2**63),
    "a label that is no box": line(label="rm -rf /\n"),
    "a label outside the picture": line(label="0 1.500000 0.500000 0.100000 0.100000\n"),
    "a label of a class that is not there": line(label="7 0.500000 0.500000 0.100000 0.100000\n"),
    "a label without its newline": line(label="0 0.500000 0.500000 0.100000 0.100000"),
    "a sum that is none": line(image_sha256="xyz"),
    "no sum at all": line(image_sha256="", pixels=""),
    "two sums": line(image_sha256="0" * 64, pixels="0" * 64),
    "rendered, in a volume that is not": line(image_sha256="", pixels="0" * 64),
    "a script taken as it is": line(image="a.sh"),
    "a picture without a pixel": line(width=0),
    "a picture that fills memory": line(width=2**31, height=2**31),
    "a member more": line(mode="0777"),
    "a time that is none": line(image_mtime="yesterday"),
    "a volume named as a folder above": head("volumes.0.id", ".."),
    "a volume with a folder": head("volumes.0.id", "a/b"),
    "a volume named images": head("volumes.0.id", "images"),
    "a volume of no source": head("volumes.0.source", 7),
    "two volumes of one name": head("volumes.1.id", "ankle1"),
    "two volumes that differ in case": head("volumes.1.id", "ANKLE1"),
    "a window of the wrong order": head("volumes.3.window", {"low": 2.0, "high": 1.0}),
    "a window that is a text": head("volumes.3.window", {"low": "0", "high": 1.0}),
    "counts that disagree": head("volumes.0.states", [1, 2, 0, 0]),
    "boxes that disagree": head("volumes.0.boxes", 5),
    "an output in an input": head("output", "{input}/out"),
    "a relative output": head("output", "out"),
    "an output with ..": head("output", "/tmp/../etc"),
    "no input": head("inputs", []),
    "no class": head("names", []),
    "a class with a newline": head("names", ["tear\ntrain: x"]),
    "a layout that is not there": head("parameters.layout", "../x"),
    "fates that do not add up": head("fates.used", 9_000),
    "a fate that is negative": head("fates.used", -1),
    "a block that leaves the folder": head("blocks.0.folder", "images/../../x"),
    "a block of a folder beside images": head("blocks.0.folder", "labels"),
    "image options that are not there": head("sources.0.image_options", {}),
    "a window rule that is none": head("sources.0.image_options.window", "eval(1)"),
    "an axis that is a text": head("sources.0.image_options.axis", "0"),
    "a source without a format": head("sources.0.format", None),
    "an identity check that is none": head("sources.0.identity", {}),
    "tags that are no counts": head("sources.0.identity.tags", {"PatientName": "Doe"}),
    "annotations that are a text": head("sources.0.annotations", "a.json"),
    "an annotation file of a relative path": head("sources.0.annotations.0.path", "../a.json"),
    "an input of a source that is not there": head("sources.0.inputs", [9]),
    "deep nesting": head("parameters.x", json.loads("[" * 40 + "]" * 40)),
    "a slice twice": doubled,
    "a slice less": fewer,
    "another fate in the ledger": other_fate,
    "an annotation lost": row_lost,
    "a control character in the ledger": control_in_ledger,
}


def read_all(path: Path) -> None:
    ImportPlan.open(str(path)).check()


def build(path: Path, output: Path) -> None:
    api.apply(str(path), output=str(output), jobs=1)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_forged_plan_is_refused_and_nothing_is_written(planned: bytes, tmp_path: Path, name: str) -> None:
    data = forged(planned, HOSTILE[name])
    data = data.replace(b"{input}", json.loads(planned)["inputs"][0].encode()) if b"{input}" in data else data
    if name == "an output in an input":
        first, newline, rest = data.partition(b"\n")
        data = signed(first[: -len(b',"operations":[')] + b"}").removesuffix(b"\n") + newline + rest
    plan = tmp_path / "i.json"
    plan.write_bytes(data)
    with pytest.raises(PlanError) as refused:
        build(plan, tmp_path / "out" / "set")
    assert refused.value.kind in {"plan-hostile", "plan-schema", "plan-damaged"}, refused.value.message
    assert {path.name for path in tmp_path.iterdir()} == {"i.json"}


def test_the_plan_itself_is_taken(planned: bytes, tmp_path: Path) -> None:
    (tmp_path / "i.json").write_bytes(forged(planned, lambda *_: None))
    assert (tmp_path / "i.json").read_bytes() == planned
    build(tmp_path / "i.json", tmp_path / "out")


def test_any_changed_byte_is_noticed(planned: bytes, tmp_path: Path) -> None:
    draw = random.Random(1)
    plan = tmp_path / "i.json"
    for _ in range(300):
        at = draw.randrange(len(planned))
        data = bytearray(planned)
        data[at] ^= 1 << draw.randrange(8)
        plan.write_bytes(data)
        with pytest.raises(PlanError):
            read_all(plan)


def test_a_plan_that_is_cut_off_is_noticed(planned: bytes, tmp_path: Path) -> None:
    plan = tmp_path / "i.json"
    for length in range(0, len(planned), 97):
        plan.write_bytes(planned[:length])
        with pytest.raises(PlanError):
            read_all(plan)


def test_a_source_that_changed_is_noticed(study: Study, tmp_path: Path) -> None:
    """Other pixels than planned are exit 4, and a picture that was touched only is not."""
    raw = write_study(tmp_path / "raw")
    made = api.import_dataset(
        output=str(tmp_path / "out"),
        plan_file=str(tmp_path / "i.json"),
        options=raw.request(group_key=str(study.root / "key")),
    )
    file = next((raw.root / "dicom" / "knee0").iterdir())
    data = bytearray(file.read_bytes())
    data[-3] ^= 0x7F  # a pixel of the last row
    file.write_bytes(data)
    with pytest.raises(PlanError, match="other pixels than planned"):
        api.apply(made.path)
    assert not (tmp_path / "out").exists()


def test_the_plan_of_a_split_is_not_taken_for_an_import_and_the_reverse(planned: bytes, tmp_path: Path) -> None:
    (tmp_path / "i.json").write_bytes(planned)
    with pytest.raises(PlanError, match="that of an import"):
        api.open_plan(str(tmp_path / "i.json"))
