"""The fast reader of blocks and the checking one give the same result, whatever the lines hold."""

import hashlib
import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planbalance.destination import Destinations
from planbalance.errors import PlanError
from planbalance.model import Block, Operation
from planbalance.planfile import BlockReader, SealedPlan, seal
from planbalance.planfile.plain_blocks import PlainReader
from tests.plans import POOLED, draft, operation, small_operations, small_plan
from tests.test_hostile_plans import NASTY, mutate_bytes

Verdict = list[Operation] | tuple[str, str, str | None, tuple[str, ...]]


def changed(change: Callable[[Operation], Operation]) -> SealedPlan:
    operations = list(map(change, small_operations()))
    return seal(draft(operations), operations)


def of_two_inputs() -> SealedPlan:
    operations = [each._replace(input=index % 2) for index, each in enumerate(small_operations())]
    sources = (POOLED._replace(prefix="A-"), POOLED._replace(prefix="B-"))
    return seal(draft(operations, sources=sources, inputs=("/data/a", "/data/b")), operations)


PLAIN = {
    "pooled": small_plan(),
    "by volume": small_plan(layout="by-volume"),
    "two inputs": of_two_inputs(),
    "image sums": changed(lambda each: each._replace(image_sha256="c" * 64)),
    "no labels": changed(lambda each: each if each.positive else each._replace(label=None)),
    "no label at all": changed(lambda each: each._replace(positive=False, label=None, label_size=0, label_sha256="")),
    "negatives with boxes": changed(lambda each: each._replace(positive=False)),
    "empty images": changed(lambda each: each._replace(image_size=0)),
    "sub-folders": changed(lambda each: each._replace(image=each.image.replace("/IM", "/sub/IM"))),
    "mixed suffixes": changed(lambda each: each._replace(image=each.image.replace("1-01.png", "1-01.JpeG"))),
    "letters of all lengths": changed(lambda each: each._replace(image=each.image.replace("IM", "é撕😀 "))),
}
ODD = {
    "quotes": changed(lambda each: each._replace(image=each.image.replace("IM", 'I"M'))),
    "backslashes": changed(lambda each: each._replace(label=each.image.replace("IM", "I\\M"))),
    "before 1970": changed(lambda each: each._replace(image_mtime_ns=-1)),
    "in 1970's first second": changed(lambda each: each._replace(image_mtime_ns=1)),
    "after 2286": changed(lambda each: each._replace(image_mtime_ns=10**19)),
    "huge sizes": changed(lambda each: each._replace(image_size=10**15)),
    "no-break spaces": changed(lambda each: each._replace(image=each.image.replace("IM", "I\xa0M"))),
    "long paths": changed(lambda each: each._replace(image=each.image.replace("IM", f"{'x' * 200}/{'y' * 200}/IM"))),
}
PLANS = PLAIN | ODD


def verdict(reader: BlockReader, block: Block, data: bytes) -> Verdict:
    try:
        return reader.read(block, data)
    except PlanError as error:
        return error.kind, error.message, error.hint, tuple(error.paths)


