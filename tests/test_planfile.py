import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.destination import Destinations
from planbalance.errors import PlanError
from planbalance.model import Folder, Layout, Operation, PlanHeader, Source, Split
from planbalance.planfile import (
    BLOCK_OPERATIONS,
    BlockReader,
    SealedPlan,
    WholePlan,
    first_line_of,
    format_mtime,
    parse_block,
    parse_edited,
    parse_header,
    seal,
    slice_counts,
    volume_counts,
)
from tests.plans import POOLED, document, draft, operation, seed_shaped_operations, small_operations, small_plan

HEADER_MEMBERS = [
    *("schema", "digest", "split_digest", "inputs", "sources", "output", "names", "parameters", "naming", "statistics"),
    *("volume_statistics", "targets", "warnings", "volumes", "blocks"),
]


def read(sealed: SealedPlan) -> list[Operation]:
    """Read a sealed plan back with every check."""
    header = parse_header(sealed.first_line)
    reader, whole = BlockReader(header), WholePlan(header)
    operations = []
    for block, data in zip(header.blocks, sealed.body, strict=True):
        operations += reader.read(block, data)
        whole.add(block.folder, operations[-block.count :])
    whole.finish()
    return operations


# ---- the format -----------------------------------------------------------------------------------------------------


def test_the_document_is_json_with_the_header_on_its_first_line() -> None:
    sealed = small_plan()
    plan = document(sealed)
    members = json.loads(plan)
    assert list(members) == [*HEADER_MEMBERS, "operations"]
    first, *lines, last, end = plan.split(b"\n")
    assert first.endswith(b',"operations":[')
    assert (last, end) == (b"]}", b"")
    assert [line.endswith(b"},") for line in lines] == [True] * 13 + [False]
    assert [json.loads(line.rstrip(b",")) for line in lines] == members["operations"]
    assert members["schema"] == "planbalance/plan/1"


def test_an_operation_has_its_members_in_order() -> None:
    operations = [
        operation("images/train/a.png", tears=1, image_sha256="b" * 64),
        operation("images/train/b.png", label=None, image_mtime_ns=-1),
    ]
    lines = seal(draft(operations), operations).body[0].splitlines()
    label_sum = operations[0].label_sha256
    assert lines[0] == (
        b'{"split":"train","volume":"01","positive":true,"input":0,"image":"images/train/a.png",'
        b'"label":"labels/train/a.txt","image_size":64,"image_mtime":"1700000000.123456789","label_size":18,'
        b'"label_sha256":"' + label_sum.encode() + b'","image_sha256":"' + b"b" * 64 + b'"},'
    )
    assert lines[1] == (
        b'{"split":"train","volume":"01","positive":false,"input":0,"image":"images/train/b.png","label":null,'
        b'"image_size":64,"image_mtime":"-0.000000001","label_size":0}'
    )


def test_the_digest_is_what_jq_and_sha256sum_would_give() -> None:
    """The contract's recipe: the first line without `,"operations":[` and without the digest, `}` added."""
    sealed = small_plan()
    first = sealed.first_line.removesuffix(b',"operations":[\n')
    bare = first.replace(b'"digest":"' + sealed.header.digest.encode() + b'",', b"", 1) + b"}"
    assert hashlib.sha256(bare).hexdigest() == sealed.header.digest == json.loads(document(sealed))["digest"]


def test_blocks_say_where_their_bytes_are() -> None:
    operations = [operation(f"images/train/{n:05d}.png") for n in range(BLOCK_OPERATIONS + 1)]
    operations += [operation(f"images/train/sub/{n}.png") for n in range(3)]
    operations += [operation("images/val/x.png", split="val", volume="02")]
    sealed = seal(draft(operations), operations)
    body = document(sealed)[len(sealed.first_line) :]
    assert [(block.folder, block.count) for block in sealed.header.blocks] == [
        ("images/train", BLOCK_OPERATIONS),
        ("images/train", 1),
        ("images/train/sub", 3),
        ("images/val", 1),
    ]
    for block in sealed.header.blocks:
        data = body[block.offset : block.offset + block.bytes]
        assert hashlib.sha256(data).hexdigest() == block.sha256
        assert data.count(b"\n") == block.count
        assert json.loads(b"[" + data.rstrip(b",\n") + b"]")[0]["image"].startswith(block.folder)
    assert sum(block.bytes for block in sealed.header.blocks) == len(body) - len(b"]}\n")
    assert read(sealed) == operations