def one_verdict(sealed: SealedPlan, index: int, data: bytes) -> Verdict:
    """Return what is said of these bytes in the place of a block, sum and length made right: the same both ways."""
    blocks = list(sealed.header.blocks)
    count = max(1, data.count(b"\n"))
    if count != blocks[index].count and len(data) % 2:  # the other half keeps the old count
        blocks[index] = blocks[index]._replace(count=count)
    blocks[index] = blocks[index]._replace(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    header = sealed.header._replace(blocks=tuple(blocks))
    short = verdict(BlockReader(header), blocks[index], data)
    long = verdict(BlockReader(header, fast=False), blocks[index], data)
    assert short == long
    if isinstance(short, list) and isinstance(long, list):
        assert [list(map(type, each)) for each in short] == [list(map(type, each)) for each in long]
    return short


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_is_read_alike_by_both_readers(name: str) -> None:
    sealed = PLANS[name]
    for index, data in enumerate(sealed.body):
        assert isinstance(one_verdict(sealed, index, data), list)


@pytest.mark.parametrize("name", PLANS)
def test_a_plain_block_is_read_by_the_fast_reader(name: str) -> None:
    sealed = PLANS[name]
    reader = PlainReader(sealed.header, Destinations(sealed.header.sources, sealed.header.parameters["layout"]))
    for block, data in zip(sealed.header.blocks, sealed.body, strict=True):
        found = reader.read(block, data, last=block is sealed.header.blocks[-1])
        assert (found is not None) is (name in PLAIN)


# ---- what the short way must not let pass ---------------------------------------------------------------------------

LINE = operation("images/test/IM1-05.png", split="test", volume="05", tears=1)
CHANGES: list[tuple[bytes, bytes]] = [
    (b'"input":0', b'"input":00'),
    (b'"input":0', b'"input":-0'),
    (b'"input":0', b'"input":1'),
    (b'"input":0', b'"input":0.0'),
    (b'"input":0', b'"input": 0'),
    (b'"input":0', b'"input":0,"input":0'),
    (b'"positive":true,', b""),
    (b'"positive":true', b'"positive":True'),
    (b'"split":"test"', b'"split":"val"'),
    (b'"split":"test"', b'"split":"dev"'),
    (b'"volume":"05"', b'"volume":"04"'),
    (b'"volume":"05"', b'"volume":""'),
    (b'"volume":"05"', b'"volume":"0\n5"'),
    (b"IM1-05.png", b"IM1-05.sh"),
    (b"IM1-05.png", b"IM1-05."),
    (b"IM1-05.png", b"png"),
    (b"images/test/IM1-05.png", b"png"),
    (b"IM1-05.png", b"."),
    (b"IM1-05.png", b"IM\x001-05.png"),
    (b"IM1-05.png", b"IM\n1-05.png"),
    (b"IM1-05.png", b"IM\x7f1-05.png"),
    (b"IM1-05.png", b"IM\xc2\x851-05.png"),
    (b"IM1-05.png", b"IM\xff1-05.png"),
    (b"IM1-05.png", b"IM\xed\xa0\x801-05.png"),
    (b"IM1-05.png", b"IM\\u0031-05.png"),
    (b"IM1-05.png", b"x" * 252 + b".png"),
    (b"IM1-05.png", "é".encode() * 126 + b".png"),
    (b"images/test/", b"images/test//"),
    (b"images/test/", b"images/test/./"),
    (b"images/test/", b"images/test/../test/"),
    (b"images/test/", b"/images/test/"),
    (b"images/test/", b"images/test/sub/"),
    (b"images/test/", b"secret/"),
    (b"labels/test/IM1-05.txt", b""),
    (b"labels/test/IM1-05.txt", b"/labels/test/IM1-05.txt"),
    (b"labels/test/IM1-05.txt", b"labels/../IM1-05.txt"),
    (b"labels/test/IM1-05.txt", b"labels/test/IM1-05.txt/"),
    (b"labels/test/IM1-05.txt", b"labels/test/\tIM1-05.txt"),
    (b"labels/test/IM1-05.txt", b"labels/test/" + "é".encode() * 128),
    (b'"labels/test/IM1-05.txt"', b"null"),
    (b'"labels/test/IM1-05.txt"', b"7"),
    (b'"image_size":64', b'"image_size":064'),
    (b'"image_size":64', b'"image_size":-64'),
    (b'"image_size":64', b'"image_size":6.4e1'),
    (b'"image_size":64', b'"image_size":9007199254740992'),
    (b'"1700000000.123456789"', b"1700000000.123456789"),
    (b"1700000000.123456789", b"1700000000.12345678"),
    (b"1700000000.123456789", b"01700000000.123456789"),
    (b"1700000000.123456789", b"1700000000,123456789"),
    (b"1700000000.123456789", b"-0.000000000"),
    (b"1700000000.123456789", "١.000000000".encode()),
    (b'"label_size":18', b'"label_size":0'),
    (b'"label_size":18,"label_sha256":"' + LINE.label_sha256.encode() + b'"', b'"label_size":0'),
    (b'"label_size":18', b'"label_size":9007199254740992'),
    (b'"label_size":18,', b'"label_size":18,"label_size":18,'),
    (b'"label_sha256":"', b'"label_sha256":"0'),
    (b'"label_sha256":"', b'"image_sha256":"'),
    (LINE.label_sha256.encode(), LINE.label_sha256.upper().encode()),
    (LINE.label_sha256.encode(), b""),
    (b"}", b',"image_sha256":""}'),
    (b"}", b',"image_sha256":"' + b"e" * 63 + b'"}'),
    (b"}", b',"mode":"symlink"}'),
    (b"},", b"}"),
    (b"},", b"},,"),
    (b"},", b"} ,"),
    (b"},\n", b"},\r\n"),
    (b"},\n", b"},\n\n"),
    (b"},\n", b"},"),
    (b"{", b" {"),
    (b"{", b"[{"),
    (b"{", b"x{"),
]


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_line_that_breaks_a_rule_is_refused_by_both_readers(old: bytes, new: bytes) -> None:
    sealed = small_plan()
    data = sealed.body[0]
    assert sealed.header.blocks[0].folder == "images/test"
    assert old in data
    assert isinstance(one_verdict(sealed, 0, data.replace(old, new, 1)), tuple)


@pytest.mark.parametrize("ending", [b"", b"}", b"},\n", b",\n", b"}\n\n", b"} \n", b"}\n]}\n", b"\n"])
def test_the_last_block_ends_in_one_way(ending: bytes) -> None:
    sealed = small_plan()
    last = len(sealed.body) - 1
    assert isinstance(one_verdict(sealed, last, sealed.body[last].removesuffix(b"}\n") + ending), tuple)


def test_lines_in_another_order_or_twice_are_refused_by_both_readers() -> None:
    sealed = small_plan()
    first, second, *rest = sealed.body[1].splitlines(keepends=True)
    for lines in ([second, first, *rest], [first, first, *rest], [second, *rest, first]):
        assert "out of order" in one_verdict(sealed, 1, b"".join(lines))[1]


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_block_of_fewer_or_more_lines_than_its_header_says_is_refused_by_both_readers(count: int) -> None:
    sealed = small_plan()
    block = sealed.header.blocks[0]._replace(count=count)
    short = verdict(BlockReader(sealed.header), block, sealed.body[0])
    assert short == verdict(BlockReader(sealed.header, fast=False), block, sealed.body[0])
    assert isinstance(short, tuple)


@pytest.mark.parametrize(("letters", "taken"), [("x" * 220, True), ("x" * 221, False), ("é" * 46, True)])
def test_a_prefix_makes_names_too_long_for_both_readers(letters: str, taken: bool) -> None:
    operations = [operation(f"images/train/{letters}.png", label=None)]
    sealed = seal(draft(operations, sources=(POOLED._replace(prefix=f"{'A' * 30}-"),)), operations)
    assert isinstance(one_verdict(sealed, 0, sealed.body[0]), list) is taken


# ---- fuzzing --------------------------------------------------------------------------------------------------------

PIECES = sorted({new for _, new in CHANGES} | {b"true", b"false", b"null", b"0", b'"', b"\n", b",", b"/"})


def other_value(draw: random.Random, data: bytes) -> bytes:
    """Put another value, or one of another line, into a line."""
    lines = data.splitlines(keepends=True)
    at = draw.randrange(len(lines))
    ending = b",\n" if lines[at].endswith(b",\n") else b"\n"
    row, other = json.loads(lines[at].rstrip(b",\n")), json.loads(draw.choice(lines).rstrip(b",\n"))
    for name in draw.sample([*other, "label_sha256", "image_sha256"], draw.randint(1, 2)):
        row[name] = draw.choice([other.get(name), draw.choice(NASTY), draw.choice(list(other.values())), 0, "d" * 64])
        if draw.random() < 0.2:
            del row[name]
    lines[at] = json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode() + ending
    return b"".join(lines)


def other_bytes(draw: random.Random, data: bytes) -> bytes:
    """Put something into a line that belongs elsewhere."""
    old, new = draw.choice(CHANGES)
    at = data.find(old, draw.randrange(len(data)))
    if at >= 0:
        return data[:at] + new + data[at + len(old) :]
    at = draw.randrange(len(data))
    return data[:at] + draw.choice(PIECES) + data[at + draw.randrange(3) :]


def other_lines(draw: random.Random, data: bytes) -> bytes:
    """Put the lines into another order, some of them twice or not at all."""
    lines = data.splitlines(keepends=True)
    return b"".join(draw.choices(lines, k=len(lines)))


def mutated_block(draw: random.Random) -> tuple[SealedPlan, int, bytes]:
    sealed = draw.choice(list(PLANS.values()))
    index = draw.randrange(len(sealed.body))
    return sealed, index, draw.choice([mutate_bytes, other_value, other_bytes, other_lines])(draw, sealed.body[index])


@given(drawn=st.integers(0, 2**64))
@settings(max_examples=500, deadline=None)
def test_a_mutated_block_has_one_verdict(drawn: int) -> None:
    draw = random.Random(drawn)
    for _ in range(5):
        one_verdict(*mutated_block(draw))


@pytest.mark.parametrize("name", PLANS)
def test_a_part_of_a_block_is_that_part_of_what_the_whole_holds(name: str) -> None:
    sealed = PLANS[name]
    reader = BlockReader(sealed.header)
    for block, data in zip(sealed.header.blocks, sealed.body, strict=True):
        whole = reader.read(block, data)
        for start in range(block.count):
            for stop in range(start + 1, block.count + 1):
                assert reader.read_part(block, data, start, stop) == whole[start:stop]


def test_a_part_is_taken_of_that_very_block_only() -> None:
    sealed = small_plan()
    changed_data = sealed.body[0].replace(b"1-05", b"1-06", 1)
    assert changed_data != sealed.body[0]
    with pytest.raises(PlanError, match="does not match its sum"):
        BlockReader(sealed.header).read_part(sealed.header.blocks[0], changed_data, 0, 1)