def test_operations_are_sorted_by_folder_then_name_in_utf8() -> None:
    names = ["a/z.png", "é.png", "z.png", "Z.png", "10.png", "9.png", "a-b/x.png", "😀.png", "\ufffd.png"]
    operations = [operation(f"images/train/{name}") for name in names]
    sealed = seal(draft(operations), operations)
    lines = [json.loads(line.rstrip(b",\n"))["image"] for data in sealed.body for line in data.splitlines()]
    keys = [(path.rpartition("/")[0].encode(), path.rpartition("/")[2].encode()) for path in lines]
    assert keys == sorted(keys)
    assert len(keys) == len(names)


def test_order_of_operations_changes_no_byte() -> None:
    operations = small_operations()
    shuffled = random.Random(3).sample(operations, len(operations))
    assert document(seal(draft(operations), shuffled)) == document(small_plan())


def test_the_header_comes_back_as_it_was() -> None:
    sealed = small_plan(names=None, warnings=("ü", "😀"), targets={"train": {"distance": 0.5, "x": [None, True]}})
    assert parse_header(sealed.first_line) == sealed.header
    assert first_line_of(sealed.header) == sealed.first_line


def test_what_could_not_be_read_back_is_not_written() -> None:
    with pytest.raises(PlanError, match="no operation"):
        seal(draft([]), [])
    with pytest.raises(PlanError, match="control character"):
        small_plan(parameters={"layout": "keep", "exclude": ["a\tb"]})
    with pytest.raises(PlanError, match="do not agree"):
        seal(draft(small_operations()), small_operations()[1:])


def test_an_image_outside_its_image_folders_is_a_mistake_of_the_caller() -> None:
    operations = [operation("elsewhere/a.png")]
    with pytest.raises(ValueError, match="not below an image folder"):
        seal(draft(operations), operations)


@pytest.mark.full_size
@pytest.mark.parametrize("layout", ["keep", "by-volume"])
def test_a_slice_costs_at_most_400_bytes(layout: Any) -> None:
    operations = seed_shaped_operations()
    sealed = seal(draft(operations, layout=layout), operations)
    size = len(document(sealed)) / len(operations)
    assert size <= 400, f"{size:.0f} bytes a slice"
    assert len(read(sealed)) == 94_440


# ---- times ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0.000000000"),
        (1, "0.000000001"),
        (-1, "-0.000000001"),
        (-1_500_000_000, "-1.500000000"),
        (1_700_000_000_000_000_000, "1700000000.000000000"),
        (2**63, "9223372036.854775808"),
    ],
)
def test_times_are_seconds_with_nine_decimals(nanoseconds: int, text: str) -> None:
    assert format_mtime(nanoseconds) == text
    operations = [operation("images/train/a.png", image_mtime_ns=nanoseconds)]
    assert read(seal(draft(operations), operations)) == operations


# ---- laws -----------------------------------------------------------------------------------------------------------

part = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/"), min_size=1, max_size=6).filter(
    lambda text: text not in (".", "..", "images", "labels")
)
sums = st.sampled_from(["", "a" * 64, "0123456789abcdef" * 4])


@st.composite
def plans(draw: st.DrawFn) -> tuple[PlanHeader, list[Operation]]:
    """A few slices of a few volumes with odd names; their stems are numbered, so that none collide."""
    count = draw(st.integers(1, 12))
    layout: Layout = draw(st.sampled_from(["keep", "by-volume"]))
    volumes = draw(st.lists(part, min_size=1, max_size=4, unique_by=lambda text: text.encode().hex()))
    volumes = [f"{index}{volume}" for index, volume in enumerate(volumes)]
    splits: dict[str, Split] = {volume: draw(st.sampled_from(["train", "val", "test"])) for volume in volumes}
    sources = (POOLED._replace(prefix="A-"), Source("", (Folder("", "", None),)))
    operations = []
    for index in range(count):
        volume = draw(st.sampled_from(volumes))
        size = draw(st.sampled_from([0, 1, 2**53 - 1]) if count == 1 else st.integers(0, 9))
        where = draw(st.integers(0, 1))
        folder = "images/train" if where == 0 else draw(st.sampled_from(["", "x/y"]))
        name = f"{draw(part)}{index}.png"
        operations.append(
            Operation(
                split=splits[volume],
                volume=volume,
                positive=size > 0 and draw(st.booleans()),
                input=where,
                image=f"{folder}/{name}" if folder else name,
                label=f"labels/{draw(part)}.txt" if size or draw(st.booleans()) else None,
                image_size=draw(st.integers(0, 2**40)),
                image_mtime_ns=draw(st.integers(-(2**62), 2**62)),
                label_size=size if count > 1 else min(size, 2**52),
                label_sha256="c" * 64 if size else "",
                image_sha256=draw(sums),
            )
        )
    return draft(operations, layout=layout, inputs=("/in/a", "/in/b"), sources=sources), operations


@given(plans())
@settings(deadline=None)
def test_what_is_sealed_reads_back_and_seals_to_the_same_bytes(plan: tuple[PlanHeader, list[Operation]]) -> None:
    header, operations = plan
    sealed = seal(header, operations)
    back = read(sealed)
    placed = Destinations(header.sources, header.parameters["layout"])
    assert back == sorted(operations, key=placed.of)
    again = seal(sealed.header._replace(digest="", split_digest="", blocks=()), reversed(back))
    assert document(again) == document(sealed)
    assert document(parse_edited(document(sealed))) == document(sealed)


@given(plans(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_an_edited_plan_may_be_written_in_any_way(
    plan: tuple[PlanHeader, list[Operation]], draw: random.Random
) -> None:
    sealed = seal(*plan)

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in draw.sample(list(value), len(value))}
        return value

    members = json.loads(document(sealed))
    for name in ("operations", "volumes", "sources"):
        members[name] = [shuffled(each) for each in members[name]]
    draw.shuffle(members["operations"])
    order = draw.sample(list(members), len(members))
    text = json.dumps({name: members[name] for name in order}, indent=draw.choice((None, 2)))
    assert document(parse_edited(text.encode())) == document(sealed)


# ---- the split's digest ---------------------------------------------------------------------------------------------


def moved(change: Callable[[PlanHeader], PlanHeader], edit: Callable[[list[Operation]], list[Operation]] = list) -> str:
    operations = edit(small_operations())
    return seal(change(draft(operations)), operations).header.split_digest


def test_the_split_digest_is_equal_on_every_cluster() -> None:
    digest = small_plan().header.split_digest
    assert moved(lambda header: header._replace(inputs=("/gpfs/x",), output="/scratch/y", warnings=("w",))) == digest
    assert moved(lambda header: header._replace(parameters={"layout": "by-volume"})) == digest
    touched = moved(
        lambda header: header, lambda ops: [each._replace(image_mtime_ns=5, image_size=7, label_size=0) for each in ops]
    )
    assert touched == digest
    flat = (Source("", (Folder("pictures", "labels", None),)),)
    elsewhere = [
        each._replace(image=f"pictures/{each.image.rpartition('/')[2]}", label=None) for each in small_operations()
    ]
    assert seal(draft(elsewhere, sources=flat), elsewhere).header.split_digest == digest


def with_a_volume_more(header: PlanHeader) -> PlanHeader:
    """Assign a volume of which nothing is kept."""
    volumes = (*header.volumes, header.volumes[0]._replace(id="07", kept=0))
    return header._replace(volumes=volumes, volume_statistics=volume_counts(volumes))


def test_the_split_digest_tells_volumes_splits_and_slices() -> None:
    digest = small_plan().header.split_digest
    digests = {
        digest,
        moved(lambda header: header, lambda ops: ops[:-1]),
        moved(lambda header: header, lambda ops: [*ops[:-1], ops[-1]._replace(volume="06")]),
        moved(lambda header: header, lambda ops: [each._replace(split="val") for each in ops]),
        moved(lambda header: header, lambda ops: [*ops[:-1], ops[-1]._replace(image="images/test/other.png")]),
        moved(with_a_volume_more),
        moved(lambda header: header._replace(sources=(POOLED._replace(prefix="N-"),))),
    }
    assert len(digests) == 7


# ---- reading one block ----------------------------------------------------------------------------------------------


def test_a_block_is_read_alone() -> None:
    sealed = small_plan()
    for index in (2, 0, 1):
        block = sealed.header.blocks[index]
        assert all(
            each.split == block.folder.split("/")[1] for each in parse_block(sealed.header, block, sealed.body[index])
        )


def test_a_block_of_another_place_is_refused() -> None:
    sealed = small_plan()
    with pytest.raises(PlanError, match="does not match its sum") as refusal:
        parse_block(sealed.header, sealed.header.blocks[0], sealed.body[1])
    assert (refusal.value.kind, refusal.value.exit_code) == ("plan-damaged", 4)


def test_what_is_wrong_is_said_with_its_line() -> None:
    members = json.loads(small_plan().body[1].splitlines()[5].rstrip(b","))
    members["image"] = "images/train/../x.png"
    sealed = small_plan()
    lines = sealed.body[1].splitlines(keepends=True)
    data = b"".join((*lines[:5], orjson.dumps(members) + b",\n", *lines[6:]))
    block = sealed.header.blocks[1]._replace(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    whole_file = document(sealed).splitlines()
    assert lines[5].strip() == whole_file[9].strip()
    with pytest.raises(PlanError, match=r"line 10: the image path 'images/train/\.\./x\.png' holds `\.\.`\."):
        parse_block(sealed.header, block, data)


def test_names_that_only_the_prefix_makes_too_long_are_refused() -> None:
    operations = [operation(f"images/train/{'x' * 250}.png")]
    header = draft(operations, sources=(POOLED._replace(prefix="NAME-"),))
    with pytest.raises(PlanError, match="with its prefix"):
        read(seal(header, operations))


# ---- edited plans ---------------------------------------------------------------------------------------------------


def test_an_edited_plan_gets_counts_and_digests_of_its_own() -> None:
    """Whoever removes a slice by hand need not correct the counts."""
    lines = document(small_plan()).splitlines(keepends=True)
    sealed = parse_edited(b"".join((*lines[:4], *lines[5:])))
    taken = [each for each in small_operations() if each.image not in lines[4].decode()]
    assert len(taken) == 13
    assert read(sealed) == sorted(taken, key=lambda each: each.image)
    assert sealed.header.digest != small_plan().header.digest
    assert sealed.header.statistics == draft(taken).statistics
    assert [volume.kept for volume in sealed.header.volumes] == [2, 3, 2, 3, 3]
    assert sealed.header.parameters == small_plan().header.parameters


def test_a_volume_moved_by_hand_must_be_moved_whole() -> None:
    plan = document(small_plan())
    with pytest.raises(PlanError, match="'04' is put into 'test', and into val by the header"):
        parse_edited(plan.replace(b'{"split":"val","volume":"04"', b'{"split":"test","volume":"04"', 1))
    moved_whole = plan.replace(b'{"split":"val","volume":"04"', b'{"split":"test","volume":"04"').replace(
        b'"id":"04","group":"04","split":"val"', b'"id":"04","group":"04","split":"test"'
    )
    header = parse_edited(moved_whole).header
    assert header.volume_statistics == {
        "train_volumes": 3,
        "val_volumes": 0,
        "test_volumes": 2,
        "total_volumes": 5,
        "no_overlap_verified": True,
    }


def test_a_member_twice_is_refused_in_an_edited_plan_too() -> None:
    plan = document(small_plan()).replace(
        b'"split":"val","volume":"04"', b'"split":"val","split":"val","volume":"04"', 1
    )
    with pytest.raises(PlanError, match="a member twice"):
        parse_edited(plan)


# ---- counts ---------------------------------------------------------------------------------------------------------


def test_statistics_have_the_guides_members() -> None:
    counts: dict[tuple[Split, bool], int] = {("train", True): 12_791, ("train", False): 12_791, ("val", True): 2_741}
    counts |= {("val", False): 11_425, ("test", True): 2_741, ("test", False): 11_425}
    found = slice_counts(counts, "tear")
    assert found["splits"]["train"] == {
        "total": 25_582,
        "positive": 12_791,
        "negative": 12_791,
        "tear": 12_791,
        "no_tear": 12_791,
    }
    del found["splits"]
    assert found == {
        "total_images": 53_914,
        "total_positive": 18_273,
        "total_negative": 35_641,
        "total_tear": 18_273,
        "total_no_tear": 35_641,
        "train_balance_ratio": "12791:12791",
        "val_balance_ratio": "2741:11425",
        "test_balance_ratio": "2741:11425",
    }


def test_without_a_class_word_nothing_is_called_a_tear() -> None:
    found = slice_counts({("train", True): 1}, None)
    assert set(found["splits"]["val"]) == {"total", "positive", "negative"}
    assert [key for key in found if "tear" in key] == []


def test_volumes_are_counted_by_where_they_go_not_by_what_stays() -> None:
    volumes = [volume._replace(kept=0) for volume in small_plan().header.volumes]
    assert volume_counts(volumes)["train_volumes"] == 3


def test_keys_of_the_yaml_are_a_member_of_plans_that_have_any() -> None:
    without, with_keys = small_plan(), small_plan(yaml_keys={"kpt_shape": [2, 3], "text": "two\nlines"})
    assert b"yaml_keys" not in without.first_line
    assert b'"names":["tear"],"yaml_keys":{"kpt_shape":[2,3],"text":"two\\nlines"},"parameters"' in with_keys.first_line
    assert without.header.digest != with_keys.header.digest
    assert without.header.split_digest == with_keys.header.split_digest
    assert parse_header(with_keys.first_line) == with_keys.header
    assert parse_header(with_keys.first_line).yaml_keys == {"kpt_shape": [2, 3], "text": "two\nlines"}
    members = json.loads(document(with_keys))
    members["yaml_keys"]["channels"] = 1
    edited = parse_edited(json.dumps({"yaml_keys": members.pop("yaml_keys"), **members}).encode())
    assert edited.header.yaml_keys["channels"] == 1
